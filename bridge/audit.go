package bridge

import (
	"context"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// Operation is the name of what was done, in audit records.
type Operation string

const (
	opGet              Operation = "users.get"
	opFindByEmail      Operation = "users.find_by_email"
	opFindByCustomer   Operation = "users.find_by_customer"
	opDelete           Operation = "users.delete"
	opMark             Operation = "users.mark_email_verified"
	opSendVerification Operation = "users.send_verification_email"
	opSendReset        Operation = "users.send_password_reset_email"
	opConfirm          Operation = "users.confirm_email"
	opDeliverVerify    Operation = "users.deliver_verification_email"
	opDeliverReset     Operation = "users.deliver_password_reset_email"
)

// Record is one line of the audit trail: who did what to whom, and how it
// ended. It holds no address and no secret.
type Record struct {
	Operation Operation
	Tenant    string
	// Person is the user's id, empty when nobody was found.
	Person string
	// Caller is who called, empty for the mail worker and for the person with
	// the link.
	Caller wire.Caller
	// Outcome is done, a Kind, or failed for a malfunction.
	Outcome string
	// Err is the error, nil when it was done.
	Err error
}

func (s *Service) audit(ctx context.Context, op Operation, at store.Place, person string, err error) {
	r := Record{Operation: op, Tenant: at.Tenant, Person: person, Outcome: "done", Err: err}
	r.Caller, _ = wire.CallerFrom(ctx)
	if err != nil {
		if r.Outcome = string(KindOf(err)); r.Outcome == "" {
			r.Outcome = "failed"
		}
	}
	s.o.Audit(ctx, r)
}
