// Package mail sends the Users contract's mails through an SMTP relay.
//
// It owns the letters (text and HTML, one pair per kind) and one conversation
// with the relay per mail. It keeps no queue: whoever calls Send tries again
// when the error is not bridge.ErrUndeliverable.
//
// What was decided:
//
//   - What the relay says about this very mail decides: 5xx is for good, 4xx
//     is not. Whatever goes wrong before (no connection, no STARTTLS where it is
//     demanded, refused credentials) is the operator's to mend, so it passes.
//   - A mail that the relay has taken is sent, whatever happens afterwards: an
//     error then would send it twice.
//   - The Message-ID is made of the job's id, the same on every attempt.
//   - Mandatory STARTTLS checks the relay's certificate. Opportunistic STARTTLS
//     does so only where credentials are sent: whoever could show a false
//     certificate could as well take STARTTLS away. Passwords are never sent in
//     the clear.
//   - An address is written as the directory has it, but for its domain, which
//     goes as A-labels. A local part that is not ASCII needs SMTPUTF8, and is
//     undeliverable through a relay without.
package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"

	"github.com/drawbridge-id/drawbridge/bridge"
)

// StartTLS says whether the conversation with the relay is encrypted.
type StartTLS string

const (
	// None never encrypts.
	None StartTLS = "none"
	// Opportunistic encrypts where the relay can. It is the default.
	Opportunistic StartTLS = "opportunistic"
	// Mandatory sends nothing unless it is encrypted to the relay of that name.
	Mandatory StartTLS = "mandatory"
)

// Options say which relay to use. Address, From, Dial and Now are required.
type Options struct {
	// Address is host:port.
	Address string
	// From is the sender, with or without a name.
	From     string
	StartTLS StartTLS
	// Username and Password, when set, are sent over TLS, or by a mechanism
	// that does not show them.
	Username, Password string
	// RootCAs are those that may vouch for the relay; nil is the system's.
	RootCAs *x509.CertPool
	// Dial connects, and refuses what may not be connected to.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Timeout is for the whole of one mail, 30 seconds when zero.
	Timeout time.Duration
	Now     func() time.Time
}

// Sender sends mails. It may be used concurrently.
type Sender struct {
	o       Options
	host    string
	port    int
	from    *netmail.Address
	letters map[bridge.MailKind]letter
}

// New makes a Sender. It does not connect.
func New(o Options) (*Sender, error) {
	if o.Dial == nil || o.Now == nil {
		return nil, errors.New("mail: needs a dialer and a clock")
	}
	host, service, err := net.SplitHostPort(o.Address)
	if err != nil {
		return nil, fmt.Errorf("mail: address of the relay: %w", err)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 || host == "" {
		return nil, fmt.Errorf("mail: address of the relay: %q is not host:port", o.Address)
	}
	from, err := netmail.ParseAddress(o.From)
	if err != nil {
		return nil, fmt.Errorf("mail: sender: %w", err)
	}
	switch o.StartTLS {
	case "":
		o.StartTLS = Opportunistic
	case None, Opportunistic, Mandatory:
	default:
		return nil, fmt.Errorf("mail: %q is not none, opportunistic or mandatory", o.StartTLS)
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	letters, err := parseLetters()
	if err != nil {
		return nil, err
	}
	return &Sender{o: o, host: host, port: int(port), from: from, letters: letters}, nil
}

// Send renders a mail and hands it to the relay. The id names the job; doing it
// again sends the same mail again. bridge.ErrUndeliverable when the mail was
// refused for good; any other error may pass.
func (s *Sender) Send(ctx context.Context, id string, m bridge.Mail) error {
	msg, err := s.message(id, m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	dial, hangUp := s.line(ctx)
	defer hangUp()
	client, err := s.client(dial, ascii(m.To))
	if err != nil {
		return err
	}
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fmt.Errorf("reach the relay: %w", errors.Join(err, ctx.Err()))
	}
	if can, _ := conn.Extension("SMTPUTF8"); !can && !ascii(m.To) {
		return fmt.Errorf("%w: the relay has no SMTPUTF8", bridge.ErrUndeliverable)
	}
	err = client.SendWithSMTPClient(conn, msg)
	if msg.IsDelivered() {
		_ = client.CloseWithSMTPClient(conn) // the relay has the mail: it may hang up as it likes
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("hand the mail over: %w", ctx.Err())
	}
	return judge(err)
}

// judge tells refusals for good from failures that may pass. Of what the relay
// said only the codes are kept: its words, and the library's, repeat addresses.
func judge(err error) error {
	e, ok := errors.AsType[*gomail.SendError](err)
	switch {
	case !ok:
		return fmt.Errorf("hand the mail over: %w", err)
	case e.ErrorCode() == 0:
		return fmt.Errorf("hand the mail over: %s: the relay gave no answer", e.Reason)
	case e.ErrorCode() >= 500:
		return fmt.Errorf("%w: %s: %d %s", bridge.ErrUndeliverable, e.Reason, e.ErrorCode(), e.EnhancedStatusCode())
	}
	return fmt.Errorf("hand the mail over: %s: %d %s", e.Reason, e.ErrorCode(), e.EnhancedStatusCode())
}

// client speaks for one mail. SMTPUTF8 is asked for only where it is needed: a
// relay that has it may have to send mail back if the next one has not.
func (s *Sender) client(dial gomail.DialContextFunc, plain bool) (*gomail.Client, error) {
	policy := map[StartTLS]gomail.TLSPolicy{None: gomail.NoTLS, Opportunistic: gomail.TLSOpportunistic, Mandatory: gomail.TLSMandatory}
	options := []gomail.Option{
		gomail.WithPort(s.port), gomail.WithTimeout(s.o.Timeout), gomail.WithDialContextFunc(dial),
		gomail.WithTLSPolicy(policy[s.o.StartTLS]), gomail.WithoutNoop(), gomail.WithoutRset(),
		gomail.WithTLSConfig(&tls.Config{
			ServerName: s.host, MinVersion: tls.VersionTLS12, RootCAs: s.o.RootCAs,
			InsecureSkipVerify: s.o.StartTLS == Opportunistic && s.o.Username == "", // see the package doc
		}),
	}
	if s.o.Username != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(s.o.Username), gomail.WithPassword(s.o.Password))
	}
	if plain {
		options = append(options, gomail.WithoutSMTPUTF8())
	}
	client, err := gomail.NewClient(s.host, options...)
	if err != nil {
		return nil, fmt.Errorf("set up the conversation: %w", err)
	}
	return client, nil
}

// line is the connection of one mail: the client itself leaves it open when the
// conversation fails early, and does not hear of a context that ends.
func (s *Sender) line(ctx context.Context) (dial gomail.DialContextFunc, hangUp func()) {
	end := func() {}
	dial = func(inner context.Context, network, addr string) (net.Conn, error) {
		conn, err := s.o.Dial(inner, network, addr)
		if err != nil {
			return nil, err
		}
		hang := func() { _ = conn.Close() } // it may be closed already, and nothing is left to be said
		stop := context.AfterFunc(ctx, hang)
		end = func() { stop(); hang() }
		return conn, nil
	}
	return dial, func() { end() }
}

// ascii says whether the local part of an address is.
func ascii(address string) bool {
	local, _, _ := strings.Cut(address, "@")
	return !strings.ContainsFunc(local, func(r rune) bool { return r >= utf8.RuneSelf })
}
