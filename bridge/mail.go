package bridge

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// MailKind says what a mail is for.
type MailKind string

const (
	// MailVerify asks somebody to confirm their e-mail address.
	MailVerify MailKind = "verify"
	// MailReset tells somebody where to set a new password.
	MailReset MailKind = "reset"
)

// Mail is a mail job as it is stored: all that rendering needs. It does not
// print its link, which is as good as a password.
type Mail struct {
	Kind   MailKind `json:"kind"`
	Tenant string   `json:"tenant"`
	// Person is whom the mail is about; empty in a reset job, whose person is
	// looked up when it is sent.
	Person string `json:"person,omitempty"`
	To     string `json:"to"`
	// Link is what the mail leads to; empty in a reset job until it is sent.
	Link string `json:"link,omitempty"`
	// Expires is when the link stops being good; zero when it does not.
	Expires time.Time `json:"expires,omitzero"`
}

// String says what the mail is without its address and link.
func (m Mail) String() string { return fmt.Sprintf("%s mail of tenant %s", m.Kind, m.Tenant) }

// GoString says the same to %#v.
func (m Mail) GoString() string { return m.String() }

// ErrUndeliverable says that a mail was refused for good. Any other error of
// Send or Deliver is worth another attempt.
var ErrUndeliverable = errors.New("bridge: the mail was refused for good")

// Deliver does what a mail job says: it looks up whom the mail is for, fills in
// what was not known before and hands it to Options.Send. The id names the job
// and stays the same when the job is done again. A job that no longer makes
// sense (nobody has the address, the link is dead) is dropped without an error;
// the audit record says so.
func (s *Service) Deliver(ctx context.Context, at store.Place, id string, m Mail) (err error) {
	op, person := opDeliverVerify, m.Person
	if m.Kind == MailReset {
		op = opDeliverReset
	}
	defer func() { s.audit(ctx, op, at, person, err); err = undropped(err) }()
	switch m.Kind {
	case MailVerify:
		if err := s.stillWanted(ctx, at, m); err != nil {
			return err
		}
	case MailReset:
		if native := s.o.Directory.SendPasswordResetEmail; native != nil {
			return native(ctx, at, m.To)
		}
		if m, err = s.address(ctx, at, m); err != nil {
			return err
		}
		person = m.Person
	default:
		return fmt.Errorf("%w: kind %q", ErrUndeliverable, m.Kind)
	}
	if s.o.Send == nil {
		return fmt.Errorf("%w: no relay is configured", ErrUndeliverable)
	}
	if err := s.o.Send(ctx, id, m); err != nil {
		return fmt.Errorf("send %s: %w", m, err)
	}
	return nil
}

// undropped keeps the errors that another attempt could help, or that somebody
// has to know about.
func undropped(err error) error {
	switch KindOf(err) {
	case KindNotFound, KindAmbiguous, KindBlocked, KindNoEmail, KindEmailChanged, KindGone, KindNotSupported, KindMailNotSupported, KindMalformedEmail:
		return nil
	default:
		return err
	}
}

// stillWanted refuses a verification mail whose link is dead by now.
func (s *Service) stillWanted(ctx context.Context, at store.Place, m Mail) error {
	link, err := url.Parse(m.Link)
	if err != nil {
		return Fail(KindGone).Because(err)
	}
	if _, err = s.readLink(ctx, link.Query().Get("token")); err != nil {
		return err
	}
	u, err := s.get(ctx, at, m.Person)
	switch {
	case err != nil:
		return err
	case u.Blocked:
		return Fail(KindBlocked)
	case !sameEmail(u.Email, m.To):
		return Fail(KindEmailChanged)
	}
	return nil
}

// address completes a reset mail: the person, the address as the directory has
// it, and the page that the person's upstream has for the purpose.
func (s *Service) address(ctx context.Context, at store.Place, m Mail) (Mail, error) {
	d := s.o.Directory
	if d.FindByEmail == nil || d.ResetPage == nil {
		return m, Fail(KindNotSupported)
	}
	u, err := s.find(ctx, at, m.To)
	if err != nil {
		return m, err
	}
	if u.Blocked {
		return m, Fail(KindBlocked)
	}
	page, err := d.ResetPage(ctx, at, u.ID)
	if err != nil {
		return m, err
	}
	if page == "" {
		return m, Fail(KindNotSupported)
	}
	m.Person, m.To, m.Link = u.ID, u.Email, page
	return m, nil
}
