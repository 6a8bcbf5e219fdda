package bridge

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// SendVerificationEmail asks the user to confirm their address. Queued is false
// when there is nothing to confirm because the address is verified already.
func (s *Service) SendVerificationEmail(ctx context.Context, at store.Place, id string) (queued bool, err error) {
	person := ""
	defer func() { s.audit(ctx, opSendVerification, at, person, err) }()
	ability := s.verifying()
	if ability == None {
		return false, Fail(KindNotSupported)
	}
	if err := s.allowCaller(ctx); err != nil {
		return false, err
	}
	err = s.alone(ctx, at, id, func(u User) error {
		person = u.ID
		switch {
		case u.Email == "":
			return Fail(KindNoEmail)
		case u.Blocked:
			return Fail(KindBlocked)
		case u.EmailVerified:
			return nil
		}
		normal, err := s.mailable(u.Email, ability)
		if err != nil {
			return err
		}
		if err := s.allowAddress(at, opSendVerification, normal); err != nil {
			return err
		}
		queued = true
		if ability == Native {
			return s.o.Directory.SendVerificationEmail(ctx, at, u.ID)
		}
		return s.sendLink(ctx, at, u, normal)
	})
	return queued && err == nil, err
}

// SendPasswordResetEmail queues a mail for whoever has the address. It answers
// the same, after the same work, whether anybody does.
func (s *Service) SendPasswordResetEmail(ctx context.Context, at store.Place, email string) (err error) {
	defer func() { s.audit(ctx, opSendReset, at, "", err) }()
	ability := s.resetting(at)
	if ability == None {
		return Fail(KindNotSupported)
	}
	if err := s.allowCaller(ctx); err != nil {
		return err
	}
	normal, err := s.mailable(email, ability)
	if err != nil {
		return err
	}
	if err := s.allowAddress(at, opSendReset, normal); err != nil {
		return err
	}
	ops, err := s.o.Enqueue(at, Mail{Kind: MailReset, Tenant: at.Tenant, To: email})
	if err == nil {
		_, err = s.o.Engine.Commit(ctx, ops...)
	}
	if err != nil {
		return fmt.Errorf("queue reset mail: %w", err)
	}
	return nil
}

// mails says whether this Drawbridge sends mails itself.
func (s *Service) mails() bool { return s.o.Enqueue != nil && s.o.Send != nil }

// mailable is the normal form of an address that mail can be sent to. A
// directory that sends itself has a relay of its own.
func (s *Service) mailable(address string, sender Ability) (string, error) {
	normal, err := NormalEmail(address)
	if err != nil {
		return "", err
	}
	if sender == Emulated && needsSMTPUTF8(normal) && !s.o.InternationalMail {
		return "", Fail(KindMailNotSupported)
	}
	return normal, nil
}

func (s *Service) allowCaller(ctx context.Context) error {
	c, ok := wire.CallerFrom(ctx)
	if !ok {
		return nil // a part of ours, not a call from outside
	}
	return spend(s.callers, c.Name)
}

// allowAddress counts mails to an address, whoever has it, if anybody.
func (s *Service) allowAddress(at store.Place, op Operation, normal string) error {
	mac := hmac.New(sha256.New, s.key[:])
	fmt.Fprintf(mac, "%s\x00%s\x00%s", at.Tenant, op, normal)
	return spend(s.addresses, string(mac.Sum(nil)))
}

func spend(l *wire.Limiter, key string) error {
	if wait := l.Take(key); wait > 0 {
		return Fail(KindThrottled).After(max(wait, time.Second))
	}
	return nil
}
