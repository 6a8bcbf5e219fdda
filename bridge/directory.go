package bridge

import (
	"context"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Directory is what answers for the users of a tenant. A function that is nil
// is something the directory cannot do. Every function may be called
// concurrently, for different persons; at says which tenant is meant, and no
// function ever answers about another one. Failures that a caller may be told
// are an *Error; any other error is a malfunction.
type Directory struct {
	// Get reads a user by id. An id that this directory cannot have given to
	// anybody is KindNotFound without asking. The answer's ID is the one that
	// stands for the person, whatever alias was asked for. Without Get nothing
	// can be done to a user who is named by id.
	Get func(ctx context.Context, at store.Place, id string) (User, error)
	// FindByEmail reads the user with this address, as NormalEmail compares;
	// KindAmbiguous when there are several.
	FindByEmail func(ctx context.Context, at store.Place, email string) (User, error)
	// FindByCustomer reads the user with exactly this customer id;
	// KindAmbiguous when there are several.
	FindByCustomer func(ctx context.Context, at store.Place, customer string) (User, error)
	// Delete removes a user and ends their sessions; KindNotFound the second time.
	Delete func(ctx context.Context, at store.Place, id string) error
	// MarkEmailVerified marks the user's address as verified if it still is the
	// one given, and is KindEmailChanged otherwise. Doing it again is no error.
	MarkEmailVerified func(ctx context.Context, at store.Place, id, email string) error
	// SendVerificationEmail makes the directory itself send such a mail.
	SendVerificationEmail func(ctx context.Context, at store.Place, id string) error
	// SendPasswordResetEmail makes the directory itself send such a mail. It is
	// called by the mail worker, so what it says about the address stays inside.
	SendPasswordResetEmail func(ctx context.Context, at store.Place, email string) error
	// ResetPage is the address of the page where this user sets a new password,
	// empty when there is none.
	ResetPage func(ctx context.Context, at store.Place, id string) (string, error)
	// Resets says whether ResetPage has an answer for anybody in the tenant. It
	// must be set where ResetPage is.
	Resets func(at store.Place) bool
}

// Ability says who does what an operation promises.
type Ability string

const (
	// Native means that the directory does it.
	Native Ability = "native"
	// Emulated means that Drawbridge does it where the directory cannot.
	Emulated Ability = "emulated"
	// None means that nobody does it; the operation is answered 501.
	None Ability = "none"
)

// Capabilities say what can be done for a tenant's users.
type Capabilities struct {
	GetByID                Ability `json:"get_by_id"`
	GetByEmail             Ability `json:"get_by_email"`
	GetByCustomer          Ability `json:"get_by_customer"`
	Delete                 Ability `json:"delete"`
	MarkEmailVerified      Ability `json:"mark_email_verified"`
	SendVerificationEmail  Ability `json:"send_verification_email"`
	SendPasswordResetEmail Ability `json:"send_password_reset_email"`
}

// Capabilities answers what can be done for the users of a tenant.
func (s *Service) Capabilities(at store.Place) Capabilities {
	d := s.o.Directory
	return Capabilities{
		GetByID:                native(d.Get != nil),
		GetByEmail:             native(d.FindByEmail != nil),
		GetByCustomer:          native(d.FindByCustomer != nil),
		Delete:                 native(d.Delete != nil && d.Get != nil),
		MarkEmailVerified:      native(d.MarkEmailVerified != nil && d.Get != nil),
		SendVerificationEmail:  s.verifying(),
		SendPasswordResetEmail: s.resetting(at),
	}
}

func native(can bool) Ability {
	if can {
		return Native
	}
	return None
}

func (s *Service) verifying() Ability {
	d := s.o.Directory
	switch {
	case d.SendVerificationEmail != nil && d.Get != nil:
		return Native
	case s.mails() && d.Get != nil && d.MarkEmailVerified != nil:
		return Emulated
	default:
		return None
	}
}

// resetting depends on the tenant's configuration only, never on a person.
func (s *Service) resetting(at store.Place) Ability {
	d := s.o.Directory
	switch {
	case d.SendPasswordResetEmail != nil && s.o.Enqueue != nil:
		return Native
	case s.mails() && d.FindByEmail != nil && d.ResetPage != nil && d.Resets(at):
		return Emulated
	default:
		return None
	}
}
