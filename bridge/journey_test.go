package bridge_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/bridge"
	"github.com/drawbridge-id/drawbridge/bridge/local"
)

func record(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// browser visits the pages of verification links.
type browser struct {
	t     *testing.T
	pages *bridge.Pages
}

func visit(t *testing.T, h *house) browser {
	t.Helper()
	pages, err := bridge.NewPages(h.service)
	if err != nil {
		t.Fatal(err)
	}
	return browser{t, pages}
}

// open looks at a link and answers the status, the page's state and the token
// that its form would post.
func (b browser) open(link string) (status int, state, token string) {
	b.t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.read(record(b.pages, httptest.NewRequest(http.MethodGet, u.RequestURI(), nil)))
}

func (b browser) press(token string) (status int, state string) {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodPost, bridge.PagePath, strings.NewReader(url.Values{"token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, state, _ = b.read(record(b.pages, r))
	return status, state
}

func (b browser) read(w *httptest.ResponseRecorder) (status int, state, token string) {
	b.t.Helper()
	page := w.Body.String()
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		"Content-Type": "text/html; charset=utf-8",
	} {
		if got := w.Header().Get(name); got != want {
			b.t.Errorf("%s is %q", name, got)
		}
	}
	_, style, _ := strings.Cut(page, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	allowed := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	if strings.Contains(page, "<script") || style == "" || w.Header().Get("Content-Security-Policy") != allowed {
		b.t.Errorf("the page is not protected: %v", w.Header())
	}
	find := func(pattern string) string {
		if m := regexp.MustCompile(pattern).FindStringSubmatch(page); m != nil {
			return m[1]
		}
		return ""
	}
	return w.Code, find(`id="email-verification" data-state="([a-z]+)"`), find(`name="token" value="([^"]+)"`)
}

// sent asks for a verification mail and answers the newest.
func sent(t *testing.T, h *house, id string) bridge.Mail {
	t.Helper()
	if a := h.do(post(users+"/"+id+"/verification-email", "", 202, "").call); a.StatusCode != 202 || string(a.raw) != "{}\n" {
		t.Fatalf("%d %s", a.StatusCode, a.raw)
	}
	mails := h.mails("acme")
	return mails[len(mails)-1]
}

func TestVerificationMailJourney(t *testing.T) {
	var delivered []bridge.Mail
	h := open(t, knobs{options: func(o *bridge.Options) {
		o.Send = func(_ context.Context, id string, m bridge.Mail) error {
			if id != "job-1" {
				t.Errorf("the job is called %q", id)
			}
			delivered = append(delivered, m)
			return nil
		}
	}})
	b := visit(t, h)
	mail := sent(t, h, "corp%7C65a1")
	if mail.Kind != bridge.MailVerify || mail.Person != ada || mail.To != "Ada@Example.org" || mail.Tenant != "acme" ||
		!strings.HasPrefix(mail.Link, "https://login.example/acme/email-verification?token=acme.0.") {
		t.Fatalf("%+v with %q", mail, mail.Link)
	}
	if err := h.service.Deliver(t.Context(), place("acme"), "job-1", mail); err != nil || len(delivered) != 1 || delivered[0].Link != mail.Link {
		t.Fatalf("delivered %v, %v", delivered, err)
	}
	// Looking changes nothing, however often.
	for range 3 {
		if status, state, token := b.open(mail.Link); status != 200 || state != "ask" || token == "" {
			t.Fatalf("%d %s", status, state)
		}
	}
	if a := h.do(get(users+"/"+ada, 200, "").call); a.body["email_verified"] != false {
		t.Fatal("looking at the page has confirmed the address")
	}
	_, _, token := b.open(mail.Link)
	if status, state := b.press(token); status != 200 || state != "done" {
		t.Fatalf("%d %s", status, state)
	}
	if a := h.do(get(users+"/"+ada, 200, "").call); a.body["email_verified"] != true {
		t.Fatal("the address is not confirmed")
	}
	if last := h.audit.records; last[len(last)-2].Operation != "users.confirm_email" || last[len(last)-2].Person != ada {
		t.Errorf("audit: %+v", last[len(last)-2])
	}
	if status, state := b.press(token); status != 410 || state != "gone" {
		t.Errorf("a second time: %d %s", status, state)
	}
	if status, state, _ := b.open(mail.Link); status != 410 || state != "gone" {
		t.Errorf("looking afterwards: %d %s", status, state)
	}
}

func TestDeadLinks(t *testing.T) {
	for name, kill := range map[string]struct {
		do            func(*testing.T, *house, *bridge.Mail)
		look, press   int
		state, worker string
	}{
		"newer mail": {func(t *testing.T, h *house, _ *bridge.Mail) { sent(t, h, ada) }, 410, 410, "gone", "link_gone"},
		"expired": {func(_ *testing.T, h *house, _ *bridge.Mail) {
			later := time.Now().Add(24*time.Hour + time.Second)
			h.now = func() time.Time { return later }
		}, 410, 410, "gone", "link_gone"},
		"deleted": {func(_ *testing.T, h *house, _ *bridge.Mail) { h.do(del(users+"/"+ada, 204, "").call) }, 410, 410, "gone", "link_gone"},
		"deleted elsewhere": {func(_ *testing.T, h *house, _ *bridge.Mail) {
			h.people.mu.Lock()
			defer h.people.mu.Unlock()
			delete(h.people.all, "acme/"+ada)
		}, 200, 410, "gone", "user_not_found"},
		"address changed": {func(_ *testing.T, h *house, _ *bridge.Mail) {
			h.people.change("acme", ada, func(p *local.Person) { p.Email = "new@example.org" })
		}, 200, 409, "changed", "email_changed"},
		"forged secret": {func(_ *testing.T, _ *house, m *bridge.Mail) { m.Link = flip(m.Link) }, 410, 410, "gone", "link_gone"},
		"other tenant": {func(_ *testing.T, _ *house, m *bridge.Mail) {
			m.Link = strings.Replace(m.Link, "=acme.", "=beta.", 1)
		}, 410, 410, "gone", "link_gone"},
		"other partition": {func(_ *testing.T, _ *house, m *bridge.Mail) {
			m.Link = strings.Replace(m.Link, "=acme.0.", "=acme.65535.", 1)
		}, 410, 410, "gone", "link_gone"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, knobs{options: func(o *bridge.Options) {
				o.Send = func(context.Context, string, bridge.Mail) error {
					t.Error("a mail with a dead link was sent")
					return nil
				}
			}})
			b := visit(t, h)
			mail := sent(t, h, ada)
			kill.do(t, h, &mail)
			u, err := url.Parse(mail.Link)
			if err != nil {
				t.Fatal(err)
			}
			if err := h.service.Deliver(t.Context(), place("acme"), "job", mail); err != nil || h.audit.last().Outcome != kill.worker {
				t.Errorf("the worker: %v, %s", err, h.audit.last().Outcome)
			}
			if status, _, _ := b.open(mail.Link); status != kill.look {
				t.Errorf("looking: %d, want %d", status, kill.look)
			}
			if status, state := b.press(u.Query().Get("token")); status != kill.press || state != kill.state {
				t.Errorf("pressing: %d %s, want %d %s", status, state, kill.press, kill.state)
			}
			if who, err := h.people.Get(t.Context(), place("acme"), ada); err == nil && who.EmailVerified {
				t.Error("the address was confirmed")
			}
		})
	}
}

// flip changes the first character of a link's secret.
func flip(link string) string {
	i := strings.LastIndex(link, ".") + 1
	other := "A"
	if link[i] == 'A' {
		other = "B"
	}
	return link[:i] + other + link[i+1:]
}

// One link, pressed many times at once, is spent once.
func TestOneLinkIsSpentOnce(t *testing.T) {
	h := open(t, knobs{})
	b := visit(t, h)
	_, _, token := b.open(sent(t, h, ada).Link)
	var wg sync.WaitGroup
	states := make([]string, 20)
	for i := range states {
		wg.Go(func() { _, states[i] = b.press(token) })
	}
	wg.Wait()
	done := 0
	for _, state := range states {
		if state == "done" {
			done++
		} else if state != "gone" {
			t.Errorf("a loser saw %q", state)
		}
	}
	if done != 1 {
		t.Errorf("the link was good %d times", done)
	}
}

func TestPageRefuses(t *testing.T) {
	h := open(t, knobs{})
	b := visit(t, h)
	for _, token := range []string{"", "x", "a.b.c.d", "acme.0.AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", strings.Repeat(".", 300), "acme.0.\x00.<script>"} {
		if status, state, _ := b.open("https://x/email-verification?token=" + url.QueryEscape(token)); status != 410 || state != "gone" {
			t.Errorf("%q: %d %s", token, status, state)
		}
		if status, state := b.press(token); status != 410 || state != "gone" {
			t.Errorf("%q: %d %s", token, status, state)
		}
	}
	r := httptest.NewRequest(http.MethodPost, bridge.PagePath, strings.NewReader("token="+strings.Repeat("x", 5<<10)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if w := record(b.pages, r); w.Code != 410 {
		t.Errorf("a huge form: %d", w.Code)
	}
	if w := record(b.pages, httptest.NewRequest(http.MethodDelete, bridge.PagePath, nil)); w.Code != 405 || w.Header().Get("Allow") == "" {
		t.Errorf("DELETE: %d", w.Code)
	}
	mail := sent(t, h, ada)
	_, _, token := b.open(mail.Link)
	h.people.fail = errors.New("disk on fire at 10.0.0.7")
	if status, state := b.press(token); status != 503 || state != "failed" {
		t.Errorf("outage: %d %s", status, state)
	}
}

func TestResetMailJourney(t *testing.T) {
	type letter struct{ to, link, person string }
	var sent []letter
	failing := error(nil)
	h := open(t, knobs{
		pages: map[string]string{"corp": "https://corp.example/reset"},
		options: func(o *bridge.Options) {
			o.Send = func(_ context.Context, _ string, m bridge.Mail) error {
				sent = append(sent, letter{m.To, m.Link, m.Person})
				return failing
			}
		},
	})
	h.people.add("acme", "ldap", local.Person{ID: nobody, Email: "other@example.org"})
	h.people.change("acme", nobody, func(p *local.Person) { p.Upstream = "ldap" })
	deliver := func(email string) error {
		t.Helper()
		sent = nil
		h.do(post("/v1/password-reset-emails", `{"email":"`+email+`"}`, 202, "").call)
		mails := h.mails("acme")
		job := mails[len(mails)-1]
		if job.Kind != bridge.MailReset || job.To != email || job.Person != "" || job.Link != "" {
			t.Fatalf("the job tells whose address it is: %+v", job)
		}
		return h.service.Deliver(t.Context(), place("acme"), "job", job)
	}
	if err := deliver("ADA@example.ORG"); err != nil || len(sent) != 1 || sent[0] != (letter{"Ada@Example.org", "https://corp.example/reset", ada}) {
		t.Errorf("known: %v, %v", sent, err)
	}
	for email, outcome := range map[string]string{
		"nobody@example.org": "user_not_found", "twin@example.org": "ambiguous", "bob@example.org": "user_blocked", "other@example.org": "not_supported",
	} {
		if err := deliver(email); err != nil || len(sent) != 0 || h.audit.last().Outcome != outcome {
			t.Errorf("%s: %v, %v, %s", email, sent, err, h.audit.last().Outcome)
		}
	}
	failing = fmt.Errorf("451 try later")
	if err := deliver("vera@example.org"); !errors.Is(err, failing) || errors.Is(err, bridge.ErrUndeliverable) {
		t.Errorf("a failure that may pass: %v", err)
	}
	h.people.fail = bridge.Fail(bridge.KindUnavailable)
	if err := h.service.Deliver(t.Context(), place("acme"), "job", bridge.Mail{Kind: bridge.MailReset, Tenant: "acme", To: "ada@example.org"}); err == nil {
		t.Error("a directory that is down makes the worker drop the job")
	}
	if err := h.service.Deliver(t.Context(), place("acme"), "job", bridge.Mail{Kind: "other"}); !errors.Is(err, bridge.ErrUndeliverable) {
		t.Errorf("a job of no kind: %v", err)
	}
}

// A directory that sends mails itself is left to do so.
func TestNativeMails(t *testing.T) {
	var verified, reset []string
	h := open(t, knobs{directory: func(d *bridge.Directory) {
		d.SendVerificationEmail = note(&verified, d.Get)
		d.SendPasswordResetEmail = note(&reset, d.FindByEmail)
	}})
	h.do(post(users+"/"+eai+"/verification-email", "", 202, "").call)
	h.do(post("/v1/password-reset-emails", `{"email":"nobody@example.org"}`, 202, "").call)
	mails := h.mails("acme")
	if len(verified) != 1 || verified[0] != eai || len(mails) != 1 || len(reset) != 0 {
		t.Fatalf("verified %v, reset %v, jobs %v", verified, reset, mails)
	}
	if err := h.service.Deliver(t.Context(), place("acme"), "job", mails[0]); err != nil || len(reset) != 1 {
		t.Errorf("reset %v, %v", reset, err)
	}
	if c := h.service.Capabilities(place("acme")); c.SendVerificationEmail != bridge.Native || c.SendPasswordResetEmail != bridge.Native {
		t.Errorf("%+v", c)
	}
}

func note[P any](seen *[]string, look func(context.Context, P, string) (bridge.User, error)) func(context.Context, P, string) error {
	return func(ctx context.Context, at P, who string) error {
		*seen = append(*seen, who)
		_, err := look(ctx, at, who)
		return err
	}
}

func TestMailDoesNotPrintItsLink(t *testing.T) {
	m := bridge.Mail{Kind: bridge.MailVerify, Tenant: "acme", To: "ada@example.org", Link: "https://secret"}
	for _, text := range []string{fmt.Sprint(m), fmt.Sprintf("%+v", m), fmt.Sprintf("%#v", m), m.String()} {
		if strings.Contains(text, "secret") || strings.Contains(text, "ada@") {
			t.Errorf("%q", text)
		}
	}
}
