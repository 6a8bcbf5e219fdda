package op_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/upstream"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// rechecked makes every upstream be asked at every refresh.
func rechecked(change ...func(*federation.Freshness)) func(*setup) {
	return func(s *setup) {
		s.two = true
		s.upstream = func(u *federation.Upstream) {
			u.Freshness = federation.Freshness{Check: federation.CheckAlways, Unreachable: federation.Deny, Nothing: federation.Deny}
			for _, f := range change {
				f(&u.Freshness)
			}
		}
	}
}

// rotates is a provider that gives refresh tokens and takes each once, for a
// user of a department.
func rotates(dept string, change ...func(*upstreamtest.Knobs)) upstreamtest.Knobs {
	k := upstreamtest.Knobs{Refresh: upstreamtest.Refresh{Give: true, Rotate: true}, Userinfo: map[string]any{"dept": dept}}
	for _, f := range change {
		f(&k)
	}
	return k
}

// TestARefreshAsksTheUpstream: what it says now reaches the tokens, userinfo,
// and other clients of the session.
func TestARefreshAsksTheUpstream(t *testing.T) {
	h := open(t, rechecked())
	h.corp.Set(rotates("old"))
	p, other := h.party("default", "shop"), h.party("default", "post")
	b := h.browser()
	got := p.signIn(b)
	if p.claims(got.ID)["department"] != "old" {
		t.Fatalf("claims %v", p.claims(got.ID))
	}
	for range 3 { // each with the token of the one before
		h.corp.Set(rotates("new"))
		if got = p.refresh(got.Refresh); got.status != http.StatusOK || p.claims(got.ID)["department"] != "new" {
			t.Fatalf("refresh: %+v", got)
		}
	}
	if asked := h.corp.Hits("/token"); asked != 4 {
		t.Errorf("the token endpoint was asked %d times, want 4", asked)
	}
	asked := h.corp.Hits("/authorize")
	if silent := other.signIn(b); other.claims(silent.ID)["department"] != "new" || h.corp.Hits("/authorize") != asked {
		t.Errorf("another client of the session: %v", other.claims(silent.ID))
	}
	for name, value := range h.dump() {
		if strings.Contains(value, "rt-") && !strings.Contains(name, "freshness") {
			t.Errorf("the upstream's refresh token is in %q", name)
		}
	}
}

// TestAUserWhoIsGone: the refresh that finds it out ends the session, for all.
func TestAUserWhoIsGone(t *testing.T) {
	h := open(t, rechecked())
	h.corp.Set(rotates(""))
	p, other := h.party("default", "shop"), h.party("default", "post")
	b := h.browser()
	first, second := p.signIn(b), other.signIn(b)
	offline := p.redeem(p.code(b.press(b.get(p.ask("scope", "openid offline_access", "prompt", "consent")), "allow")))
	if offline.Refresh == "" {
		t.Fatal("no offline grant")
	}
	h.corp.Set(rotates("", func(k *upstreamtest.Knobs) { k.Refresh.Gone = true }))
	if got := p.refresh(first.Refresh); got.status != http.StatusBadRequest || got.Error != "invalid_grant" {
		t.Fatalf("%+v", got)
	}
	ended := h.events(federation.SessionEnded)
	if len(ended) != 1 || ended[0].Cause != federation.Destroy {
		t.Errorf("ended %+v", ended)
	}
	if p.live(first.Access) || other.live(second.Access) {
		t.Error("an access token of the session lives on")
	}
	h.corp.Set(rotates("")) // back again, but not for these
	asked := h.corp.Hits("/token")
	for name, token := range map[string]string{"its own": first.Refresh, "the offline one": offline.Refresh} {
		if got := p.refresh(token); got.Error != "invalid_grant" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := other.refresh(second.Refresh); got.Error != "invalid_grant" {
		t.Errorf("another client's: %+v", got)
	}
	if p.live(offline.Access) || h.corp.Hits("/token") != asked {
		t.Error("the offline grant lives on, or the upstream was asked about it")
	}
	p.refused(b.get(p.ask("prompt", "none")), federation.LoginRequired)
	p.signIn(b)
}

// TestOfflineGrantsAreAskedAbout also when their session is long over.
func TestOfflineGrantsAreAskedAbout(t *testing.T) {
	// The upstream's clock stays behind: it is forgiven.
	h := open(t, rechecked(), func(s *setup) { s.connector = func(o *upstream.Options) { o.Skew = 24 * time.Hour } })
	h.corp.Set(rotates("old"))
	p := h.party("default", "shop")
	b := h.browser()
	got := p.redeem(p.code(b.press(b.get(p.ask("scope", "openid email profile offline_access", "prompt", "consent")), "allow")))
	h.clock.advance(most)
	h.corp.Set(rotates("new"))
	if got = p.refresh(got.Refresh); got.status != http.StatusOK || p.claims(got.ID)["department"] != "new" {
		t.Fatalf("%+v", got)
	}
	h.corp.Set(rotates("", func(k *upstreamtest.Knobs) { k.Refresh.Gone = true }))
	if gone := p.refresh(got.Refresh); gone.Error != "invalid_grant" || p.live(got.Access) {
		t.Errorf("%+v", gone)
	}
}

func TestAnUpstreamThatIsAway(t *testing.T) {
	away := rotates("", func(k *upstreamtest.Knobs) { k.TokenStatus = 503 })
	t.Run("deny", func(t *testing.T) {
		h := open(t, rechecked())
		h.corp.Set(rotates(""))
		p := h.party("default", "shop")
		got := p.signIn(h.browser())
		h.corp.Set(away)
		refused := p.refresh(got.Refresh)
		if refused.status != http.StatusServiceUnavailable || refused.Error != "temporarily_unavailable" || refused.header.Get("Retry-After") == "" {
			t.Errorf("%+v", refused)
		}
		h.corp.Set(rotates(""))
		if again := p.refresh(got.Refresh); again.status != http.StatusOK {
			t.Errorf("the same token, later: %+v", again)
		}
	})
	t.Run("allow for an hour", func(t *testing.T) {
		h := open(t, rechecked(func(f *federation.Freshness) { f.Unreachable, f.AllowFor = federation.AllowFor, 20*time.Minute }))
		h.corp.Set(rotates("known"))
		p := h.party("default", "shop")
		got := p.signIn(h.browser())
		h.corp.Set(away)
		h.clock.advance(15 * time.Minute)
		if got = p.refresh(got.Refresh); got.status != http.StatusOK || p.claims(got.ID)["department"] != "known" {
			t.Fatalf("within the time: %+v", got)
		}
		h.clock.advance(6 * time.Minute)
		if refused := p.refresh(got.Refresh); refused.status != http.StatusServiceUnavailable {
			t.Errorf("beyond it: %+v", refused)
		}
	})
	t.Run("lies", func(t *testing.T) {
		h := open(t, rechecked(func(f *federation.Freshness) { f.Unreachable = federation.Allow }))
		h.corp.Set(rotates(""))
		p := h.party("default", "shop")
		got := p.signIn(h.browser())
		h.corp.Set(rotates("", func(k *upstreamtest.Knobs) { k.Refresh.Claims = map[string]any{"sub": "eve"} }))
		if refused := p.refresh(got.Refresh); refused.status != http.StatusServiceUnavailable {
			t.Errorf("another user: %+v", refused)
		}
		h.corp.Set(rotates(""))
		if again := p.refresh(got.Refresh); again.status != http.StatusOK {
			t.Errorf("and later: %+v", again)
		}
	})
	t.Run("its answer gets lost", func(t *testing.T) {
		h := open(t, rechecked())
		h.corp.Set(rotates(""))
		p := h.party("default", "shop")
		b := h.browser()
		got := p.signIn(b)
		h.corp.Set(rotates("", func(k *upstreamtest.Knobs) { k.Refresh.Lose = true }))
		if refused := p.refresh(got.Refresh); refused.status != http.StatusServiceUnavailable {
			t.Errorf("%+v", refused)
		}
		h.corp.Set(rotates(""))
		if refused := p.refresh(got.Refresh); refused.Error != "invalid_grant" {
			t.Errorf("the token that was replaced: %+v", refused)
		}
		if ended := h.events(federation.SessionEnded); len(ended) != 0 {
			t.Errorf("a token that got lost is taken for a user who is gone: %+v", ended)
		}
		if again := p.signIn(b, "prompt", "login"); p.refresh(again.Refresh).status != http.StatusOK {
			t.Error("a new sign-in does not help")
		}
	})
}

// TestNobodyIsAskedWhereNobodyIsToBe: two commits for a login and one for a
// refresh, and no call.
func TestNobodyIsAskedWhereNobodyIsToBe(t *testing.T) {
	h := open(t)
	h.corp.Set(rotates(""))
	p := h.party("default", "shop")
	before := h.engine.count()
	got := p.signIn(h.browser())
	if n := h.engine.count() - before; n != 2 {
		t.Errorf("%d commits for a login", n)
	}
	before, asked := h.engine.count(), h.corp.Hits("/token")
	p.refresh(got.Refresh)
	if n := h.engine.count() - before; n != 1 || h.corp.Hits("/token") != asked {
		t.Errorf("%d commits for a refresh", n)
	}
	for name, value := range h.dump() {
		if strings.Contains(name, "freshness") || strings.Contains(value, "rt-") || strings.Contains(value, "refresh_token") {
			t.Errorf("%q is kept, or has the upstream's refresh token", name)
		}
	}
}

// TestALoginThatIsKeptIsTwoCommits all the same; and a refresh that asks three.
func TestALoginThatIsKeptIsTwoCommits(t *testing.T) {
	h := open(t, rechecked())
	h.corp.Set(rotates(""))
	p := h.party("default", "shop")
	before := h.engine.count()
	got := p.signIn(h.browser())
	if n := h.engine.count() - before; n != 2 {
		t.Errorf("%d commits for a login", n)
	}
	before = h.engine.count()
	p.refresh(got.Refresh)
	if n := h.engine.count() - before; n != 3 {
		t.Errorf("%d commits for a refresh that asks", n)
	}
}

// TestRefreshesOfSeveralSessionsAtOnce, against a slow upstream whose tokens are
// good once: none waits for another, and none loses its login.
func TestRefreshesOfSeveralSessionsAtOnce(t *testing.T) {
	h := open(t, rechecked())
	h.corp.Set(rotates(""))
	p := h.party("default", "shop")
	const sessions = 16
	var tokens [sessions]string
	for i := range tokens {
		tokens[i] = p.signIn(h.browser()).Refresh
	}
	const slow = 300 * time.Millisecond
	h.corp.Set(rotates("", func(k *upstreamtest.Knobs) { k.Delay = slow }))
	began := time.Now()
	var bad atomic.Int64
	var group sync.WaitGroup
	for i := range tokens {
		for range 2 { // a client that is impatient
			group.Go(func() {
				if got := p.refresh(tokens[i]); got.status != http.StatusOK {
					bad.Add(1)
					t.Errorf("%+v", got)
				}
			})
		}
	}
	group.Wait()
	if took := time.Since(began); took > sessions*slow {
		t.Errorf("%d sessions took %v: one after the other", sessions, took)
	}
}

// TestARefreshAsksInATenantThatIsSpread: what is kept is where its session is.
func TestARefreshAsksInATenantThatIsSpread(t *testing.T) {
	h := open(t, rechecked(), spread)
	h.corp.Set(rotates("old"))
	p := h.party("default", "shop")
	got := p.signIn(h.browser())
	h.corp.Set(rotates("new"))
	for range 2 {
		if got = p.refresh(got.Refresh); got.status != http.StatusOK || p.claims(got.ID)["department"] != "new" {
			t.Fatalf("%+v", got)
		}
	}
	h.corp.Set(rotates("", func(k *upstreamtest.Knobs) { k.Refresh.Gone = true }))
	if gone := p.refresh(got.Refresh); gone.Error != "invalid_grant" || p.live(got.Access) {
		t.Errorf("%+v", gone)
	}
	for name := range h.dump() {
		if strings.Contains(name, "freshness") {
			t.Errorf("%q is left of a session that is over", name)
		}
	}
}
