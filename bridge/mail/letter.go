package mail

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	htmltemplate "html/template"
	"net/url"
	"strings"
	texttemplate "text/template"

	gomail "github.com/wneessen/go-mail"

	"github.com/drawbridge-id/drawbridge/bridge"
)

//go:embed templates
var templates embed.FS

// letter is what a kind of mail looks like.
type letter struct {
	subject string
	text    *texttemplate.Template
	html    *htmltemplate.Template
}

// content is what the templates may show.
type content struct {
	Subject, To, Link, Expires, From string
}

func parseLetters() (map[bridge.MailKind]letter, error) {
	letters := map[bridge.MailKind]letter{
		bridge.MailVerify: {subject: "Please confirm your e-mail address"},
		bridge.MailReset:  {subject: "Set a new password"},
	}
	for kind, l := range letters {
		var err error
		if l.text, err = texttemplate.ParseFS(templates, "templates/"+string(kind)+".txt"); err != nil {
			return nil, fmt.Errorf("parse letter: %w", err)
		}
		if l.html, err = htmltemplate.ParseFS(templates, "templates/"+string(kind)+".html"); err != nil {
			return nil, fmt.Errorf("parse letter: %w", err)
		}
		letters[kind] = l
	}
	return letters, nil
}

// message is a mail as it goes out. A mail that cannot be one is undeliverable.
func (s *Sender) message(id string, m bridge.Mail) (*gomail.Msg, error) {
	l, known := s.letters[m.Kind]
	if !known {
		return nil, fmt.Errorf("%w: no letter of kind %q", bridge.ErrUndeliverable, m.Kind)
	}
	to, err := envelope(m.To)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", bridge.ErrUndeliverable, err)
	}
	link, err := url.Parse(m.Link)
	if err != nil || link.Host == "" || link.Scheme != "https" && link.Scheme != "http" {
		return nil, fmt.Errorf("%w: its link leads nowhere", bridge.ErrUndeliverable)
	}
	c := content{Subject: l.subject, To: m.To, Link: link.String(), From: s.from.Name}
	if c.From == "" {
		c.From = s.from.Address
	}
	if !m.Expires.IsZero() {
		c.Expires = m.Expires.UTC().Format("2 January 2006, 15:04 UTC")
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(s.from)
	if err := msg.To(to); err != nil {
		return nil, fmt.Errorf("%w: %w", bridge.ErrUndeliverable, err)
	}
	msg.Subject(l.subject)
	msg.SetMessageIDWithValue(s.messageID(id))
	msg.SetDateWithValue(s.o.Now())
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 §5
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")
	if err := msg.SetBodyTextTemplate(l.text, c); err != nil {
		return nil, fmt.Errorf("render letter: %w", err)
	}
	if err := msg.AddAlternativeHTMLTemplate(l.html, c); err != nil {
		return nil, fmt.Errorf("render letter: %w", err)
	}
	return msg, nil
}

// envelope is the address that the relay is told: one address and nothing but
// that, with the domain as A-labels.
func envelope(address string) (string, error) {
	normal, err := bridge.NormalEmail(address)
	if err != nil {
		return "", err
	}
	local, _, _ := strings.Cut(address, "@")
	_, domain, _ := strings.Cut(normal, "@")
	return local + "@" + domain, nil
}

// messageID is `<job>@<domain of the sender>`, without the brackets. An id that
// does not fit into one goes by its hash.
func (s *Sender) messageID(id string) string {
	_, domain, _ := strings.Cut(s.from.Address, "@")
	if id == "" || len(id) > 128 || strings.Trim(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_") != "" ||
		strings.Contains("."+id+".", "..") {
		sum := sha256.Sum256([]byte(id))
		id = hex.EncodeToString(sum[:16])
	}
	return id + "@" + domain
}
