package mail_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/bridge"
	"github.com/drawbridge-id/drawbridge/bridge/mail"
)

func sender(t *testing.T, r *relay, change ...func(*mail.Options)) *mail.Sender {
	t.Helper()
	var d net.Dialer
	o := mail.Options{
		Address: r.String(), From: "Drawbridge Büro <no-reply@example.org>", Dial: d.DialContext, Timeout: 10 * time.Second,
		Now: func() time.Time { return time.Date(2026, 11, 20, 15, 7, 24, 0, time.UTC) },
	}
	for _, f := range change {
		f(&o)
	}
	s, err := mail.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func verify(to string) bridge.Mail {
	return bridge.Mail{
		Kind: bridge.MailVerify, Tenant: "acme", Person: "p", To: to, Link: "https://login.example/email-verification?token=acme.0.abc.def",
		Expires: time.Date(2026, 11, 21, 15, 7, 24, 0, time.UTC),
	}
}

// parts reads a mail as a mail reader does: headers, and the text per media type.
func parts(t *testing.T, raw string) (netmail.Header, map[string]string) {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	media, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || media != "multipart/alternative" {
		t.Fatalf("media type %q, %v", media, err)
	}
	texts := map[string]string{}
	for reader := multipart.NewReader(m.Body, params["boundary"]); ; {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m.Header, texts
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, params, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil || !strings.EqualFold(params["charset"], "UTF-8") || part.Header.Get("Content-Transfer-Encoding") != "quoted-printable" {
			t.Fatalf("part %v, %v", part.Header, err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		texts[kind] = string(text)
	}
}

func TestSend(t *testing.T) {
	r := start(t, &relay{extensions: []string{"8BITMIME", "SMTPUTF8"}})
	s := sender(t, r)
	for range 2 {
		if err := s.Send(t.Context(), "mail.0192f5a4", verify("Ada@Bücher.example")); err != nil {
			t.Fatal(err)
		}
	}
	reset := bridge.Mail{Kind: bridge.MailReset, Tenant: "acme", To: "ada@example.org", Link: "https://corp.example/reset?a=1&b=2"}
	if err := s.Send(t.Context(), "odd id\r\nBcc: x", reset); err != nil {
		t.Fatal(err)
	}
	mails := r.taken()
	if len(mails) != 3 || strings.Count(r.heard(), "QUIT") != 3 {
		t.Fatalf("%d mails, heard:\n%s", len(mails), r.heard())
	}
	if heard := r.heard(); !strings.Contains(heard, "RCPT TO:<Ada@xn--bcher-kva.example>") || strings.Contains(heard, "SMTPUTF8") {
		t.Errorf("heard:\n%s", heard)
	}
	h, texts := parts(t, mails[0])
	from, err := h.AddressList("From")
	if err != nil || from[0].Name != "Drawbridge Büro" || from[0].Address != "no-reply@example.org" {
		t.Errorf("From %v, %v", from, err)
	}
	for name, want := range map[string]string{
		"Auto-Submitted": "auto-generated", "Message-Id": "<mail.0192f5a4@example.org>", "Subject": "Please confirm your e-mail address",
		"To": "<Ada@xn--bcher-kva.example>", "Date": "Fri, 20 Nov 2026 15:07:24 +0000", "User-Agent": "", "X-Mailer": "",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for kind, text := range texts {
		for _, want := range []string{"Ada@Bücher.example", "https://login.example/email-verification?token=acme.0.abc.def", "21 November 2026, 15:07 UTC", "Drawbridge Büro"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q:\n%s", kind, want, text)
			}
		}
	}
	if len(texts) != 2 {
		t.Errorf("%d parts", len(texts))
	}
	again, _ := parts(t, mails[1])
	other, resetTexts := parts(t, mails[2])
	if again.Get("Message-Id") != h.Get("Message-Id") || other.Get("Bcc") != "" || strings.Contains(other.Get("Message-Id"), "odd") {
		t.Errorf("ids %q, %q", again.Get("Message-Id"), other.Get("Message-Id"))
	}
	if !strings.Contains(resetTexts["text/plain"], "https://corp.example/reset?a=1&b=2") || !strings.Contains(resetTexts["text/html"], `href="https://corp.example/reset?a=1&amp;b=2"`) {
		t.Errorf("%v", resetTexts)
	}
}

// What is refused before anybody is asked.
func TestUndeliverable(t *testing.T) {
	r := start(t, &relay{})
	s := sender(t, r)
	link := func(to, link string) bridge.Mail { m := verify(to); m.Link = link; return m }
	for name, m := range map[string]bridge.Mail{
		"header injection":    verify("ada@example.org\r\nBcc: eve@example.org"),
		"two addresses":       verify("ada@example.org, eve@example.org"),
		"a name beside it":    verify("Eve <eve@example.org>"),
		"command injection":   verify("ada@example.org>\r\nRCPT TO:<eve@example.org"),
		"no address":          verify(""),
		"no such kind":        {Kind: "gift", To: "ada@example.org", Link: "https://x.example"},
		"no link":             link("ada@example.org", ""),
		"link that is code":   link("ada@example.org", "javascript:alert(1)"),
		"link without a host": link("ada@example.org", "/email-verification"),
	} {
		if err := s.Send(t.Context(), "job", m); !errors.Is(err, bridge.ErrUndeliverable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r.heard() != "" {
		t.Errorf("the relay was asked:\n%s", r.heard())
	}
}

func TestRelayAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		says    map[string]string
		forGood bool
		sent    bool
	}{
		"taken":                       {nil, false, true},
		"taken, then hung up":         {map[string]string{"QUIT": ""}, false, true},
		"taken, then an error":        {map[string]string{"QUIT": "421 gone"}, false, true},
		"busy":                        {map[string]string{"": "421 busy"}, false, false},
		"no service":                  {map[string]string{"": "554 no service"}, false, false},
		"sender refused":              {map[string]string{"MAIL": "550 5.7.1 no"}, true, false},
		"sender refused for now":      {map[string]string{"MAIL": "451 4.7.1 later"}, false, false},
		"no such mailbox":             {map[string]string{"RCPT": "550 5.1.1 <ada@example.org> nobody here"}, true, false},
		"greylisted":                  {map[string]string{"RCPT": "450 4.2.0 later"}, false, false},
		"data refused":                {map[string]string{"DATA": "554 no"}, true, false},
		"content refused":             {map[string]string{".": "554 5.6.0 spam"}, true, false},
		"content refused for now":     {map[string]string{".": "452 4.3.1 full"}, false, false},
		"hung up before the answer":   {map[string]string{".": ""}, false, false},
		"hung up before it could ask": {map[string]string{"EHLO": ""}, false, false},
		"hung up at the recipient":    {map[string]string{"RCPT": ""}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, &relay{says: tc.says})
			err := sender(t, r).Send(t.Context(), "job", verify("ada@example.org"))
			if (err == nil) != tc.sent || errors.Is(err, bridge.ErrUndeliverable) != tc.forGood {
				t.Errorf("%v", err)
			}
			if err != nil && strings.Contains(err.Error(), "ada@") {
				t.Errorf("the error repeats the address: %v", err)
			}
		})
	}
}

func TestSMTPUTF8(t *testing.T) {
	able, unable := start(t, &relay{extensions: []string{"SMTPUTF8", "8BITMIME"}}), start(t, &relay{})
	if err := sender(t, able).Send(t.Context(), "job", verify("josé@example.org")); err != nil {
		t.Fatal(err)
	}
	if heard := able.heard(); !strings.Contains(heard, "RCPT TO:<josé@example.org>") || !strings.Contains(heard, " SMTPUTF8") {
		t.Errorf("heard:\n%s", heard)
	}
	if err := sender(t, unable).Send(t.Context(), "job", verify("josé@example.org")); !errors.Is(err, bridge.ErrUndeliverable) || len(unable.taken()) != 0 {
		t.Errorf("a relay that cannot: %v", err)
	}
}

func TestStartTLS(t *testing.T) {
	config, pool := certificate(t)
	trust := func(o *mail.Options) { o.RootCAs = pool }
	login := func(o *mail.Options) { o.Username, o.Password = "user", "pass" }
	demand := func(p mail.StartTLS) func(*mail.Options) { return func(o *mail.Options) { o.StartTLS = p } }
	can, both := []string{"STARTTLS"}, []string{"STARTTLS", "AUTH PLAIN"}
	for name, tc := range map[string]struct {
		offers []string
		o      []func(*mail.Options)
		sent   bool
		verbs  []string
	}{
		"mandatory":                            {can, []func(*mail.Options){demand(mail.Mandatory), trust}, true, []string{"EHLO", "STARTTLS", "EHLO", "MAIL", "RCPT", "DATA", "QUIT"}},
		"mandatory, stranger":                  {can, []func(*mail.Options){demand(mail.Mandatory)}, false, []string{"EHLO", "STARTTLS"}},
		"mandatory, not offered":               {nil, []func(*mail.Options){demand(mail.Mandatory), trust}, false, []string{"EHLO"}},
		"opportunistic, stranger":              {can, nil, true, []string{"EHLO", "STARTTLS", "EHLO", "MAIL", "RCPT", "DATA", "QUIT"}},
		"opportunistic, not offered":           {nil, nil, true, []string{"EHLO", "MAIL", "RCPT", "DATA", "QUIT"}},
		"none":                                 {can, []func(*mail.Options){demand(mail.None)}, true, []string{"EHLO", "MAIL", "RCPT", "DATA", "QUIT"}},
		"credentials":                          {both, []func(*mail.Options){login, trust}, true, []string{"EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"}},
		"credentials, stranger":                {both, []func(*mail.Options){login}, false, []string{"EHLO", "STARTTLS"}},
		"credentials, not encrypted":           {[]string{"AUTH PLAIN"}, []func(*mail.Options){login}, false, []string{"EHLO"}},
		"credentials, no way to authenticate":  {can, []func(*mail.Options){login, trust}, false, []string{"EHLO", "STARTTLS", "EHLO"}},
		"credentials, encryption switched off": {both, []func(*mail.Options){login, demand(mail.None)}, false, []string{"EHLO"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, &relay{extensions: tc.offers, tls: config})
			err := sender(t, r, tc.o...).Send(t.Context(), "job", verify("ada@example.org"))
			if (err == nil) != tc.sent || errors.Is(err, bridge.ErrUndeliverable) {
				t.Errorf("%v", err)
			}
			var verbs []string
			for line := range strings.SplitSeq(r.heard(), "\n") {
				verb, _, _ := strings.Cut(line, " ")
				verbs = append(verbs, verb)
			}
			if !slices.Equal(verbs, tc.verbs) {
				t.Errorf("heard %v, want %v", verbs, tc.verbs)
			}
			if plain := base64.StdEncoding.EncodeToString([]byte("\x00user\x00pass")); strings.Contains(r.heard(), plain) != slices.Contains(tc.verbs, "AUTH") {
				t.Errorf("the password went the wrong way:\n%s", r.heard())
			}
		})
	}
}

func TestRefusedCredentialsMayPass(t *testing.T) {
	config, pool := certificate(t)
	r := start(t, &relay{extensions: []string{"STARTTLS", "AUTH PLAIN"}, tls: config, says: map[string]string{"AUTH": "535 5.7.8 no"}})
	err := sender(t, r, func(o *mail.Options) { o.RootCAs, o.Username, o.Password = pool, "user", "pass" }).Send(t.Context(), "job", verify("ada@example.org"))
	if err == nil || errors.Is(err, bridge.ErrUndeliverable) || strings.Contains(err.Error(), "pass\x00") {
		t.Errorf("%v", err)
	}
}

func TestSendGivesUp(t *testing.T) {
	r := start(t, &relay{mute: true})
	s := sender(t, r)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Send(ctx, "job", verify("ada@example.org")) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || errors.Is(err, bridge.ErrUndeliverable) {
		t.Errorf("called off: %v", err)
	}
	quick := sender(t, r, func(o *mail.Options) { o.Timeout = 20 * time.Millisecond })
	if err := quick.Send(t.Context(), "job", verify("ada@example.org")); err == nil || errors.Is(err, bridge.ErrUndeliverable) {
		t.Errorf("a relay that says nothing: %v", err)
	}
	refused := errors.New("private address")
	guarded := sender(t, r, func(o *mail.Options) {
		o.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, refused }
	})
	if err := guarded.Send(t.Context(), "job", verify("ada@example.org")); !errors.Is(err, refused) {
		t.Errorf("a dialer that refuses: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	var d net.Dialer
	good := mail.Options{Address: "127.0.0.1:25", From: "a@example.org", Dial: d.DialContext, Now: time.Now}
	for name, change := range map[string]func(*mail.Options){
		"no port":       func(o *mail.Options) { o.Address = "127.0.0.1" },
		"port by name":  func(o *mail.Options) { o.Address = "127.0.0.1:smtp" },
		"no host":       func(o *mail.Options) { o.Address = ":25" },
		"no sender":     func(o *mail.Options) { o.From = "" },
		"bad sender":    func(o *mail.Options) { o.From = "a@example.org\r\nBcc: b@example.org" },
		"other policy":  func(o *mail.Options) { o.StartTLS = "maybe" },
		"no dialer":     func(o *mail.Options) { o.Dial = nil },
		"without clock": func(o *mail.Options) { o.Now = nil },
	} {
		o := good
		change(&o)
		if _, err := mail.New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
