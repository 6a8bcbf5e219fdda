package edge

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the figures that /metrics shows. Labels never hold anything that
// a stranger can choose freely: routes are names of ours, upstreams and hooks
// are those of the configuration.
type Metrics struct {
	registry *prometheus.Registry

	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec

	signIns      *prometheus.CounterVec
	notices      *prometheus.CounterVec
	hookCalls    *prometheus.CounterVec
	hookTook     *prometheus.HistogramVec
	refusals     *prometheus.CounterVec
	limited      *prometheus.CounterVec
	sessionsLive prometheus.Gauge
	sessionEnds  *prometheus.CounterVec
	attempts     *prometheus.CounterVec
	deliveryLag  prometheus.Histogram
	detectLag    prometheus.Histogram
	reloads      *prometheus.CounterVec
	nodes        nodeGauges
}

// NewMetrics makes the figures, with those of the Go runtime and the process.
func NewMetrics(version string) *Metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m := &Metrics{
		registry:     r,
		requests:     counter("http_requests_total", "Requests served.", "listener", "route", "method", "status"),
		took:         histogram("http_request_seconds", "Time to serve a request.", "listener", "route"),
		signIns:      counter("sign_ins_total", "Sign-ins by upstream and result.", "upstream", "result"),
		notices:      counter("upstream_logouts_total", "Notices of upstreams that a login is over, by channel and result.", "upstream", "channel", "result"),
		hookCalls:    counter("hook_calls_total", "Calls of claims hooks by outcome.", "hook", "outcome"),
		hookTook:     histogram("hook_seconds", "Time that a claims hook took.", "hook"),
		refusals:     counter("guard_refusals_total", "Changes of claims that the guard refused.", "step", "class"),
		limited:      counter("limited_total", "Requests that a limit refused, by endpoint and what the limit is kept by.", "endpoint", "key"),
		sessionEnds:  counter("session_ends_total", "Sessions ended by cause.", "cause"),
		attempts:     counter("webhook_attempts_total", "Delivery attempts by sender and result.", "sender", "result"),
		reloads:      counter("config_reloads_total", "Readings of the configuration by result.", "result"),
		sessionsLive: gauge("sessions_live", "Sessions that have not ended."),
		nodes:        newNodeGauges(),
		deliveryLag: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "drawbridge", Name: "delivery_lag_seconds",
			Help: "Time from an event to its delivery.", Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 5, 30, 300, 3600}}),
		detectLag: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "drawbridge", Name: "timeout_detection_lag_seconds",
			Help: "Time from a session's deadline to its end.", Buckets: []float64{.01, .05, .1, .25, .5, 1, 5, 30, 300}}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "drawbridge", Name: "build_info",
		Help: "Always 1; the version is a label.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	r.MustRegister(m.requests, m.took, m.signIns, m.notices, m.hookCalls, m.hookTook, m.refusals, m.limited, m.sessionsLive,
		m.sessionEnds, m.attempts, m.deliveryLag, m.detectLag, m.reloads, m.nodes.nodes, m.nodes.differ, build)
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "drawbridge", Name: name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "drawbridge", Name: name, Help: help})
}

func histogram(name, help string, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "drawbridge", Name: name, Help: help,
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}, labels)
}

// Handler serves the figures in the Prometheus text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *Metrics) request(listener, route, method string, status int, took time.Duration) {
	m.requests.WithLabelValues(listener, route, method, statusLabel(status)).Inc()
	m.took.WithLabelValues(listener, route).Observe(took.Seconds())
}

// SignIn counts a sign-in: result is "ok" or an error code.
func (m *Metrics) SignIn(upstream, result string) { m.signIns.WithLabelValues(upstream, result).Inc() }

// Notice counts a notice of an upstream that a login is over.
func (m *Metrics) Notice(upstream, channel, result string) {
	m.notices.WithLabelValues(upstream, channel, result).Inc()
}

// HookCall counts a call of a claims hook.
func (m *Metrics) HookCall(hook, outcome string, took time.Duration) {
	m.hookCalls.WithLabelValues(hook, outcome).Inc()
	m.hookTook.WithLabelValues(hook).Observe(took.Seconds())
}

// Refused counts a change of claims that the guard refused.
func (m *Metrics) Refused(step, class string) { m.refusals.WithLabelValues(step, class).Inc() }

// Limited counts a request that was one too many.
func (m *Metrics) Limited(endpoint, key string) { m.limited.WithLabelValues(endpoint, key).Inc() }

// SessionBegan adds a live session.
func (m *Metrics) SessionBegan() { m.sessionsLive.Inc() }

// SessionEnded takes a live session away and counts its end by cause.
func (m *Metrics) SessionEnded(cause string) {
	m.sessionsLive.Dec()
	m.sessionEnds.WithLabelValues(cause).Inc()
}

// TimeoutDetected notes how late a session's deadline was noticed.
func (m *Metrics) TimeoutDetected(lag time.Duration) { m.detectLag.Observe(lag.Seconds()) }

// SessionsLive sets the number that was counted at start.
func (m *Metrics) SessionsLive(n int) { m.sessionsLive.Set(float64(n)) }

// Attempt counts an attempt to deliver.
func (m *Metrics) Attempt(sender, result string) { m.attempts.WithLabelValues(sender, result).Inc() }

// Delivered notes how long after its event a delivery succeeded.
func (m *Metrics) Delivered(lag time.Duration) { m.deliveryLag.Observe(lag.Seconds()) }

// Reloaded counts a reading of the configuration.
func (m *Metrics) Reloaded(result string) { m.reloads.WithLabelValues(result).Inc() }

// StoreFigures are read whenever somebody asks for the metrics. What an engine
// does not have is nil.
type StoreFigures struct {
	Commits, Batches, Failures                    func() uint64
	Unknown, Epochs, Unsafe, Replayed, Superseded func() uint64
	Bytes                                         func() int64
	Spooled                                       func() int
	Lost                                          func() bool
}

// Store registers the store's numbers. It is called once.
func (m *Metrics) Store(f StoreFigures) {
	total := func(name, help string, f func() uint64) {
		if f != nil {
			m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "drawbridge", Name: name, Help: help},
				func() float64 { return float64(f()) }))
		}
	}
	total("store_commits_total", "Commits that were made.", f.Commits)
	total("store_syncs_total", "Transactions or script calls that commits were made by; several may share one.", f.Batches)
	total("store_failures_total", "Transactions that the disk refused, or calls that the store's server did not answer.", f.Failures)
	total("store_unknown_total", "Calls whose outcome could not be found out.", f.Unknown)
	total("store_epochs_total", "Epochs of the log that this node began, because another server had become the master.", f.Epochs)
	total("store_unsafe_total", "Commits that too few replicas had in time.", f.Unsafe)
	total("store_replayed_total", "Commits of the spool that a failover had lost and that were made again.", f.Replayed)
	total("store_superseded_total", "Commits of the spool that could not be made again.", f.Superseded)
	figure := func(name, help string, f func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "drawbridge", Name: name, Help: help}, f))
	}
	if f.Bytes != nil {
		figure("store_bytes", "Size of the store's file.", func() float64 { return float64(f.Bytes()) })
	}
	if f.Spooled != nil {
		figure("store_spool_depth", "Commits that are not yet on enough replicas.", func() float64 { return float64(f.Spooled()) })
	}
	if f.Lost != nil {
		figure("store_log_lost", "1 when the store was emptied or replaced behind our back: nothing works until an operator has acted.", func() float64 {
			if f.Lost() {
				return 1
			}
			return 0
		})
	}
}
