package op_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/limit"
	"github.com/drawbridge-id/drawbridge/federation/op"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// counter is a limiter of one more node.
func (h *house) counter() *limit.Limiter {
	h.t.Helper()
	l, err := limit.New(limit.Options{Engine: h.engine, Now: h.clock.now, Keys: 1000, Log: slog.New(slog.DiscardHandler)})
	must(h.t, err)
	return l
}

func limitedTo(p limit.Policy) func(*setup) { return func(s *setup) { s.limits = p } }

// everywhere is the same for the addresses of all endpoints.
func everywhere(address limit.Rate) map[string]limit.Endpoint {
	all := map[string]limit.Endpoint{}
	for _, at := range []string{"authorize", "choose", "identify", "callback", "consent", "end_session", "token", "introspect", "revoke"} {
		all[at] = limit.Endpoint{Address: address}
	}
	return all
}

// lasting is a window, about as long as that, which does not end while a test
// runs, but by the test's clock.
func lasting(about time.Duration) time.Duration {
	for per := about; ; per += time.Minute {
		if left := int64(per) - time.Now().UnixNano()%int64(per); left > int64(about/2) {
			return per
		}
	}
}

// from makes one request of a handler, from an address.
func (h *house) from(handler http.Handler, addr, method, path, content string, headers ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	r := httptest.NewRequestWithContext(h.t.Context(), method, h.URL+path, strings.NewReader(content))
	if content != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	info := &wire.RequestInfo{ID: "r"}
	if addr != "" {
		info.Addr = netip.MustParseAddr(addr)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r.WithContext(wire.WithRequestInfo(r.Context(), info)))
	return w
}

func (h *house) limitedBy(endpoint, by string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.results["limited "+endpoint+" "+by]
}

// tooMany is the wait of an answer that is 429.
func tooMany(t *testing.T, w *httptest.ResponseRecorder) time.Duration {
	t.Helper()
	n, err := strconv.Atoi(w.Header().Get("Retry-After"))
	if w.Code != http.StatusTooManyRequests || err != nil || n < 1 || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d, Retry-After %q, Cache-Control %q", w.Code, w.Header().Get("Retry-After"), w.Header().Get("Cache-Control"))
	}
	return time.Duration(n) * time.Second
}

// TestAddressesAreLimited at every endpoint, in its own form of an error.
func TestAddressesAreLimited(t *testing.T) {
	for name, c := range map[string]struct {
		method, path, content string
		json                  bool
	}{
		"authorize":           {method: http.MethodGet, path: "/authorize?client_id=shop"},
		"authorize by POST":   {method: http.MethodPost, path: "/authorize", content: "client_id=shop"},
		"authorize goes on":   {method: http.MethodGet, path: "/authorize/continue?x=y"},
		"choose":              {method: http.MethodGet, path: "/choose?tx=x"},
		"identify":            {method: http.MethodPost, path: "/identify", content: "tx=x"},
		"callback":            {method: http.MethodGet, path: "/callback/corp?state=x"},
		"consent":             {method: http.MethodGet, path: "/consent?tx=x"},
		"end_session":         {method: http.MethodGet, path: "/end_session"},
		"token":               {http.MethodPost, "/token", "grant_type=x", true},
		"token without sense": {http.MethodGet, "/token", "", true},
		"introspect":          {http.MethodPost, "/introspect", "token=x", true},
		"revoke":              {http.MethodPost, "/revoke", "token=x", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t, limitedTo(limit.Policy{Endpoints: everywhere(limit.Rate{N: 3, Per: lasting(time.Hour)})}))
			ask := func(addr, under string) *httptest.ResponseRecorder {
				return h.from(h.handler, addr, c.method, under+c.path, c.content)
			}
			for range 3 {
				h.from(h.handler, "2001:db8::1", http.MethodOptions, c.path, "") // no use
				if got := ask("2001:db8::1", ""); got.Code == http.StatusTooManyRequests {
					t.Fatal("too early")
				}
			}
			wait := tooMany(t, ask("2001:db8::2", "")) // in the same /64
			refused := ask("2001:db8::1", "")
			tooMany(t, refused)
			var e struct{ Error string }
			if c.json {
				if err := json.Unmarshal(refused.Body.Bytes(), &e); err != nil || e.Error != "temporarily_unavailable" {
					t.Errorf("%v: %s", err, refused.Body)
				}
			} else if kind := refused.Header().Get("Content-Type"); !strings.HasPrefix(kind, "text/html") || !strings.Contains(refused.Body.String(), "too many requests") {
				t.Errorf("%s: %s", kind, refused.Body)
			}
			for who, other := range map[string][2]string{"another network": {"2001:db8:0:1::1", ""}, "another tenant": {"2001:db8::1", "/t/acme"}, "nobody known": {"", ""}} {
				if ask(other[0], other[1]).Code == http.StatusTooManyRequests {
					t.Errorf("%s was refused as well", who)
				}
			}
			endpoint, _, _ := strings.Cut(name, " ")
			if n := h.limitedBy(endpoint, "address"); n != 2 {
				t.Errorf("%d were counted", n)
			}
			if n := strings.Count(h.lines.all(), "limit reached"); n != 1 || !h.lines.has("limit reached", endpoint, "2001:db8::/64") {
				t.Errorf("%d lines", n)
			}
			h.clock.advance(wait)
			if ask("2001:db8::1", "").Code == http.StatusTooManyRequests {
				t.Error("Retry-After was too short")
			}
		})
	}
}

// TestGuessing: who guesses at a secret is stopped, and nobody else.
func TestGuessing(t *testing.T) {
	h := open(t, limitedTo(limit.Policy{Failures: limit.Rate{N: 3, Per: lasting(time.Hour)}}))
	const theirs, ours = "192.0.2.1", "192.0.2.2"
	try := func(addr, path, client, secret string) *httptest.ResponseRecorder {
		return h.from(h.handler, addr, http.MethodPost, path, url.Values{"client_id": {client}, "client_secret": {secret}, "token": {"x"}, "grant_type": {"x"}}.Encode())
	}
	for i, path := range []string{"/token", "/introspect", "/revoke"} {
		if got := try(theirs, "/introspect", "post", "old"); got.Code != http.StatusOK {
			t.Fatalf("the right secret after %d guesses: %d", i, got.Code)
		}
		if got := try(theirs, path, "post", "guess"); got.Code != http.StatusUnauthorized {
			t.Fatal(got.Code)
		}
	}
	wait := tooMany(t, try(theirs, "/introspect", "post", "old"))
	tooMany(t, try(theirs, "/token", "post", "guess"))
	if got := try(ours, "/introspect", "post", "old"); got.Code != http.StatusOK {
		t.Errorf("the client itself, from its own address: %d", got.Code)
	}
	for i := range 3 { // names that nobody has are as one
		if got := try(theirs, "/token", "nobody"+strconv.Itoa(i), "guess"); got.Code != http.StatusUnauthorized {
			t.Fatalf("another client: %d", got.Code)
		}
	}
	tooMany(t, try(theirs, "/token", "nobody", "guess"))
	if h.limitedBy("token", "failures") != 2 || h.limitedBy("introspect", "failures") != 1 {
		t.Error("not counted where it was")
	}
	h.clock.advance(wait)
	if got := try(theirs, "/introspect", "post", "old"); got.Code != http.StatusOK {
		t.Errorf("after the wait: %d", got.Code)
	}
}

// TestClientsAreLimited by what is theirs: nobody can use that up for them.
func TestClientsAreLimited(t *testing.T) {
	all := everywhere(limit.Rate{})
	for at := range all {
		all[at] = limit.Endpoint{Client: limit.Rate{N: 2, Per: lasting(time.Hour)}}
	}
	h := open(t, limitedTo(limit.Policy{Endpoints: all}))
	ask := func(addr, client, secret string) *httptest.ResponseRecorder {
		form := url.Values{"client_id": {client}, "token": {"x"}}
		if secret != "" {
			form.Set("client_secret", secret)
		}
		return h.from(h.handler, addr, http.MethodPost, "/revoke", form.Encode())
	}
	for range 5 {
		ask("192.0.2.1", "post", "guess")
		ask("192.0.2.1", "post", "")
	}
	for i := range 2 {
		if got := ask("192.0.2."+strconv.Itoa(10+i), "post", "new"); got.Code != http.StatusOK {
			t.Fatalf("%d: %s", got.Code, got.Body)
		}
	}
	tooMany(t, ask("192.0.2.30", "post", "old"))
	for range 5 {
		if got := ask("192.0.2.40", "spa", ""); got.Code != http.StatusOK {
			t.Fatalf("a public client, whom anybody can be: %d", got.Code)
		}
	}
	shop, spa := h.party("default", "shop"), h.party("default", "spa")
	begin := func(p *party) *httptest.ResponseRecorder {
		return h.from(h.handler, "", http.MethodGet, strings.TrimPrefix(p.ask(), h.URL), "")
	}
	for range 2 {
		h.from(h.handler, "", http.MethodGet, strings.TrimPrefix(shop.ask("redirect_uri", "https://evil.example/"), h.URL), "")
		if got := begin(shop); got.Code != http.StatusSeeOther {
			t.Fatal(got.Code)
		}
	}
	tooMany(t, begin(shop))
	if got := begin(spa); got.Code != http.StatusSeeOther {
		t.Errorf("another client: %d", got.Code)
	}
}

// TestALoopIsStopped: an application that sends the browser round and round.
func TestALoopIsStopped(t *testing.T) {
	h := open(t, limitedTo(limit.Policy{SignIns: limit.Rate{N: 4, Per: lasting(time.Hour)}}))
	shop, post := h.party("default", "shop"), h.party("default", "post")
	h.corp.Set(upstreamtest.Knobs{Subject: "round"})
	b := h.browser()
	shop.signIn(b)
	for range 3 {
		shop.code(b.get(shop.ask()))
	}
	commits := h.engine.count()
	stopped := b.get(shop.ask("prompt", "none"))
	if stopped.away || stopped.status != http.StatusTooManyRequests || stopped.header.Get("Retry-After") == "" || h.engine.count() != commits {
		t.Fatalf("%d at %s, %d commits", stopped.status, stopped.url, h.engine.count()-commits)
	}
	if l := b.get(post.ask()); l.status != http.StatusTooManyRequests {
		t.Errorf("by way of another application: %d", l.status)
	}
	if l := h.browser().get(shop.ask()); l.status != http.StatusTooManyRequests {
		t.Errorf("in another browser: %d", l.status)
	}
	h.corp.Set(upstreamtest.Knobs{Subject: "somebody else"})
	shop.signIn(h.browser())
	if h.limitedBy("authorize", "person") != 2 || h.limitedBy("callback", "person") != 1 {
		t.Error("not counted where it was")
	}
}

// TestRefreshesAreLimited, and a refused one leaves the token good.
func TestRefreshesAreLimited(t *testing.T) {
	per := lasting(10 * time.Minute)
	h := open(t, limitedTo(limit.Policy{Refreshes: limit.Rate{N: 3, Per: per}}))
	shop := h.party("default", "shop")
	got, other := shop.signIn(h.browser()), shop.signIn(h.browser())
	for range 3 {
		if got = shop.refresh(got.Refresh); got.Error != "" {
			t.Fatal(got.Error)
		}
	}
	again := shop.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}})
	if again.status != http.StatusTooManyRequests || again.Error != string(federation.TemporarilyUnavailable) || again.header.Get("Retry-After") == "" {
		t.Fatalf("%d %s", again.status, again.Error)
	}
	if got := shop.refresh(other.Refresh); got.Error != "" {
		t.Errorf("another grant was refused as well: %s", got.Error)
	}
	h.clock.advance(per)
	if got = shop.refresh(got.Refresh); got.Error != "" {
		t.Errorf("the token is good no longer: %s", got.Error)
	}
}

// TestNodesCountTogether: what one has let through, another knows.
func TestNodesCountTogether(t *testing.T) {
	h := open(t, limitedTo(limit.Policy{Endpoints: everywhere(limit.Rate{N: 20, Per: lasting(time.Hour)})}))
	o := h.made
	o.Limiter = h.counter()
	second, err := op.New(o)
	must(t, err)
	visit := func(node http.Handler, n int) (through int) {
		for range n {
			if h.from(node, "192.0.2.1", http.MethodGet, "/consent?tx=x", "").Code != http.StatusTooManyRequests {
				through++
			}
		}
		return through
	}
	told := func() {
		must(t, h.limiter.Flush(t.Context()))
		must(t, o.Limiter.Flush(t.Context()))
	}
	if n := visit(h.handler, 10); n != 10 {
		t.Fatal(n)
	}
	told()
	if n := visit(second, 5); n != 5 {
		t.Fatal(n)
	}
	told()
	if n := visit(second, 20); n != 5 {
		t.Errorf("the second let %d of 5 through", n)
	}
	told()
	visit(h.handler, 1)
	told()
	if n := visit(h.handler, 20); n != 0 {
		t.Errorf("the first let %d more through", n)
	}
}

func TestLimitsNeedWhoCounts(t *testing.T) {
	h := open(t)
	o := h.made
	o.Limiter = nil
	if _, err := op.New(o); err == nil {
		t.Error("limits that nobody counts")
	}
}
