package redistest

import (
	"fmt"
	"strconv"
	"testing"
)

func (g *Group) startSentinel(t testing.TB, quorum int, conf []string) *Server {
	t.Helper()
	name := g.MasterName()
	s := start(t, plan{sentinel: true, lines: func(port int) []string {
		lines := []string{
			"port " + strconv.Itoa(port),
			fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d %d", name, g.master.Port(), quorum),
			fmt.Sprintf("sentinel down-after-milliseconds %s 1000", name),
			fmt.Sprintf("sentinel failover-timeout %s 3000", name),
		}
		if password := setting(conf, "requirepass"); password != "" {
			lines = append(lines, fmt.Sprintf("sentinel auth-pass %s %s", name, password))
		}
		return lines
	}})
	// The periods are made for a data centre: seconds pass before Sentinels know
	// each other. And a busy machine is not to be taken for a clock that steps.
	s.Do(t, "SENTINEL", "DEBUG", "INFO-PERIOD", "200", "PUBLISH-PERIOD", "200",
		"TILT-TRIGGER", "60000")
	return s
}

// introduced says what is missing until every Sentinel knows the others and
// the replicas.
func (g *Group) introduced(t testing.TB) string {
	for _, s := range g.sentinels {
		said, err := s.Try(t.Context(), "SENTINEL", "MASTER", g.MasterName())
		if err != nil {
			return fmt.Sprintf("Sentinel %s: %v", s.Addr(), err)
		}
		about := pairs(said)
		if about["num-slaves"] != strconv.Itoa(len(g.nodes)-1) || about["num-other-sentinels"] != strconv.Itoa(len(g.sentinels)-1) {
			return fmt.Sprintf("Sentinel %s knows %s replicas and %s other Sentinels", s.Addr(), about["num-slaves"], about["num-other-sentinels"])
		}
	}
	return ""
}

// WaitFailover waits until the Sentinels that run have agreed on another
// master than Master, and the replicas that run follow it. Master is the new
// one from then on. The old one becomes a replica when it comes back.
func (g *Group) WaitFailover(t testing.TB) {
	t.Helper()
	old := g.Master()
	var next *Server
	wait(t, func() (missing string) {
		next, missing = g.elected(t, old)
		return missing
	})
	g.mu.Lock()
	g.master = next
	g.mu.Unlock()
	g.WaitOnline(t)
}

// elected is the server that all Sentinels name in place of old.
func (g *Group) elected(t testing.TB, old *Server) (next *Server, missing string) {
	for _, sentinel := range g.sentinels {
		if !sentinel.Running() {
			continue
		}
		said, err := sentinel.Try(t.Context(), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", g.MasterName())
		at, ok := said.([]any)
		if err != nil || !ok || len(at) != 2 {
			return nil, fmt.Sprintf("Sentinel %s says %v, %v", sentinel.Addr(), said, err)
		}
		named := g.at(fmt.Sprint(at[1]))
		if named == nil || named == old || next != nil && named != next {
			return nil, fmt.Sprintf("Sentinel %s names %v", sentinel.Addr(), at)
		}
		next = named
	}
	if next == nil {
		return nil, "no Sentinel runs"
	}
	if !isMaster(t, next) {
		return nil, next.Addr() + " is elected but no master"
	}
	return next, ""
}

// at is the server on a port.
func (g *Group) at(port string) *Server {
	for _, s := range g.nodes {
		if strconv.Itoa(s.Port()) == port {
			return s
		}
	}
	return nil
}

// pairs reads a flat list of names and values.
func pairs(said any) map[string]string {
	list, _ := said.([]any)
	fields := map[string]string{}
	for i := 0; i+1 < len(list); i += 2 {
		fields[fmt.Sprint(list[i])] = fmt.Sprint(list[i+1])
	}
	return fields
}
