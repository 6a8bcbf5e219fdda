package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation"
)

func TestTheConfigurationIsGood(t *testing.T) {
	for _, path := range []string{"/tmp/demo/drawbridge.db", `C:\a "b"\drawbridge.db`} {
		file, err := gateway(places{
			Public: "http://127.0.0.1:1001", Listen: "127.0.0.1:1001", Provider: "http://127.0.0.1:1002", Shop: "http://127.0.0.1:1003",
			Hook: "http://127.0.0.1:1004", Sink: "http://127.0.0.1:1005", SMTP: "127.0.0.1:1006", Path: path, Idle: idleOnce,
		})
		if err != nil {
			t.Fatal(err)
		}
		cfg, problems := config.Load("demo.yaml", file, config.Options{Env: newSecrets().lookup})
		if err := problems.Err(); err != nil {
			t.Fatalf("%v in:\n%s", err, file)
		}
		if cfg.Store.Path != path || cfg.Session.IdleTimeout != idleOnce {
			t.Errorf("path %q, idle %v", cfg.Store.Path, cfg.Session.IdleTimeout)
		}
	}
}

func TestNoSecretStandsInTheConfiguration(t *testing.T) {
	file, err := gateway(places{Public: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	s := newSecrets()
	for _, secret := range []string{s.platform, s.corp, s.shop, s.hook, s.sink} {
		if len(secret) < 20 || strings.Contains(string(file), secret) {
			t.Errorf("secret of %d characters, in the file: %t", len(secret), strings.Contains(string(file), secret))
		}
	}
}

func TestCompare(t *testing.T) {
	rows := compare(sides{
		upstream: map[string]any{"sub": "u-1", "name": "Ann", "dept": "Sales", "birthdate": "2000-01-01", "groups": []string{"a"}, "group_permissions": []string{"x"},
			"urn:onegini.com:oidc:tier": "gold", "iat": 1, "locale": "en"},
		sent: map[string]any{"sub": "p-1", "iss": "us", "name": "Ann", "dept": "Sales", "department": "Sales", "birthdate": "2000-01-01", "groups": []any{"a"}, "team": "t", "locale": "en"},
		answered: map[string]any{"sub": "root", "iss": "us", "name": "Ann", "dept": "Sales", "department": "Sales EMEA", "groups": []any{"a"}, "loyalty": "gold", "team": "t",
			"group_permissions": []string{"admin"}, "locale": "fr", "nonce": "n"},
		idToken:  map[string]any{"sub": "p-1", "iss": "us", "nonce": "n", "department": "Sales EMEA"},
		userinfo: map[string]any{"sub": "p-1", "name": "Ann", "department": "Sales EMEA", "loyalty": "gold", "team": "t", "locale": "fr"},
	})
	want := map[string]verdict{
		"sub": refused, "group_permissions": refused, "urn:onegini.com:oidc:tier": withheld, "loyalty": added, "department": changed, "locale": changed,
		"birthdate": filtered, "team": mapped, "name": passed, "groups": unasked, "dept": unasked, "iss": minted, "iat": minted, "nonce": forged,
	}
	for i, r := range rows {
		if want[r.Claim] != r.Verdict || r.Why == "" {
			t.Errorf("%s is %q (%s), not %q", r.Claim, r.Verdict, r.Why, want[r.Claim])
		}
		if i > 0 && rows[i-1].Verdict.rank() > r.Verdict.rank() {
			t.Errorf("%s stands after %s", r.Claim, rows[i-1].Claim)
		}
		delete(want, r.Claim)
	}
	if len(want) > 0 {
		t.Errorf("not compared: %v", want)
	}
}

func TestTheHookAddsChangesFiltersAndForges(t *testing.T) {
	h := newClaimsHook("secret", time.Now)
	call := func(path, password, body string) (int, string) {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		r.SetBasicAuth(hookUser, password)
		h.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	body := `{"user":{"id":"p-1"},"scopes":["openid"],"claims":{"sub":"p-1","department":"Sales","birthdate":"2000-01-01","n":12345678901234567890},"contextCustomParams":null}`
	for want, got := range map[int]func() (int, string){
		http.StatusUnauthorized: func() (int, string) { return call(hookPath, "guessed", body) },
		http.StatusNotFound:     func() (int, string) { return call("/other", "secret", body) },
		http.StatusBadRequest:   func() (int, string) { return call(hookPath, "secret", "[") },
	} {
		if status, _ := got(); status != want {
			t.Errorf("%d, not %d", status, want)
		}
	}
	if n := len(h.calls.newest()); n != 0 {
		t.Errorf("%d calls were taken", n)
	}
	status, answer := call(hookPath, "secret", body)
	want := `{"claims":{"department":"Sales EMEA","group_permissions":["administrator"],"loyalty":"gold","n":12345678901234567890,"sub":"00000000-0000-0000-0000-00000000root"}}`
	if status != http.StatusOK || answer != want {
		t.Errorf("%d %s", status, answer)
	}
	if e, ok := h.callAbout("p-1"); !ok || e.Sent["sub"] != "p-1" || e.Answered["loyalty"] != "gold" {
		t.Errorf("remembered: %+v", e)
	}
	if status, _ := call(hookPath, "secret", `{"user":{"id":"p-2"}}`); status != http.StatusOK {
		t.Errorf("a call without claims: %d", status)
	}
}

func TestTheSinkTakesWhatCarriesItsSecret(t *testing.T) {
	s := newSink("secret", time.Now)
	post := func(path, secret, body string) int {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		r.Header.Set(sinkSecretHeader, secret)
		r.Header.Set("Webhook-Id", "e-1")
		s.ServeHTTP(w, r)
		return w.Code
	}
	good := `{"event":"LOGOUT","user":"p-1","session":"s-1"}`
	for _, c := range []struct {
		path, secret, body string
		want               int
	}{
		{sinkPath, "guessed", good, http.StatusUnauthorized},
		{"/", "secret", good, http.StatusNotFound},
		{sinkPath, "secret", "{", http.StatusBadRequest},
		{sinkPath, "secret", good + strings.Repeat(" ", maxBody), http.StatusBadRequest},
		{sinkPath, "secret", good, http.StatusNoContent},
	} {
		if got := post(c.path, c.secret, c.body); got != c.want {
			t.Errorf("%s with %s: %d, not %d", c.path, c.secret, got, c.want)
		}
	}
	if d, ok := s.endOf("s-1"); !ok || d.Number != 1 || d.Event != "LOGOUT" || d.ID != "e-1" {
		t.Errorf("%+v", d)
	}
	if _, ok := s.endOf(""); ok {
		t.Error("no session ended")
	}
}

func TestTheTapKeepsAuditLinesAndPassesOn(t *testing.T) {
	var out bytes.Buffer
	tap := newAuditTap(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}))
	log := slog.New(tap).With("node", "demo").WithGroup("g")
	began := time.Now().Add(-time.Minute)
	log.Info("signed in", "claim", "x")
	log.Info(refusedClaim, "audit", true, "claim", "sub")
	log.Info(refusedClaim, "audit", true, "claim", "aud")
	log.With("audit", true).Warn("hook failed", "key", federation.Secret("hunter2"))
	log.Debug(refusedClaim, "audit", true)
	got := tap.refusedBetween(began, time.Now().Add(time.Minute))
	if len(got) != 2 || got[0].Value("claim") != "sub" || got[1].Value("claim") != "aud" || got[0].Value("node") != "demo" || got[0].Value("audit") != "" {
		t.Errorf("%+v", got)
	}
	if n := len(tap.refusedBetween(began, began)); n != 0 {
		t.Errorf("%d lines of another time", n)
	}
	if n := len(tap.lines.newest()); n != 3 {
		t.Errorf("%d audit lines", n)
	}
	if key := tap.lines.newest()[0].Value("key"); strings.Contains(key, "hunter2") {
		t.Errorf("a secret is kept as %q", key)
	}
	if text := out.String(); !strings.Contains(text, "hook failed") || strings.Contains(text, refusedClaim) {
		t.Errorf("passed on: %s", text)
	}
}

func TestTheJournalWakesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal[int](3)
		var group sync.WaitGroup
		for want := range 10 {
			group.Go(func() {
				if got, err := j.wait(t.Context(), func(n int) bool { return n == want+1 }); err != nil || got != want+1 {
					t.Errorf("waited for %d: %d, %v", want+1, got, err)
				}
			})
		}
		for range 10 {
			synctest.Wait()
			j.add(func(n int) int { return n })
		}
		group.Wait()
		if got := fmt.Sprint(j.newest()); got != "[10 9 8]" {
			t.Errorf("kept %s", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := j.wait(ctx, func(int) bool { return false }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting ended with %v", err)
		}
	})
}

func TestTheReportSaysWhatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := &report{out: &out, now: time.Now}
		works := func(context.Context) error { time.Sleep(12 * time.Millisecond); return nil }
		breaks := func(context.Context) error { return errors.New("it rained") }
		hangs := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		err := r.walk(t.Context(), []chapter{{{"one", works}, {"two", breaks}, {"three", works}}, {{"four", hangs}}, {{"five", works}}})
		want := "ok    one (12 ms)\nFAIL  two: it rained\nFAIL  three: not reached, because of \"two\"\nFAIL  four: context deadline exceeded\nok    five (12 ms)\n"
		if out.String() != want {
			t.Errorf("the report is\n%s", out.String())
		}
		if !errors.Is(err, ErrJourney) {
			t.Errorf("ended with %v", err)
		}
		if err := (&report{out: &out, now: time.Now}).walk(t.Context(), []chapter{{{"one", works}}}); err != nil {
			t.Errorf("a good journey ended with %v", err)
		}
	})
}
