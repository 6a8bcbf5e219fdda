package op_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
)

// atCallback walks a browser to the upstream, and answers the address that the
// upstream sends it back to, without visiting that.
func (p *party) atCallback(b *browser, pairs ...string) *url.URL {
	p.t.Helper()
	at := b.step(b.request(http.MethodGet, p.ask(pairs...), nil)).url
	back := b.step(b.request(http.MethodGet, at.String(), nil)).url
	if !strings.Contains(back.Path, "/callback/") {
		p.t.Fatalf("not sent back, but to %s", back)
	}
	return back
}

// changed is an address with another query parameter; "-" leaves it out.
func changed(u *url.URL, name, value string) string {
	q, again := u.Query(), *u
	q.Set(name, value)
	if value == "-" {
		q.Del(name)
	}
	again.RawQuery = q.Encode()
	return again.String()
}

func TestCallbackAbuse(t *testing.T) {
	h := open(t, two)
	wide, victim, eve := h.party("default", "wide"), h.browser(), h.browser()
	hint := []string{"login_hint", "a@corp.example"}
	back := wide.atCallback(victim, hint...)
	for name, address := range map[string]string{
		"no state":       changed(back, "state", "-"),
		"empty state":    changed(back, "state", ""),
		"unknown state":  changed(back, "state", federation.NewSecret()),
		"state and more": changed(back, "state", back.Query().Get("state")+"x"),
		"state twice":    back.String() + "&state=x",
		"code twice":     back.String() + "&code=x",
		"long code":      changed(back, "code", strings.Repeat("c", 5000)),
		"code with NUL":  changed(back, "code", "\x00"),
		"iss twice":      back.String() + "&iss=x",
		"malformed":      back.String() + "&%zz",
	} {
		h.unchanged(name, func() {
			if l := victim.get(address); l.away || l.status != 400 || l.find(t, "error") == nil {
				t.Errorf("%s: %d %s", name, l.status, l.url)
			}
		})
	}
	h.unchanged("another browser", func() {
		eve.get(back.String()).shows(t, "error", 400)
		wide.atCallback(eve, hint...)
		eve.get(back.String()).shows(t, "error", 400)
	})
	// None of that has used up what belongs to the victim.
	wide.code(victim.get(back.String()))
	h.unchanged("a replayed callback", func() { victim.get(back.String()).shows(t, "error", 400) })

	h.unchanged("an unsigned refusal", func() {
		back := wide.atCallback(eve, hint...)
		forged := changed(back, "error", "access_denied")
		wide.refused(eve.get(forged), federation.AccessDenied)
	})
	if len(h.events(federation.SignedIn)) != 1 {
		t.Errorf("%+v", h.events(federation.SignedIn))
	}
}

// TestMixUp shows one provider's answer at the callback of another (RFC 9700
// §4.4).
func TestMixUp(t *testing.T) {
	h := open(t, two)
	wide := h.party("default", "wide")
	for _, path := range []string{"/callback/partner", "/callback/nobody", "/callback/corp%2F", "/callback/corp%2e", "/callback/%63orp%00"} {
		b := h.browser()
		back := wide.atCallback(b, "login_hint", "a@corp.example")
		h.unchanged(path, func() { b.get(h.URL+path+"?"+back.RawQuery).shows(t, "error", 400) })
		if hits := h.corp.Hits("/token") + h.partner.Hits("/token"); hits != 0 {
			t.Fatalf("%s: the code was sent to somebody", path)
		}
		b.get(back.String()).shows(t, "error", 400) // an attempt to mix up spends the transaction
	}
}

func TestCookieAbuse(t *testing.T) {
	h := open(t)
	shop := h.party("default", "shop")
	one, two := h.browser(), h.browser()
	first, second := shop.atCallback(one), shop.atCallback(two)
	nameOne, nameTwo := one.transactions("default")[0], two.transactions("default")[0]
	valueOne, valueTwo := one.cookies(h.URL)[nameOne], two.cookies(h.URL)[nameTwo]
	flipped := []byte(valueOne)
	flipped[len(flipped)-5] ^= 1
	key, box, _ := strings.Cut(valueOne, ".")
	h.unchanged("a cookie that is not right", func() {
		for what, value := range map[string]string{
			"swapped": valueTwo, "tampered": string(flipped), "cut": valueOne[:len(valueOne)-8], "empty": "", "rubbish": "rubbish", "no key": "x." + box,
			"key alone": key + ".", "padded": valueOne + "=", "session cookie": "default.0." + strings.Repeat("x", 27) + "." + federation.NewSecret(),
		} {
			one.set(h.URL, nameOne, value)
			if l := one.get(first.String()); l.away || l.status != 400 {
				t.Errorf("%s: %d", what, l.status)
			}
		}
		one.set(h.URL, nameOne, valueOne)
		one.get(second.String()).shows(t, "error", 400)
	})
	shop.code(one.get(first.String()))
	shop.code(two.get(second.String()))

	// A transaction of one step is none of another.
	chooser := h.browser()
	back := shop.atCallback(chooser)
	state := back.Query().Get("state")
	h.unchanged("another step", func() {
		chooser.get(h.URL+"/consent?tx="+state).shows(t, "error", 400)
		chooser.get(h.URL+"/choose?upstream=corp&tx="+state).shows(t, "error", 400)
		chooser.post(h.URL+"/consent", url.Values{"tx": {state}, "answer": {"allow"}}).shows(t, "error", 400)
	})
	// A session cookie that is none does no harm, and is nobody's.
	for _, value := range []string{"", "x", "default.0.x.y", "default.0.AAAAAAAAAAAAAAAAAAAAAAAAAAA." + federation.NewSecret(), strings.Repeat("x", 4000)} {
		b := h.browser()
		b.set(h.URL, "drawbridge-default", value)
		shop.refused(b.get(shop.ask("prompt", "none")), federation.LoginRequired)
	}
}

func TestExpiredTransaction(t *testing.T) {
	h := open(t)
	shop, ask, b := h.party("default", "shop"), h.party("default", "ask"), h.browser()
	late := shop.atCallback(b)
	page := b.get(ask.ask()).shows(t, "consent", 200)
	h.clock.advance(15*time.Minute + time.Second)
	h.unchanged("a callback that is too late", func() {
		b.get(late.String()).shows(t, "error", 400)
		b.press(page, "allow").shows(t, "error", 400)
	})
	h.pass(0)
	shop.code(b.get(shop.ask()))
}

func TestManyOpenTransactions(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	var backs []*url.URL
	for range 9 {
		backs = append(backs, shop.atCallback(b))
	}
	if n := len(b.transactions("default")); n != 6 {
		t.Errorf("%d transactions are open", n)
	}
	acme := h.party("acme", "shop")
	acme.atCallback(b)
	if len(b.transactions("default")) != 6 || len(b.transactions("acme")) != 1 {
		t.Error("tenants push each other out")
	}
	h.unchanged("a transaction that was pushed out", func() { b.get(backs[0].String()).shows(t, "error", 400) })
	shop.code(b.get(backs[8].String()))
	shop.code(b.get(backs[5].String()))

	// Large ones leave less room, and never grow beyond what servers take.
	fat := h.browser()
	for range 5 {
		shop.atCallback(fat, "state", strings.Repeat("s", 1500))
	}
	size := 0
	for name, value := range fat.cookies(h.URL) {
		size += len(name) + len(value)
	}
	if n := len(fat.transactions("default")); n < 2 || size > 7<<10 {
		t.Errorf("%d transactions of %d bytes", n, size)
	}
}
