//go:build e2e

package e2e

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// TestSIGTERMLetsWhatIsUnderWayFinish stops the program while sign-ins wait for the hook and logouts come in: the
// sign-ins get their codes, the logouts that are answered are delivered, the exit code is 0.
func TestSIGTERMLetsWhatIsUnderWayFinish(t *testing.T) {
	const signIns, logouts = 5, 60
	w := startWorld(t, func(_ *world, file settings) {
		file["hooks"].([]any)[0].(map[string]any)["timeout"] = "10s"
	})
	d := w.drive(t, "shop", shopSecret, "http://"+w.shop+"/callback", "http://"+w.shop+"/")
	l := &ledger{}
	for range logouts {
		e, err := d.signIn(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		l.add(&fate{entry: e})
	}
	callJSON(t, http.MethodPut, w.hook.url+"/mode", map[string]any{"mode": "slow", "delay_ms": 1500}, nil)
	callJSON(t, http.MethodDelete, w.hook.url+"/requests", nil, nil)
	waiting := make([]*begun, signIns)
	var work sync.WaitGroup
	for i := range waiting {
		waiting[i] = newBegun()
		work.Go(func() { waiting[i].err = waiting[i].run(t.Context(), d) })
	}
	eventually(t, "the sign-ins to be at the hook", func() bool {
		var seen []any
		callJSON(t, http.MethodGet, w.hook.url+"/requests", nil, &seen)
		return len(seen) == signIns
	})

	var out atomic.Int32
	for n := range 3 {
		work.Go(func() {
			for i := n; i < logouts; i += 3 {
				l.fates[i].asked = true
				l.fates[i].answered = d.signOut(t.Context(), l.fates[i].entry) == nil
				out.Add(1)
			}
		})
	}
	eventually(t, "logouts under way", func() bool { return out.Load() > logouts/4 })
	p := w.bridge.running
	w.bridge.running = nil
	if err := p.terminate(); err != nil {
		t.Error(err)
	}
	work.Wait()

	w.hookAnswers(t, "add", nil)
	w.bridge.start(t)
	for _, b := range waiting {
		b.redeem(t, d)
	}
	l.judgeSessions(t, d)
	l.judgeDeliveries(t, w)
}

// begun is a sign-in whose code is redeemed later.
type begun struct {
	state, nonce, secret string
	answer               *url.URL
	err                  error
}

func newBegun() *begun {
	return &begun{state: oauth2.GenerateVerifier(), nonce: oauth2.GenerateVerifier(), secret: oauth2.GenerateVerifier()}
}

// run walks a browser of its own to the redirect that carries the code.
func (b *begun) run(ctx context.Context, d *driver) error {
	start := d.oauth.AuthCodeURL(b.state, oidc.Nonce(b.nonce), oauth2.S256ChallengeOption(b.secret))
	answer, err := d.walk(ctx, d.newBrowser(), start, map[string]string{"login": "bob"})
	b.answer = answer
	return err
}

// redeem spends the code, which the stop and the start must not have cost.
func (b *begun) redeem(t *testing.T, d *driver) {
	t.Helper()
	if b.err != nil {
		t.Errorf("a sign-in that was under way was cut off: %v", b.err)
		return
	}
	token, err := d.oauth.Exchange(t.Context(), b.answer.Query().Get("code"), oauth2.VerifierOption(b.secret))
	if err != nil {
		t.Errorf("the code of %s is not redeemed: %v", b.answer, err)
		return
	}
	if err := d.read(t.Context(), &entry{}, token, b.nonce); err != nil {
		t.Error(err)
	}
}
