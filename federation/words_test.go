package federation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

func TestHandle(t *testing.T) {
	h := NewHandle(store.Place{Tenant: "acme-1", Partition: 15})
	again, ok := ParseHandle(h.String())
	if !ok || again != h || h.ID() == h.Secret || len(h.Secret) != 43 {
		t.Fatalf("%v %v %v", h, again, ok)
	}
	secret := h.Secret
	for _, bad := range []string{
		"", ".", "..", secret, "acme.0", "acme.0." + secret[1:], "acme.0." + secret + "x", "acme.00." + secret, "acme.+1." + secret, "acme.-1." + secret,
		"acme.65536." + secret, "acme..0." + secret, "Acme.0." + secret, ".0." + secret, "ac me.0." + secret, "acme.0." + secret[:42] + "=",
		strings.Repeat("a", 64) + ".0." + secret, "acme.0." + secret[:42] + "\n", " acme.0." + secret, "acme.0x1." + secret,
	} {
		if h, ok := ParseHandle(bad); ok {
			t.Errorf("%q is %v", bad, h)
		}
	}
}

func FuzzParseHandle(f *testing.F) {
	f.Add(NewHandle(store.Place{Tenant: "default"}).String())
	f.Add("a.0.x")
	f.Fuzz(func(t *testing.T, s string) {
		if h, ok := ParseHandle(s); ok && h.String() != s {
			t.Fatalf("%q is read as %q", s, h)
		}
	})
}

func TestSecretDoesNotPrint(t *testing.T) {
	s := Secret("hunter2")
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "s", s, "in", struct{ S Secret }{s})
	body, err := json.Marshal(map[string]any{"s": s})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprintf("%v %s %q %#v %+v", s, s, s, s, struct{ S Secret }{s}), log.String(), string(body)} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("printed: %s", text)
		}
	}
	if s.Reveal() != "hunter2" || !s.Matches("hunter2") || s.Matches("hunter") || s.Matches("") || Secret("").Matches("") {
		t.Error("compared wrongly")
	}
}

func TestErrors(t *testing.T) {
	e := Fail(InvalidGrant, "Spent.").Because(io.ErrUnexpectedEOF)
	if e.Status != 400 || !errors.Is(e, io.ErrUnexpectedEOF) || !strings.Contains(e.Error(), "unexpected EOF") {
		t.Errorf("%+v", e)
	}
	if got := Public(fmt.Errorf("wrapped: %w", e)); got != e {
		t.Errorf("%v", got)
	}
	unknown := Public(io.ErrClosedPipe)
	if unknown.Code != ServerError || unknown.Status != 500 || strings.Contains(unknown.Description, "pipe") || !errors.Is(unknown, io.ErrClosedPipe) {
		t.Errorf("%+v", unknown)
	}
	for code, status := range map[Code]int{InvalidClient: 401, InvalidToken: 401, InsufficientScope: 403, AccessDenied: 403, TemporarilyUnavailable: 503,
		ServerError: 500, InvalidRequest: http.StatusBadRequest, LoginRequired: 400, "other": 400} {
		if got := Fail(code, "").Status; got != status {
			t.Errorf("%s: %d", code, got)
		}
	}
}

func TestDeadline(t *testing.T) {
	at := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, tc := range map[string]struct {
		active time.Time
		idle   time.Duration
		want   time.Time
		cause  Cause
	}{
		"idle":  {at, time.Minute, at.Add(time.Minute), IdleTimeout},
		"most":  {at.Add(50 * time.Minute), time.Hour, at.Add(time.Hour), MaxTimeout},
		"a tie": {at.Add(30 * time.Minute), 30 * time.Minute, at.Add(time.Hour), MaxTimeout},
	} {
		s := Session{Began: at, Active: tc.active, Idle: tc.idle, Max: time.Hour}
		if got, cause := s.Deadline(); !got.Equal(tc.want) || cause != tc.cause {
			t.Errorf("%s: %v %s", name, got, cause)
		}
	}
}

// TestSessionIsAValue: what With… returns shares nothing with what it came from.
func TestSessionIsAValue(t *testing.T) {
	at := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	first := Session{}.WithLogin(Login{Upstream: "a", Subject: "1"}).WithVisit(Visit{Client: "shop"}, at)
	second := first.WithLogin(Login{Upstream: "b"}).WithLogin(Login{Upstream: "a", Subject: "2"}).WithVisit(Visit{Client: "shop"}, at.Add(time.Hour)).WithVisit(Visit{Client: "post"}, at)
	if l, _ := first.Login("a"); l.Subject != "1" || len(first.Logins) != 1 || !first.Clients[0].Last.Equal(at) {
		t.Errorf("%+v", first)
	}
	l, ok := second.Login("a")
	if !ok || l.Subject != "2" || len(second.Logins) != 2 || second.Logins[0].Upstream != "a" || len(second.Clients) != 2 ||
		!second.Clients[0].First.Equal(at) || !second.Clients[0].Last.Equal(at.Add(time.Hour)) {
		t.Errorf("%+v", second)
	}
	if _, ok := second.Login("c"); ok {
		t.Error("a login of nobody")
	}
}

func TestVouches(t *testing.T) {
	u := Upstream{Domains: []string{"corp.example"}}
	for email, want := range map[string]bool{
		"a@corp.example": true, "A@CORP.Example": true, `"x@y"@corp.example`: true, "a@corp.example.evil": false, "a@evil.corp.example": false,
		"@corp.example": false, "corp.example": false, "": false, "a@": false, "a@corp.example ": false,
	} {
		if got := u.Vouches(email); got != want {
			t.Errorf("%q: %v", email, got)
		}
	}
	if all := (Upstream{TrustAnyEmail: true}); !all.Vouches("a@elsewhere.example") || all.Vouches("") {
		t.Error("trust_email any")
	}
}

func TestPlanners(t *testing.T) {
	one := func(_ context.Context, c Change) ([]store.Op, error) {
		return []store.Op{store.Append(0, []byte(c.Kind))}, nil
	}
	bad := func(context.Context, Change) ([]store.Op, error) { return nil, io.ErrClosedPipe }
	if ops, err := Planners(one, one)(t.Context(), Change{Kind: SignedIn}); err != nil || len(ops) != 2 || string(ops[1].Value) != "signed in" {
		t.Errorf("%v %v", ops, err)
	}
	if ops, err := Planners(one, bad)(t.Context(), Change{}); !errors.Is(err, io.ErrClosedPipe) || ops != nil {
		t.Errorf("%v %v", ops, err)
	}
	if ops, err := Planners()(t.Context(), Change{}); err != nil || ops != nil {
		t.Errorf("%v %v", ops, err)
	}
	g := Grant{Scopes: []string{"openid"}}
	if !g.Has("openid") || g.Has("email") {
		t.Error("scopes of a grant")
	}
}
