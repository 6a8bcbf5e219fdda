package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/claims/hook"
	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/edge"
	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/limit"
	"github.com/drawbridge-id/drawbridge/federation/op/page"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/upstream"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// revision is one configuration, built: immutable, replaced whole by a reload.
type revision struct {
	cfg      config.Config
	registry *federation.Registry
	webhooks map[string][]sessionWebhook
	pages    *page.Set
	limits   limit.Policy
	// connectors and hooks are kept by what they were made of, so that a
	// reload which does not touch them keeps what they have learned.
	connectors map[string]connector
	hooks      map[string]builtHook
	clientKeys map[string]clientKeys
}

type connector struct {
	made config.Upstream
	// egress is what its client may reach.
	egress []netip.Prefix
	// One of them speaks to it, by the type of the upstream.
	oidc  *upstream.OIDC
	plain *upstream.OAuth2
}

type builtHook struct {
	made config.Hook
	hook *hook.Hook
}

// sessionWebhook is a compiled session webhook and the sessions it is for.
type sessionWebhook struct {
	made     config.SessionWebhook
	compiled *sessionhooks.Compiled
}

// builder has what every revision is built with.
type builder struct {
	log     *slog.Logger
	now     func() time.Time
	metrics *edge.Metrics
	layout  store.Layout
	// own are our listeners, which no outside call may reach.
	own func() []netip.AddrPort
	// identity reads what is kept of a tenant at its place, or keeps what is given.
	identity func(at store.Place, first identity) (identity, error)
	// hookToken makes the JWT that a hook knows us by.
	hookToken func(tenant, audience string) func(context.Context) (string, error)
}

// problem is something wrong that only building shows: a template, a mapping,
// an example. Path is where in the file.
type problem struct{ path, text string }

func (p problem) String() string { return p.path + ": " + p.text }

// build makes a revision of a configuration, or says everything that is wrong.
func (b *builder) build(cfg config.Config, before *revision) (*revision, []problem) {
	r := &revision{cfg: cfg, limits: limitsOf(cfg.Limits), webhooks: map[string][]sessionWebhook{}, connectors: map[string]connector{}, hooks: map[string]builtHook{}, clientKeys: map[string]clientKeys{}}
	if before == nil {
		before = r
	}
	var wrong []problem
	tenants, bad := b.tenants(cfg)
	wrong = append(wrong, bad...)
	ups, bad := b.upstreams(cfg, r, before)
	wrong = append(wrong, bad...)
	wrong = append(wrong, b.buildHooks(cfg, r, before)...)
	clients, bad := b.clients(cfg, r, before)
	wrong = append(wrong, bad...)
	wrong = append(wrong, b.sessionWebhooks(cfg, r)...)
	wrong = append(wrong, b.buildPages(cfg, r)...)
	if len(wrong) > 0 {
		return nil, wrong
	}
	var err error
	if r.registry, err = federation.NewRegistry(tenants, ups, clients); err != nil {
		return nil, []problem{{"", err.Error()}}
	}
	return r, nil
}

func (b *builder) tenants(cfg config.Config) ([]federation.Tenant, []problem) {
	var all []federation.Tenant
	var wrong []problem
	for i, t := range cfg.Tenants {
		made, err := b.tenantOf(t)
		switch {
		case errors.Is(err, errSpread):
			wrong = append(wrong, problem{fmt.Sprintf("tenants[%d].spread", i), err.Error()})
		case err != nil:
			wrong = append(wrong, problem{fmt.Sprintf("tenants[%d]", i), err.Error()})
		}
		all = append(all, made)
	}
	return all, wrong
}

func (b *builder) upstreams(cfg config.Config, r, before *revision) ([]federation.Upstream, []problem) {
	var all []federation.Upstream
	var wrong []problem
	client := b.client(cfg.Egress.Upstreams, 10*time.Second)
	for i, u := range cfg.Upstreams {
		c, err := b.connector(u, cfg.Egress.Upstreams, client, before)
		if err != nil {
			wrong = append(wrong, problem{fmt.Sprintf("upstreams[%d]", i), err.Error()})
			continue
		}
		r.connectors[u.Tenant+"/"+u.ID] = c
		all = append(all, federation.Upstream{
			ID: u.ID, Tenant: u.Tenant, Name: u.Name, Issuer: c.issuer(), Connector: c.speaks(), Domains: u.Domains,
			Freshness: freshnessOf(u.Freshness), TrustAnyEmail: u.TrustEmail == "any", Subject: federation.SubjectMode(u.Subject),
			CustomerFrom: u.User.Customer, EmailFrom: u.User.Email, PasswordResetURL: u.PasswordResetURL, EndSessionURL: followed(u, c),
			ReadLogout: heard(u, c), FrontChannelLogout: u.FrontchannelLogout && c.plain == nil,
		})
	}
	return all, wrong
}

func (b *builder) connector(u config.Upstream, egress []netip.Prefix, client *http.Client, before *revision) (connector, error) {
	if had, ok := before.connectors[u.Tenant+"/"+u.ID]; ok && same(had.made, u) && same(had.egress, egress) {
		return had, nil
	}
	oidc, plain, err := b.connect(u, client)
	return connector{made: u, egress: egress, oidc: oidc, plain: plain}, err
}

// webhook finds a tenant's session webhook in its newest revision.
func (r *revision) webhook(tenant, id string) (*sessionhooks.Compiled, bool) {
	for _, w := range r.webhooks[tenant] {
		if w.made.ID == id {
			return w.compiled, true
		}
	}
	return nil, false
}

// policy is a tenant's rules for sessions that begin now.
func (r *revision) policy() session.Policy {
	return session.Policy{Idle: r.cfg.Session.IdleTimeout, Max: r.cfg.Session.MaxLifetime, Webhooks: r.pin,
		MaxPerPerson: r.cfg.Session.MaxPerPerson, RefuseMore: r.cfg.Session.OnQuota == "refuse"}
}

// pin names the webhooks that a session will tell of its end.
func (r *revision) pin(s federation.Session) []string {
	var ids []string
	for _, w := range r.webhooks[s.Tenant] {
		if covers(w.made.Clients, visited(s)) && covers(w.made.Upstreams, signedInAt(s)) {
			ids = append(ids, w.made.ID)
		}
	}
	return ids
}

func covers(filter, have []string) bool {
	return len(filter) == 0 || slices.ContainsFunc(have, func(s string) bool { return slices.Contains(filter, s) })
}

func visited(s federation.Session) []string {
	var ids []string
	for _, v := range s.Clients {
		ids = append(ids, v.Client)
	}
	return ids
}

func signedInAt(s federation.Session) []string {
	var ids []string
	for _, l := range s.Logins {
		ids = append(ids, l.Upstream)
	}
	return ids
}

// described is what the management API shows of a tenant's webhooks.
func (r *revision) described(tenant string) []delivery.Described {
	all := []delivery.Described{}
	for _, w := range r.webhooks[tenant] {
		d := delivery.Described{ID: w.made.ID, Host: hostOf(w.made.URL), Mode: "independent"}
		for _, e := range sessionhooks.EndEvents() {
			if w.compiled.Wants(e) {
				d.Events = append(d.Events, e)
			}
		}
		all = append(all, d)
	}
	return all
}

// resetPages are the pages of a tenant's upstreams where a password is set.
func (r *revision) resetPages(tenant string) map[string]string {
	pages := map[string]string{}
	for _, u := range r.cfg.Upstreams {
		if u.Tenant == tenant && u.PasswordResetURL != "" {
			pages[u.ID] = u.PasswordResetURL
		}
	}
	return pages
}

// slugOf finds the tenant with a UUID.
func (r *revision) slugOf(uuid string) (string, bool) {
	for _, t := range r.registry.Tenants() {
		if t.UUID == uuid {
			return t.ID, true
		}
	}
	return "", false
}
