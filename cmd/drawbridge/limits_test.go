package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// forwarded visits with an X-Forwarded-For, and answers the status.
func forwarded(t *testing.T, address, by string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Forwarded-For", by)
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

// TestAnAddressCannotBeMadeUp: who is limited cannot name another address, and
// behind a proxy that is trusted everybody has their own.
func TestAnAddressCannotBeMadeUp(t *testing.T) {
	const limits = "limits: {authorize: {address: 3/24h}}\n"
	p := upstreamtest.New(t)
	text := file(t, p.URL, limits)
	app := start(t, text)
	at := authorizeAt(app, "shop")
	for i, by := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "127.0.0.1, 192.0.2.5"} {
		want := http.StatusSeeOther
		if i >= 3 {
			want = http.StatusTooManyRequests
		}
		if got := forwarded(t, at, by); got != want {
			t.Errorf("visit %d: %d, want %d", i, got, want)
		}
	}
	if shown := metricsOf(t, app); !strings.Contains(shown, `drawbridge_limited_total{endpoint="authorize",key="address"} 2`) {
		t.Error("the refusals are not counted")
	}
	app.Reload(t.Context(), load(t, strings.Replace(text, limits, "limits: off\n", 1)))
	if got, _ := get(t, at); got != http.StatusSeeOther {
		t.Errorf("with limits taken away: %d", got)
	}

	behind := start(t, file(t, p.URL, limits+"trusted_proxies: [127.0.0.1]\n"))
	for i, by := range []string{"192.0.2.1", "192.0.2.2", "198.51.100.1, 192.0.2.1", "198.51.100.2, 192.0.2.1", "198.51.100.3, 192.0.2.1", "192.0.2.2"} {
		want := http.StatusSeeOther
		if i == 4 {
			want = http.StatusTooManyRequests
		}
		if got := forwarded(t, authorizeAt(behind, "shop"), by); got != want {
			t.Errorf("visit %d by a proxy: %d, want %d", i, got, want)
		}
	}
}

func metricsOf(t *testing.T, app *App) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+app.ManagementAddr()+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestNodesLimitTogether over one Redis: what goes through at one is missing at
// the other.
func TestNodesLimitTogether(t *testing.T) {
	t.Parallel()
	text := storedIn(file(t, upstreamtest.New(t).URL, "limits: {authorize: {address: 40/24h}}\n"), redistest.Start(t))
	one, two := start(t, text+"node_name: one\n"), start(t, text+"node_name: two\n")
	visits := func(app *App, most int) int {
		for n := range most {
			if status, _ := get(t, authorizeAt(app, "shop")); status == http.StatusTooManyRequests {
				return n
			}
		}
		return most
	}
	// told says how many nodes have told of the one counter that there is.
	told := func() int {
		home, _ := one.tenant("default")
		rows, err := one.engine.Scan(t.Context(), store.Range{Partition: home.Place.Partition, Kind: "limit", Limit: 10})
		if err != nil || len(rows) == 0 {
			return 0
		}
		return strings.Count(string(rows[0].Value), `":`) - 1
	}
	if n := visits(one, 20); n != 20 {
		t.Fatalf("%d went through at the first", n)
	}
	until(t, "the first has told", func() bool { return told() == 1 })
	if n := visits(two, 10); n != 10 {
		t.Fatalf("%d went through at the second", n)
	}
	until(t, "the second has told", func() bool { return told() == 2 })
	time.Sleep(200 * time.Millisecond) // what it has told of, it now knows of the other
	if n := visits(two, 40); n != 10 {
		t.Errorf("%d more went through at the second, 10 should", n)
	}
}

// TestEveryLimitIsKept: a limit by a name that no route has would limit nothing.
func TestEveryLimitIsKept(t *testing.T) {
	text := file(t, upstreamtest.New(t).URL, "")
	for _, key := range []string{"authorize", "callback", "consent", "end_session", "token", "introspect", "revoke"} {
		if key == "authorize" {
			text += "limits:\n"
		}
		text += "  " + key + ": {address: 1/24h}\n"
	}
	app, paths := start(t, text), []string{"/authorize", "/choose", "/identify", "/callback/corp", "/consent", "/end_session", "/end_session/confirm",
		"/end_session/return", "/frontchannel_logout/corp", "/token", "/introspect", "/revoke"}
	for _, path := range paths {
		if first, _ := get(t, "http://"+app.PublicAddr()+path); first == http.StatusTooManyRequests {
			t.Errorf("%s is limited by the use of another", path)
		}
		if second, h := get(t, "http://"+app.PublicAddr()+path); second != http.StatusTooManyRequests || h.Get("Retry-After") == "" {
			t.Errorf("%s: %d, Retry-After %q", path, second, h.Get("Retry-After"))
		}
	}
	if n := len(app.live.Load().limits.Endpoints); n != len(paths) {
		t.Errorf("%d endpoints have limits, and %d were tried", n, len(paths))
	}
	if p := limitsOf(config.Limits{All: "off"}); len(p.Endpoints) != 0 || !p.Failures.Off() || !p.SignIns.Off() || !p.Refreshes.Off() {
		t.Errorf("off is %+v", p)
	}
}
