package freshness

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

// asker is an upstream that answers as a test says.
type asker func(ctx context.Context, l federation.Login) (federation.Login, error)

func (asker) AuthURL(context.Context, federation.Attempt) (string, error) { return "", nil }

func (asker) Exchange(context.Context, federation.Attempt, federation.Callback) (federation.Login, error) {
	return federation.Login{}, nil
}

func (a asker) Recheck(ctx context.Context, l federation.Login) (federation.Login, error) {
	return a(ctx, l)
}

// house is two nodes over one store, with a clock that tests move.
type house struct {
	t      *testing.T
	engine store.Engine
	nodes  [2]*Manager
	ahead  atomic.Int64
	told   atomic.Int64
	// upstream is what ask asks.
	upstream federation.Upstream
}

// ask asks once, with an upstream that answers with err.
func (h *house) ask(set func(error), err error) {
	h.t.Helper()
	set(err)
	if _, got := h.nodes[0].Ask(h.t.Context(), tenant(), h.upstream, grant("s")); (got == nil) != (err == nil) {
		h.t.Fatal(got)
	}
}

// crash is a node that claims the login and is heard of no more.
func (h *house) crash() {
	h.t.Helper()
	m := h.nodes[1]
	row, err := m.table.Get(h.t.Context(), tenant().Place, idOf("alice", "s", "corp"))
	if err != nil {
		h.t.Fatal(err)
	}
	rec := row.Value.by("the dead", time.Now())
	if _, err := h.engine.Commit(h.t.Context(), m.table.Replace(row.Place, row.ID, rec, row.Version, time.Time{})); err != nil {
		h.t.Fatal(err)
	}
}

func open(t *testing.T) *house {
	t.Helper()
	h := &house{t: t}
	eng, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "x.db"), Now: func() time.Time { return time.Now().Add(time.Duration(h.ahead.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = eng.Close() })
	h.engine = eng
	for i := range h.nodes {
		if h.nodes[i], err = New(Options{Engine: eng, Told: func(context.Context, federation.Tenant, string, federation.Login) ([]store.Op, error) {
			h.told.Add(1)
			return nil, nil
		}}); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func tenant() federation.Tenant {
	return federation.Tenant{ID: "default", Place: store.Place{Tenant: "default"}}
}

func grant(sid string) federation.Grant {
	return federation.Grant{Tenant: "default", Person: "alice", Session: sid, Upstream: "corp", Client: "shop"}
}

func always(a asker) federation.Upstream {
	return federation.Upstream{ID: "corp", Tenant: "default", Connector: a,
		Freshness: federation.Freshness{Check: federation.CheckAlways, Unreachable: federation.Deny, Nothing: federation.Deny}}
}

// begin is a sign-in.
func (h *house) begin(g federation.Grant, l federation.Login) {
	h.t.Helper()
	_, err := store.Update(h.t.Context(), h.engine, func(ctx context.Context) ([]store.Op, error) { return h.nodes[0].Begin(ctx, tenant(), g, &l) })
	if err != nil {
		h.t.Fatal(err)
	}
}

func login(token string) federation.Login {
	return federation.Login{Upstream: "corp", Subject: "alice", RefreshToken: token, Claims: claims.Set{"sub": "alice", "n": "0"}}
}

func (h *house) kept(g federation.Grant) record {
	h.t.Helper()
	row, err := h.nodes[0].table.Get(h.t.Context(), tenant().Place, idOf(g.Person, g.Session, g.Upstream))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		h.t.Fatal(err)
	}
	return row.Value
}

func codeOf(err error) federation.Code {
	switch e, ok := errors.AsType[*federation.Error](err); {
	case errors.Is(err, federation.ErrGone):
		return "gone"
	case ok:
		return e.Code
	case err != nil:
		return federation.Code(err.Error())
	}
	return ""
}

func down() error { return federation.Fail(federation.TemporarilyUnavailable, "down") }

func unanswered() error {
	return federation.Fail(federation.TemporarilyUnavailable, "down").Because(federation.ErrUnanswered)
}

// rotating is an upstream that takes each refresh token once, and notices who
// comes at the same time or with an old one.
type rotating struct {
	mu     sync.Mutex
	good   string
	calls  int
	within atomic.Int64
	most   atomic.Int64
	slow   time.Duration
}

func (r *rotating) recheck(_ context.Context, l federation.Login) (federation.Login, error) {
	now := r.within.Add(1)
	defer r.within.Add(-1)
	r.most.Store(max(r.most.Load(), now))
	time.Sleep(r.slow)
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.RefreshToken != r.good {
		return l, federation.ErrGone
	}
	r.calls++
	r.good = fmt.Sprint("token-", r.calls)
	l.RefreshToken, l.Claims = r.good, claims.Set{"sub": "alice", "n": fmt.Sprint(r.calls)}
	return l, nil
}

// TestOneCallAtATimePerLogin: 32 refreshes at once on two nodes, again and
// again, and never a token twice.
func TestOneCallAtATimePerLogin(t *testing.T) {
	h := open(t)
	up := &rotating{good: "token-0", slow: 5 * time.Millisecond}
	u := always(up.recheck)
	h.begin(grant("s"), login("token-0"))
	for range 3 {
		var group sync.WaitGroup
		for i := range 32 {
			group.Go(func() {
				l, err := h.nodes[i%2].Ask(t.Context(), tenant(), u, grant("s"))
				if err != nil || l.Claims["n"] == "0" {
					t.Errorf("%v %v", l, err)
				}
			})
		}
		group.Wait()
	}
	if up.most.Load() != 1 {
		t.Errorf("%d calls at once", up.most.Load())
	}
	if up.calls < 3 || up.calls > 60 {
		t.Errorf("%d calls for 96 refreshes in three rounds", up.calls)
	}
	if rec := h.kept(grant("s")); rec.Login.RefreshToken != up.good || rec.Claim != "" || int64(up.calls) != h.told.Load() {
		t.Errorf("kept %+v, told %d of %d", rec, h.told.Load(), up.calls)
	}
}

func TestLoginsDoNotWaitForEachOther(t *testing.T) {
	h := open(t)
	const logins, slow = 16, 200 * time.Millisecond
	var within, most atomic.Int64
	meet := make(chan struct{})
	u := always(func(_ context.Context, l federation.Login) (federation.Login, error) {
		if within.Add(1) == logins {
			close(meet)
		}
		most.Store(max(most.Load(), within.Load()))
		select { // all of them are here at once, or it takes too long
		case <-meet:
		case <-time.After(5 * time.Second):
		}
		return l, nil
	})
	var group sync.WaitGroup
	for i := range logins {
		h.begin(grant(fmt.Sprint("s", i)), login("x"))
	}
	for i := range logins {
		group.Go(func() {
			if _, err := h.nodes[i%2].Ask(t.Context(), tenant(), u, grant(fmt.Sprint("s", i))); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if within.Load() != logins || most.Load() != logins {
		t.Errorf("%d of %d at once", most.Load(), logins)
	}
}

// TestWhatComesOfIt has a row per outcome and policy.
func TestWhatComesOfIt(t *testing.T) {
	allow := func(f *federation.Freshness) { f.Unreachable, f.Nothing = federation.Allow, federation.Allow }
	forAnHour := func(f *federation.Freshness) { f.Unreachable, f.AllowFor = federation.AllowFor, time.Hour }
	anHourOld := func(f *federation.Freshness) { f.Check, f.After = federation.CheckAfter, time.Hour }
	lies := federation.Fail(federation.ServerError, "lies")
	for name, c := range map[string]struct {
		err   error
		rules func(*federation.Freshness)
		after time.Duration
		want  federation.Code
		calls int
	}{
		"stands":                      {calls: 1},
		"gone":                        {err: federation.ErrGone, want: "gone", calls: 1},
		"down":                        {err: down(), want: federation.TemporarilyUnavailable, calls: 1},
		"down, allowed":               {err: down(), rules: allow, after: 1000 * time.Hour, calls: 1},
		"down, allowed for an hour":   {err: down(), rules: forAnHour, after: 59 * time.Minute, calls: 1},
		"down, for more than an hour": {err: down(), rules: forAnHour, after: 61 * time.Minute, want: federation.TemporarilyUnavailable, calls: 1},
		"nothing to ask with":         {err: federation.ErrNothingToCheck, want: federation.LoginRequired, calls: 1},
		"nothing, allowed":            {err: federation.ErrNothingToCheck, rules: allow, calls: 1},
		"not to be believed":          {err: lies, want: federation.TemporarilyUnavailable, calls: 1},
		"not to be believed, allowed": {err: lies, rules: allow, want: federation.TemporarilyUnavailable, calls: 1},
		"young enough":                {err: federation.ErrGone, rules: anHourOld, after: 59 * time.Minute},
		"not young enough":            {err: federation.ErrGone, rules: anHourOld, after: 61 * time.Minute, want: "gone", calls: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, calls := open(t), 0
			u := always(func(_ context.Context, l federation.Login) (federation.Login, error) { calls++; return l, c.err })
			if c.rules != nil {
				c.rules(&u.Freshness)
			}
			h.begin(grant("s"), login("x"))
			h.ahead.Store(int64(c.after))
			l, err := h.nodes[0].Ask(t.Context(), tenant(), u, grant("s"))
			if codeOf(err) != c.want || (err == nil) != (l != nil) || calls != c.calls {
				t.Errorf("got %v %v after %d calls", l, err, calls)
			}
			if rec := h.kept(grant("s")); rec.Claim != "" {
				t.Error("the claim was not given back")
			}
			if c.want == "gone" { // and stays so, for whoever asks
				calls = 0
				if _, err := h.nodes[1].Ask(t.Context(), tenant(), u, grant("s")); !errors.Is(err, federation.ErrGone) || calls != 0 {
					t.Errorf("the second time: %v", err)
				}
				if rec := h.kept(grant("s")); rec.Login.RefreshToken != "" {
					t.Error("the token of a login that is no more is kept")
				}
			}
		})
	}
}

// TestNothingIsKept: of sign-ins before the upstream was to be asked, and of
// upstreams that gave nothing.
func TestNothingIsKept(t *testing.T) {
	h := open(t)
	u := always(func(_ context.Context, l federation.Login) (federation.Login, error) {
		t.Error("asked")
		return l, nil
	})
	for _, sid := range []string{"unknown", "bare"} {
		if sid == "bare" {
			h.begin(grant(sid), login(""))
		}
		u.Freshness.Nothing = federation.Deny
		if _, err := h.nodes[0].Ask(t.Context(), tenant(), u, grant(sid)); codeOf(err) != federation.LoginRequired {
			t.Errorf("%s: %v", sid, err)
		}
		u.Freshness.Nothing = federation.Allow
		if _, err := h.nodes[0].Ask(t.Context(), tenant(), u, grant(sid)); err != nil {
			t.Errorf("%s: %v", sid, err)
		}
	}
}

// TestALostTokenIsNotALostUser: after an answer that nobody heard, and after a
// crash, a refusal means login_required; after anything else that the user is
// gone.
func TestALostTokenIsNotALostUser(t *testing.T) {
	for name, c := range map[string]struct {
		before func(h *house, set func(error))
		want   federation.Code
	}{
		"an answer that was lost":        {func(h *house, set func(error)) { h.ask(set, unanswered()) }, federation.LoginRequired},
		"an outage that was told":        {func(h *house, set func(error)) { h.ask(set, down()) }, "gone"},
		"lost, and then the old is good": {func(h *house, set func(error)) { h.ask(set, unanswered()); h.ask(set, nil) }, "gone"},
		"a crash": {func(h *house, _ func(error)) {
			h.crash()
			h.ahead.Store(int64(claimLife + time.Second))
		}, federation.LoginRequired},
		"a crash, and then the old is good": {func(h *house, set func(error)) {
			h.crash()
			h.ahead.Store(int64(claimLife + time.Second))
			h.ask(set, nil)
		}, "gone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			var says error
			set := func(err error) { says = err }
			h.begin(grant("s"), login("x"))
			u := always(func(_ context.Context, l federation.Login) (federation.Login, error) { return l, says })
			h.upstream = u
			c.before(h, set)
			says = federation.ErrGone
			for range 2 {
				if _, err := h.nodes[0].Ask(t.Context(), tenant(), u, grant("s")); codeOf(err) != c.want {
					t.Errorf("got %v, want %s", err, c.want)
				}
			}
			h.begin(grant("s"), login("y")) // the user came back
			says = nil
			if _, err := h.nodes[0].Ask(t.Context(), tenant(), u, grant("s")); err != nil {
				t.Errorf("after a new sign-in: %v", err)
			}
		})
	}
}

// TestWhoWaitsForACrashedNode is told so, and not for ever.
func TestWhoWaitsForACrashedNode(t *testing.T) {
	h := open(t)
	h.begin(grant("s"), login("x"))
	h.crash()
	u := always(func(_ context.Context, l federation.Login) (federation.Login, error) { return l, nil })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := h.nodes[1].Ask(ctx, tenant(), u, grant("s")); codeOf(err) != federation.TemporarilyUnavailable && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	h.ahead.Store(int64(claimLife + time.Second))
	if _, err := h.nodes[1].Ask(t.Context(), tenant(), u, grant("s")); err != nil {
		t.Errorf("after the claim ended: %v", err)
	}
}

// TestANewTokenIsKept, whatever else goes wrong with the call, and whoever has
// gone meanwhile.
func TestANewTokenIsKept(t *testing.T) {
	h := open(t)
	h.begin(grant("s"), login("x"))
	ctx, cancel := context.WithCancel(t.Context())
	u := always(func(_ context.Context, l federation.Login) (federation.Login, error) {
		cancel() // the client hangs up
		l.RefreshToken = "new"
		return l, down()
	})
	if _, err := h.nodes[0].Ask(ctx, tenant(), u, grant("s")); codeOf(err) != federation.TemporarilyUnavailable {
		t.Errorf("%v", err)
	}
	if rec := h.kept(grant("s")); rec.Login.RefreshToken != "new" || rec.Unsure {
		t.Errorf("kept %+v", rec)
	}
}

// TestASignInDuringACallWins: what the call finds out is of an older login.
func TestASignInDuringACallWins(t *testing.T) {
	h := open(t)
	h.begin(grant("s"), login("old"))
	calls := 0
	u := always(func(_ context.Context, l federation.Login) (federation.Login, error) {
		if calls++; calls == 1 {
			h.begin(grant("s"), login("new"))
			return l, federation.ErrGone
		}
		return l, nil
	})
	l, err := h.nodes[0].Ask(t.Context(), tenant(), u, grant("s"))
	if err != nil || l.RefreshToken != "new" || h.kept(grant("s")).Gone {
		t.Errorf("%v %v", l, err)
	}
}
