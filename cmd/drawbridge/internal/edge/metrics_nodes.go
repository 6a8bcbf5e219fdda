package edge

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// nodeGauges tell of the nodes that work over one store.
type nodeGauges struct{ nodes, differ prometheus.Gauge }

func newNodeGauges() nodeGauges {
	return nodeGauges{
		nodes: gauge("nodes", "Nodes that work over the store, as this one last saw them; 0 before it has looked."),
		differ: gauge("nodes_differ_seconds",
			"For how long, as this node last saw it, the nodes have run different configurations or versions; 0 while they agree."),
	}
}

// Nodes sets how many nodes there are and for how long they have differed: 0
// while they agree.
func (m *Metrics) Nodes(nodes int, differed time.Duration) {
	m.nodes.nodes.Set(float64(nodes))
	m.nodes.differ.Set(differed.Seconds())
}

// HookFigures are what a claims hook of this node does now.
type HookFigures struct {
	// Hook is its id.
	Hook string
	// Breaker is closed, open or half_open.
	Breaker string
	// InFlight is how many calls are under way.
	InFlight int
}

// Hooks registers the figures of claims hooks, which are read whenever somebody
// asks for the metrics: a hook that is left alone makes no call at which it
// could tell. Each id may be there once. It is called once.
func (m *Metrics) Hooks(read func() []HookFigures) {
	m.registry.MustRegister(hookCollector{
		read: read,
		breaker: prometheus.NewDesc("drawbridge_hook_breaker_state",
			"1 for the state that the breaker of a claims hook has on this node, 0 for the others.", []string{"hook", "state"}, nil),
		inFlight: prometheus.NewDesc("drawbridge_hook_calls_in_flight", "Calls of a claims hook that are under way.", []string{"hook"}, nil),
	})
}

type hookCollector struct {
	read              func() []HookFigures
	breaker, inFlight *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c hookCollector) Describe(out chan<- *prometheus.Desc) { out <- c.breaker; out <- c.inFlight }

// Collect implements prometheus.Collector.
func (c hookCollector) Collect(out chan<- prometheus.Metric) {
	for _, h := range c.read() {
		for _, state := range []string{"closed", "open", "half_open"} {
			is := 0.0
			if h.Breaker == state {
				is = 1
			}
			out <- prometheus.MustNewConstMetric(c.breaker, prometheus.GaugeValue, is, h.Hook, state)
		}
		out <- prometheus.MustNewConstMetric(c.inFlight, prometheus.GaugeValue, float64(h.InFlight), h.Hook)
	}
}
