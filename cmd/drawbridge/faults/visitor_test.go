//go:build faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/oracle"
)

// The lifetimes of the sessions of a round.
const (
	idleTime = 8 * time.Second
	maxTime  = 25 * time.Second
)

// load is the visitors of a round.
type load struct {
	c *client
	j *journal
	// prefix makes names that no other round has.
	prefix string
	names  atomic.Int64
	// calls counts the requests.
	calls atomic.Int64
	// volley, while set, makes visitors sign out at once.
	volley atomic.Bool
}

// run keeps so many visitors busy until ctx ends. Stories that have begun go on
// to their end, so that sessions are left behind in every state.
func (l *load) run(ctx context.Context, visitors int, random func(n int) *rand.Rand) {
	var group sync.WaitGroup
	for n := range visitors {
		rnd := random(n)
		group.Go(func() {
			for ctx.Err() == nil {
				v := &visitor{load: l, rnd: rnd, user: fmt.Sprintf("%s-%06d", l.prefix, l.names.Add(1))}
				if rnd.IntN(20) == 0 {
					v.user += forgottenSuffix
				}
				v.visit(ctx)
				if v.tokens.Access == "" {
					pause(ctx, 300*time.Millisecond) // the program may be down
				}
			}
		})
	}
	group.Wait()
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// visitor is one user with one session.
type visitor struct {
	*load
	rnd     *rand.Rand
	user    string
	browser *browser
	tokens  tokens
	// unsure says that a refresh had no clear answer: the tokens may be void
	// though the session is not.
	unsure bool
	s      oracle.Session
}

// visit is a whole story: sign in, be active, leave in one way or another.
func (v *visitor) visit(ctx context.Context) {
	v.browser = v.c.newBrowser()
	v.s = oracle.Session{ID: v.user, Idle: idleTime, Max: maxTime}
	if !v.signIn() {
		return
	}
	defer func() { v.j.lived(v.s) }()
	if v.tokens.Access == "" {
		return // the session is there and will time out
	}
	v.j.acknowledged(v.user, "began as "+v.tokens.sid)
	v.j.known(v.user, v.tokens)
	for range v.rnd.IntN(6) {
		v.stay(ctx, time.Duration(v.rnd.Int64N(int64(idleTime/4))))
		if !v.act() {
			return
		}
	}
	switch n := v.rnd.IntN(10); {
	case strings.HasSuffix(v.user, forgottenSuffix):
		v.signOut()
		v.forgotten()
	case n < 4:
		v.signOut()
	case n < 5:
		v.destroyed()
	case n < 6:
		v.both()
	case n < 7:
		for ctx.Err() == nil && v.act() { // until the lifetime is over
			v.stay(ctx, idleTime/4)
		}
	}
}

// stay is a pause that a volley shortens.
func (v *visitor) stay(ctx context.Context, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil && !v.volley.Load(); {
		pause(ctx, 20*time.Millisecond)
	}
}

// signIn says whether there may be a session.
func (v *visitor) signIn() bool {
	var back string
	var g grant
	var err error
	v.call("authorize", func() (int, error) {
		back, g, _, err = v.browser.authorize(v.user, nil)
		return 0, err
	})
	if err != nil {
		return false
	}
	v.s.Began = v.call("callback", func() (int, error) {
		g.code, err = v.browser.callback(back)
		return 0, err
	})
	if no, ok := errors.AsType[*refused](err); ok && no.status < 500 && no.status != 0 {
		v.j.fail("sign-in of %s: %v", v.user, err)
		return false
	}
	if err != nil {
		v.j.lived(v.s) // it may be there all the same
		return false
	}
	v.s.Certain = true
	at := v.call("redeem", func() (int, error) {
		v.tokens, err = v.c.redeem(g)
		return 0, err
	})
	if v.unclear("redeem a code", err) {
		v.saw(at, oracle.Unclear)
		v.tokens = tokens{}
		return true
	}
	if err != nil {
		v.j.fail("a code of %s was issued and is not redeemed: %v", v.user, err)
		v.tokens = tokens{}
		return true
	}
	v.saw(at, oracle.Alive)
	if v.rnd.IntN(40) == 0 {
		v.redeemAgain(g)
	}
	return true
}

// redeemAgain replays a code. The tokens are void then, and the session stays.
func (v *visitor) redeemAgain(g grant) {
	var err error
	v.call("redeem again", func() (int, error) {
		_, err = v.c.redeem(g)
		return 0, err
	})
	if err == nil {
		v.j.fail("a code of %s was redeemed twice", v.user)
	}
	v.tokens = tokens{}
}

// call times a request. One without a clear answer is noted: a fault must explain
// it.
func (v *visitor) call(what string, request func() (status int, err error)) oracle.Span {
	v.calls.Add(1)
	from := time.Now()
	status, err := request()
	at := oracle.Span{From: from, To: time.Now()}
	if no, ok := errors.AsType[*refused](err); ok {
		status = no.status
	}
	if errors.Is(err, errNoAnswer) || status >= 500 || status == http.StatusTooManyRequests {
		v.j.unanswered(lostCall{Span: at, What: what, Why: fmt.Sprintf("%d %v", status, err)})
	}
	return at
}

// unclear says whether an error leaves open what became of the request. Any
// other answer but success and invalid_grant is wrong.
func (v *visitor) unclear(what string, err error) bool {
	if err == nil {
		return false
	}
	no, ok := errors.AsType[*refused](err)
	switch {
	case errors.Is(err, errNoAnswer), ok && (no.status >= 500 || no.status == http.StatusTooManyRequests):
		return true
	case !ok || no.code != "invalid_grant":
		v.j.fail("%s for %s: %v", what, v.user, err)
		return true
	}
	return false
}

func (v *visitor) saw(at oracle.Span, found oracle.State) {
	v.s.Sights = append(v.s.Sights, oracle.Sight{Span: at, Found: found})
}

// act does one thing that the session must be alive for, and says whether it was.
func (v *visitor) act() bool {
	switch v.rnd.IntN(5) {
	case 0, 1:
		return v.refresh()
	case 2:
		return v.silently()
	}
	return v.ask()
}

// ask calls userinfo.
func (v *visitor) ask() bool {
	var status int
	var err error
	at := v.call("userinfo", func() (int, error) {
		status, err = v.c.userinfo(v.tokens.Access)
		return status, err
	})
	switch {
	case err != nil || status >= 500 || status == http.StatusTooManyRequests:
		v.saw(at, oracle.Unclear)
	case status == http.StatusOK:
		v.saw(at, oracle.Alive)
	case status == http.StatusUnauthorized && v.unsure:
		v.saw(at, oracle.Unclear)
		return false
	case status == http.StatusUnauthorized:
		v.saw(at, oracle.Over)
		return false
	default:
		v.j.fail("userinfo of %s answers %d", v.user, status)
	}
	return true
}

// refresh rotates the refresh token. One whose answer was lost is sent again at
// once, as a client does, which the program must allow for a while.
func (v *visitor) refresh() bool {
	for try := range 3 {
		var got tokens
		var err error
		at := v.call("refresh", func() (int, error) {
			got, err = v.c.refresh(v.tokens.Refresh)
			return 0, err
		})
		switch {
		case v.unclear("refresh", err):
			v.saw(at, oracle.Unclear)
			v.unsure = true
			time.Sleep(time.Duration(try) * 200 * time.Millisecond)
			continue
		case err != nil && v.unsure:
			v.saw(at, oracle.Unclear)
			return false
		case err != nil:
			v.saw(at, oracle.Over)
			return false
		}
		if got.sid != v.tokens.sid {
			v.j.fail("session %s of %s goes on as %s", v.tokens.sid, v.user, got.sid)
		}
		v.saw(at, oracle.Alive)
		v.j.acknowledged(v.user, "refreshed")
		v.tokens, v.unsure = got, false
		return true
	}
	return false
}

// silently signs in once more by the browser's session.
func (v *visitor) silently() bool {
	var g grant
	var err error
	at := v.call("authorize silently", func() (int, error) {
		_, g, _, err = v.browser.authorize(v.user, url.Values{"prompt": {"none"}})
		return 0, err
	})
	no, ok := errors.AsType[*refused](err)
	switch {
	case err == nil && g.code != "":
		v.saw(at, oracle.Alive)
	case ok && no.code == "login_required":
		v.saw(at, oracle.Over)
		return false
	default:
		v.saw(at, oracle.Unclear)
	}
	return true
}

// signOut ends the session as its user.
func (v *visitor) signOut() {
	v.s.Asks = append(v.s.Asks, v.askLogout())
	v.look()
}

func (v *visitor) askLogout() oracle.Ask {
	var gone bool
	var err error
	at := v.call("sign out", func() (status int, _ error) {
		gone, status, err = v.browser.signOut(v.tokens.ID)
		return status, err
	})
	a := oracle.Ask{Cause: "LOGOUT", Span: at, Outcome: oracle.Unknown}
	if gone && err == nil {
		a.Outcome = oracle.Gone
		v.j.acknowledged(v.user, "signed out")
	}
	return a
}

// destroyed has the session ended by the platform.
func (v *visitor) destroyed() {
	v.s.Asks = append(v.s.Asks, v.askDestroy())
	v.look()
}

// askDestroy finds a session that is over gone: then it was not this call.
func (v *visitor) askDestroy() oracle.Ask {
	var status int
	var err error
	at := v.call("destroy", func() (int, error) {
		status, err = v.c.destroy(v.tokens.sid)
		return status, err
	})
	a := oracle.Ask{Cause: "DESTROY", Span: at, Outcome: oracle.Unknown}
	switch {
	case err != nil || status >= 500:
	case status == http.StatusNoContent:
		a.Outcome = oracle.Ended
		v.j.acknowledged(v.user, "destroyed")
	case status == http.StatusNotFound:
		a.Outcome = oracle.Gone
	default:
		v.j.fail("destroying the session of %s answers %d", v.user, status)
	}
	return a
}

// forgottenSuffix ends the names of those who sign out and are then deleted,
// while their webhooks are mostly still to be delivered.
const forgottenSuffix = "-x"

// forgotten has the user deleted.
func (v *visitor) forgotten() {
	var status int
	var err error
	at := v.call("delete a user", func() (int, error) {
		status, err = v.c.forget(v.tokens.sub)
		return status, err
	})
	a := oracle.Ask{Cause: "DESTROY", Span: at, Outcome: oracle.Unknown}
	switch {
	case err != nil || status >= 500:
	case status == http.StatusNoContent:
		a.Outcome = oracle.Gone
		v.j.erased(oracle.Erasure{Marker: v.user, Returned: at.To})
	default:
		v.j.fail("deleting %s answers %d", v.user, status)
	}
	v.s.Asks = append(v.s.Asks, a)
	v.look()
}

// both is a user and a platform that end the session at once.
func (v *visitor) both() {
	var out oracle.Ask
	var user sync.WaitGroup
	user.Go(func() { out = v.askLogout() })
	a := v.askDestroy()
	user.Wait()
	v.s.Asks = append(v.s.Asks, out, a)
	v.look()
}

// look asks now and then whether what was said to be over is over.
func (v *visitor) look() {
	if v.rnd.IntN(3) == 0 {
		v.ask()
	}
}
