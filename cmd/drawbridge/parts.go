package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/bridge"
	"github.com/drawbridge-id/drawbridge/bridge/local"
	"github.com/drawbridge-id/drawbridge/bridge/mail"
	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/edge"
	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/op"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/token"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// mails is the name of the Sender of mails.
const mails = "mail"

// deliveryWorker is the one sender, together with those of other nodes: session
// webhooks, logout tokens and mails.
func (a *App) deliveryWorker(cfg config.Config) (*delivery.Pool, error) {
	webhooks := delivery.NewWebhookSender(delivery.WebhookOptions{
		Webhook: func(tenant, id string) (*sessionhooks.Compiled, bool) { return a.live.Load().webhook(tenant, id) },
		Log:     a.events, Client: a.build.client(cfg.Egress.Webhooks, 15*time.Second), Now: time.Now,
		Refused: func(err error) bool { return errors.Is(err, edge.ErrRefused) },
	})
	return delivery.NewPool(delivery.Options{
		Engine: a.engine, Queue: a.queue, Node: nodeName(cfg), Log: a.log, Monotonic: monotonic(),
		Senders: map[string]delivery.Sender{delivery.SessionWebhooks: webhooks, delivery.LogoutTokens: a.logoutTokens(cfg), mails: a.sendMail},
		Observe: delivery.Observer{Attempt: a.metrics.Attempt, Delivered: a.metrics.Delivered},
	}, a.engine.Layout())
}

// sendMail is the Sender of mails.
func (a *App) sendMail(ctx context.Context, at store.Place, j delivery.Job) delivery.Outcome {
	var m bridge.Mail
	if err := json.Unmarshal(j.Body, &m); err != nil {
		return delivery.Outcome{Verdict: delivery.Reject, Reason: "decode", Cause: err}
	}
	err := a.users.Deliver(ctx, at, j.ID, m)
	switch {
	case err == nil:
		return delivery.Outcome{Verdict: delivery.Delivered, Reason: "ok"}
	case errors.Is(err, bridge.ErrUndeliverable):
		return delivery.Outcome{Verdict: delivery.Reject, Reason: "refused", Cause: err}
	}
	return delivery.Outcome{Verdict: delivery.Retry, Reason: "relay", Cause: err}
}

// enqueueMail puts a mail into the queue, in the commit it belongs to.
func (a *App) enqueueMail(at store.Place, m bridge.Mail) ([]store.Op, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode mail: %w", err)
	}
	now := time.Now()
	return a.queue.Enqueue(at, delivery.Job{Sender: mails, Target: string(m.Kind), Body: body, Occurred: now, Created: now, Next: now}), nil
}

// usersContract builds the Users side over the persons that Drawbridge has seen.
func (a *App) usersContract(cfg config.Config, sealer *store.Sealer) error {
	directory, err := local.New(local.Options{Persons: people{a}, ResetPages: func(tenant string) map[string]string { return a.live.Load().resetPages(tenant) }})
	if err != nil {
		return err
	}
	o := bridge.Options{
		Directory: directory, Engine: a.engine, Sealer: sealer, Now: time.Now, Audit: a.auditUsers,
		Tenant: func(slug string) (bridge.Tenant, bool) {
			t, ok := a.tenant(slug)
			return bridge.Tenant{Place: t.Place, URL: strings.TrimSuffix(t.Issuer, "/"), Order: string(t.Order())}, ok
		},
	}
	if cfg.SMTP != nil {
		relay, err := mail.New(mail.Options{
			Address: cfg.SMTP.Address, From: cfg.SMTP.From, StartTLS: mail.StartTLS(cfg.SMTP.StartTLS), Username: cfg.SMTP.Username,
			Password: cfg.SMTP.Password.Reveal(), Dial: a.mailGuard().Dialer().DialContext, Timeout: 12 * time.Second, Now: time.Now,
		})
		if err != nil {
			return fmt.Errorf("smtp: %w", err)
		}
		o.Enqueue, o.Send = a.enqueueMail, relay.Send
	}
	if a.users, err = bridge.New(o); err != nil {
		return err
	}
	a.pages, err = bridge.NewPages(a.users)
	return err
}

// mailGuard lets mails reach the relay that the file names, wherever it is: the
// operator wrote the address, nobody else can.
func (a *App) mailGuard() edge.Guard {
	return edge.Guard{Allow: edge.Private(), Own: a.own()}
}

// trimEvery is how often the event log is trimmed.
const trimEvery = time.Hour

// trimEvents keeps the event log from growing for ever, until ctx ends.
func (a *App) trimEvents(ctx context.Context) error {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		if err := a.trimOnce(ctx, keepEvents); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "the event log was not trimmed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (a *App) trimOnce(ctx context.Context, keep time.Duration) error {
	now, err := a.engine.Now(ctx)
	if err != nil {
		return err
	}
	for p := range max(a.engine.Layout().Partitions, 1) {
		if err := a.events.Trim(ctx, store.Partition(p), now.Add(-keep)); err != nil {
			return err
		}
	}
	return nil
}

func (a *App) observeSessions() session.Observer {
	return session.Observer{
		Began: func(federation.Tenant, federation.Session) { a.metrics.SessionBegan() },
		Ended: func(t federation.Tenant, s federation.Session, cause federation.Cause) {
			a.metrics.SessionEnded(string(cause))
			if cause == federation.IdleTimeout || cause == federation.MaxTimeout {
				deadline, _ := s.Deadline()
				a.metrics.TimeoutDetected(max(0, time.Since(deadline)))
			}
			a.log.Info("session ended", "audit", true, "tenant", t.ID, "session", s.ID, "audit_id", s.AuditID, "cause", string(cause))
		},
	}
}

func (a *App) observeSignIns() op.Observer {
	return op.Observer{
		SignIn:  a.metrics.SignIn,
		Refused: func(v claims.Verdict) { a.metrics.Refused(v.Step, string(v.Class)) },
		Limited: a.metrics.Limited,
	}
}

// auditUsers writes the audit line of a call of the Users contract.
func (a *App) auditUsers(ctx context.Context, r bridge.Record) {
	attrs := []slog.Attr{
		slog.Bool("audit", true), slog.String("operation", string(r.Operation)), slog.String("tenant", r.Tenant), slog.String("person", r.Person),
		slog.String("caller", r.Caller.Name), slog.String("agent_user", r.Caller.AgentUser), slog.String("agent_app", r.Caller.AgentApp),
		slog.String("outcome", r.Outcome), slog.String("request_id", r.Caller.RequestID),
	}
	if r.Err != nil {
		attrs = append(attrs, slog.String("cause", r.Err.Error()))
	}
	a.log.LogAttrs(ctx, slog.LevelInfo, "users call", attrs...)
}

// hookToken is the JWT that a hook knows us by. The tenant is looked up when
// one is needed: hooks are built before there are tenants, and live longer than
// what a reload says of them.
func (a *App) hookToken(tenant, audience string) func(context.Context) (string, error) {
	var mu sync.Mutex
	var of federation.Tenant
	var mint func(context.Context) (string, error)
	return func(ctx context.Context) (string, error) {
		t, ok := a.tenant(tenant)
		if !ok {
			return "", fmt.Errorf("tenant %q is not configured", tenant)
		}
		mu.Lock()
		if mint == nil || !reflect.DeepEqual(of, t) {
			of, mint = t, a.keys.HookToken(t, audience)
		}
		source := mint
		mu.Unlock()
		return source(ctx)
	}
}

// inspect finds the tenant that a token names and reads it there.
func (a *App) inspect(ctx context.Context, given string) (token.Access, error) {
	slug, ok := token.TenantOf(given)
	if !ok {
		return token.Access{}, federation.Fail(federation.InvalidToken, "not a token of ours")
	}
	t, ok := a.tenant(slug)
	if !ok {
		return token.Access{}, federation.Fail(federation.InvalidToken, "not a token of a tenant")
	}
	return a.issuer.Inspect(ctx, t, given)
}
