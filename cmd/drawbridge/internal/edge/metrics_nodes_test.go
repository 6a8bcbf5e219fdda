package edge

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// What hooks do is read whenever somebody asks, so a reload shows at once.
func TestFiguresOfNodesAndHooks(t *testing.T) {
	m := NewMetrics("test")
	var hooks []HookFigures
	m.Hooks(func() []HookFigures { return hooks })
	holds := func(lines ...string) {
		t.Helper()
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		for _, line := range lines {
			if !strings.Contains(w.Body.String(), line+"\n") {
				t.Errorf("%s is missing", line)
			}
		}
		if len(hooks) == 0 && strings.Contains(w.Body.String(), "hook=") {
			t.Error("there is no hook, and one is shown")
		}
	}
	holds("drawbridge_nodes 0", "drawbridge_nodes_differ_seconds 0")
	m.Nodes(3, 90*time.Second)
	hooks = []HookFigures{{Hook: "enrich", Breaker: "half_open", InFlight: 1}, {Hook: "other", Breaker: "closed"}}
	holds("drawbridge_nodes 3", "drawbridge_nodes_differ_seconds 90",
		`drawbridge_hook_breaker_state{hook="enrich",state="half_open"} 1`, `drawbridge_hook_breaker_state{hook="enrich",state="closed"} 0`,
		`drawbridge_hook_breaker_state{hook="enrich",state="open"} 0`, `drawbridge_hook_breaker_state{hook="other",state="closed"} 1`,
		`drawbridge_hook_calls_in_flight{hook="enrich"} 1`, `drawbridge_hook_calls_in_flight{hook="other"} 0`)
	hooks = nil
	holds("drawbridge_nodes 3")
}
