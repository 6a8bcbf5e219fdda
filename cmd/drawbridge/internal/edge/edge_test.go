package edge

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func prefixes(list ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func TestClientAddr(t *testing.T) {
	proxies := prefixes("10.0.0.0/8", "fd00::/8")
	for name, c := range map[string]struct {
		peer string
		xff  []string
		want string
	}{
		"no proxy":                       {"192.0.2.7:4000", nil, "192.0.2.7"},
		"a stranger's header is ignored": {"192.0.2.7:4000", []string{"1.2.3.4"}, "192.0.2.7"},
		"one proxy":                      {"10.0.0.1:4000", []string{"192.0.2.7"}, "192.0.2.7"},
		"forged entries stay left":       {"10.0.0.1:4000", []string{"6.6.6.6, 192.0.2.7"}, "192.0.2.7"},
		"two proxies, two headers":       {"10.0.0.1:4000", []string{"6.6.6.6, 192.0.2.7", "10.0.0.2"}, "192.0.2.7"},
		"rubbish stops the walk":         {"10.0.0.1:4000", []string{"192.0.2.7, unknown"}, "10.0.0.1"},
		"mapped address":                 {"[::ffff:10.0.0.1]:4000", []string{"::ffff:192.0.2.7"}, "192.0.2.7"},
		"zone is dropped":                {"[fd00::1%eth0]:4000", []string{"2001:db8::7"}, "2001:db8::7"},
		"all trusted":                    {"10.0.0.1:4000", []string{"10.0.0.3"}, "10.0.0.3"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = c.peer
			for _, h := range c.xff {
				r.Header.Add("X-Forwarded-For", h)
			}
			if got := ClientAddr(r, proxies).String(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestGuard(t *testing.T) {
	g := Guard{Allow: prefixes("127.0.0.0/8", "10.1.0.0/16"), Own: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8080"), netip.MustParseAddrPort("0.0.0.0:8081")}}
	for to, ok := range map[string]bool{
		"93.184.216.34:443": true, "[2606:2800:220:1::1]:443": true, "127.0.0.1:9000": true, "10.1.2.3:443": true,
		"10.2.0.1:443": false, "192.168.1.1:80": false, "169.254.169.254:80": false, "172.16.0.1:80": false, "100.64.0.1:80": false,
		"0.0.0.0:80": false, "224.0.0.1:80": false, "255.255.255.255:80": false, "198.18.0.1:80": false, "192.0.2.1:80": false,
		"[::1]:80": false, "[fe80::1%1]:80": false, "[fc00::1]:80": false, "[::ffff:10.2.0.1]:80": false, "[64:ff9b::a00:1]:80": false,
		"[2002:a00:1::]:80": false, "[fd00:ec2::254]:80": false, "[::ffff:127.0.0.1]:9000": true,
		"127.0.0.1:8080": false, "[::ffff:127.0.0.1]:8080": false, "127.0.0.1:8081": false, "127.0.0.2:8081": false,
	} {
		if err := g.Check(netip.MustParseAddrPort(to)); (err == nil) != ok {
			t.Errorf("%s: %v, want allowed=%v", to, err, ok)
		}
	}
}

func TestClientRefusesPrivateAddressesAndRedirects(t *testing.T) {
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	defer far.Close()
	_, err := NewClient(EgressOptions{Timeout: time.Second}).Get(far.URL)
	if err == nil || !strings.Contains(err.Error(), ErrRefused.Error()) {
		t.Fatalf("loopback without permission: %v", err)
	}
	res, err := NewClient(EgressOptions{Timeout: time.Second, Guard: Guard{Allow: prefixes("127.0.0.0/8")}}).Get(far.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusFound {
		t.Errorf("a redirect was followed: %d", res.StatusCode)
	}
	own := netip.MustParseAddrPort(far.Listener.Addr().(*net.TCPAddr).AddrPort().String())
	if _, err := NewClient(EgressOptions{Timeout: time.Second, Guard: Guard{Allow: prefixes("127.0.0.0/8"), Own: []netip.AddrPort{own}}}).Get(far.URL); err == nil {
		t.Error("our own listener was reached")
	}
}

func TestIngressLogsOnceCountsOnceAndSurvivesPanics(t *testing.T) {
	var out bytes.Buffer
	m := NewMetrics("test")
	h := Ingress(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/panic":
			panic("boom")
		case "/body":
			if _, err := io.ReadAll(r.Body); err != nil {
				http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			}
		}
	}), IngressOptions{Log: slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})), Listener: "public", MaxBody: 10, Metrics: m, Now: time.Now})
	levels := map[int]string{200: "DEBUG", 413: "INFO", 500: "WARN"}
	for path, want := range map[string]int{"/": 200, "/panic": 500, "/body": 413} {
		out.Reset()
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(strings.Repeat("x", 100)))
		r.Header.Set("X-Request-Id", "forged-by-a-stranger")
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
		if id := w.Header().Get("X-Request-Id"); len(id) != 32 {
			t.Errorf("%s: request id %q", path, id)
		}
		lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
		var last struct {
			Level, Msg string
			Status     int
		}
		if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil || last.Msg != "request" || last.Status != want || last.Level != levels[want] {
			t.Errorf("%s: log %s", path, out.String())
		}
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if !strings.Contains(w.Body.String(), `drawbridge_http_requests_total{listener="public",method="POST",route="none",status="413"} 1`) {
		t.Error("the request was not counted")
	}
}

// A method that a stranger makes up reaches neither the log nor a label.
func TestMadeUpMethods(t *testing.T) {
	var out bytes.Buffer
	m := NewMetrics("test")
	h := Ingress(http.NotFoundHandler(), IngressOptions{Log: slog.New(slog.NewJSONHandler(&out, nil)), Listener: "public", MaxBody: 10, Metrics: m, Now: time.Now})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Method = strings.Repeat("MADEUP", 100)
	h.ServeHTTP(httptest.NewRecorder(), r)
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if text := out.String() + w.Body.String(); strings.Contains(text, "MADEUP") || !strings.Contains(text, `method="other"`) {
		t.Error("the method was repeated")
	}
}

// Only timeouts have a lag: a sign-out is noticed when it happens.
func TestLagOfTimeouts(t *testing.T) {
	m := NewMetrics("test")
	m.SessionsLive(3)
	m.SessionEnded("LOGOUT")
	m.SessionEnded("IDLE_TIMEOUT")
	m.TimeoutDetected(2 * time.Second)
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{"drawbridge_timeout_detection_lag_seconds_count 1", "drawbridge_timeout_detection_lag_seconds_sum 2", "drawbridge_sessions_live 1",
		`drawbridge_session_ends_total{cause="LOGOUT"} 1`} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
}
