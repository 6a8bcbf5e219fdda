package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/claims/hook"
	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/edge"
	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

// client makes the guarded client of one purpose.
func (b *builder) client(allow []netip.Prefix, timeout time.Duration) *http.Client {
	return edge.NewClient(edge.EgressOptions{Guard: edge.Guard{Allow: allow, Own: b.own()}, Timeout: timeout})
}

func (b *builder) buildHooks(cfg config.Config, r, before *revision) []problem {
	var wrong []problem
	client := b.client(cfg.Egress.Hooks, 0)
	for i, h := range cfg.Hooks {
		if had, ok := before.hooks[h.ID]; ok && same(had.made, h) && same(before.cfg.Egress.Hooks, cfg.Egress.Hooks) {
			r.hooks[h.ID] = had
			continue
		}
		o := hook.Options{
			ID: h.ID, URL: strings.TrimSuffix(h.BaseURL, "/") + h.Path, Auth: b.hookAuth(h), Client: client, Now: b.now,
			Timeout: h.Timeout, MaxConcurrent: h.MaxConcurrent, OnFailure: hook.OnFailure(h.OnFailure), KeepClaims: append([]string{}, h.KeepClaims...),
			MaxAge: h.MaxAge, Observe: b.observeHook,
		}
		if h.SigningSecret.Reveal() != "" {
			o.SigningSecrets = []hook.Secret{hook.Secret(h.SigningSecret.Reveal())}
		}
		made, err := hook.New(o)
		if err != nil {
			wrong = append(wrong, problem{fmt.Sprintf("hooks[%d]", i), err.Error()})
			continue
		}
		r.hooks[h.ID] = builtHook{made: h, hook: made}
	}
	return wrong
}

func (b *builder) hookAuth(h config.Hook) hook.Auth {
	switch h.Auth.Type {
	case "basic":
		return hook.Basic(h.Auth.Username, hook.Secret(h.Auth.Password.Reveal()))
	case "jwt":
		return hook.Bearer(b.hookToken(federation.DefaultTenant, h.BaseURL))
	}
	return nil
}

func (b *builder) observeHook(ctx context.Context, o hook.Observation) {
	b.metrics.HookCall(o.Hook, string(o.Outcome), o.Duration)
	if o.Outcome == hook.OK || o.Outcome == hook.Unchanged {
		return
	}
	cause := ""
	if o.Cause != nil {
		cause = o.Cause.Error()
	}
	b.log.WarnContext(ctx, "claims hook failed", "audit", true, "hook", o.Hook, "outcome", string(o.Outcome), "policy", string(o.Policy),
		"status", o.Status, "attempts", o.Attempts, "took", o.Duration, "cause", cause)
}

func (b *builder) clients(cfg config.Config, r, before *revision) ([]federation.Client, []problem) {
	var all []federation.Client
	var wrong []problem
	for i, c := range cfg.Clients {
		path := fmt.Sprintf("clients[%d]", i)
		pipeline, err := b.pipeline(cfg, c, r)
		if err != nil {
			wrong = append(wrong, problem{path + ".claims", err.Error()})
			continue
		}
		for _, failed := range pipeline.Check(examples(c)) {
			at := path + ".claims.examples"
			if e, ok := errors.AsType[*claims.ExampleError](failed); ok {
				at += fmt.Sprintf("[%d]", e.Index)
			}
			wrong = append(wrong, problem{at, failed.Error()})
		}
		keys, err := b.keysOf(cfg, c, r, before)
		if err != nil {
			wrong = append(wrong, problem{path + ".jwks", err.Error()})
		}
		all = append(all, clientOf(cfg, c, pipeline, keys))
	}
	return all, wrong
}

// pipeline is mapping, then hook, with the guard after each.
func (b *builder) pipeline(cfg config.Config, c config.Client, r *revision) (*claims.Pipeline, error) {
	rules := make([]claims.Rule, 0, len(c.Claims.Mapping))
	for _, m := range c.Claims.Mapping {
		rules = append(rules, claims.Rule{Claim: m.Claim, From: m.From, Default: m.Default, Type: claims.Type(m.Type), Remove: m.Remove})
	}
	mapping, err := claims.Compile(rules)
	if err != nil {
		return nil, err
	}
	o := claims.Options{Mapping: mapping, IDToken: c.Claims.IDToken, AccessToken: c.Claims.AccessToken}
	strict := cfg.Guard.Strict
	if c.Claims.Hook != "" {
		built, ok := r.hooks[c.Claims.Hook]
		if !ok {
			return nil, fmt.Errorf("hook %q could not be built", c.Claims.Hook)
		}
		strict = strict || built.made.Strict
		o.Stages = []claims.Stage{bound{hook: built.hook, when: built.made}}
	}
	guard, err := claims.NewGuard(cfg.Guard.Protected, strict)
	if err != nil {
		return nil, err
	}
	return claims.NewPipeline(guard, o)
}

// bound calls a hook only for the scopes and grants that it is bound to.
type bound struct {
	hook *hook.Hook
	when config.Hook
}

// Name implements claims.Stage.
func (s bound) Name() string { return s.hook.Name() }

// Apply implements claims.Stage.
func (s bound) Apply(ctx context.Context, in claims.Input, have claims.Set) (claims.Answer, error) {
	if !covers(s.when.Scopes, in.Scopes) || !covers(s.when.Grants, []string{in.Grant}) {
		return claims.Answer{Unchanged: true}, nil
	}
	return s.hook.Apply(ctx, in, have)
}

func examples(c config.Client) []claims.Example {
	var all []claims.Example
	for _, e := range c.Claims.Examples {
		x := claims.Example{Name: e.Name, Claims: e.Claims, Scopes: e.Scopes, Expect: e.Expect}
		if len(x.Scopes) == 0 {
			x.Scopes = c.Scope
		}
		if e.HookAnswer != nil {
			x.HookAnswer, _ = json.Marshal(e.HookAnswer) // the file holds nothing that JSON cannot say
		}
		all = append(all, x)
	}
	return all
}

func clientOf(cfg config.Config, c config.Client, p *claims.Pipeline, keys federation.ClientKeys) federation.Client {
	out := federation.Client{
		ID: c.ClientID, Tenant: c.Tenant, Name: c.ClientName, LogoURI: c.LogoURI, AuthMethod: federation.AuthMethod(c.TokenEndpointAuthMethod),
		RedirectURIs: c.RedirectURIs, PostLogoutRedirectURIs: c.PostLogoutRedirectURIs, GrantTypes: c.GrantTypes, Scopes: c.Scope,
		IDTokenAlg: federation.SigningAlg(c.IDTokenSignedResponseAlg), IDTokenEncryption: idTokenEncryption(c),
		UserinfoAlg: federation.SigningAlg(c.UserinfoSignedResponseAlg), UserinfoEncryption: userinfoEncryption(c), Keys: keys, Upstreams: c.Upstreams, AskConsent: c.Consent == "ask",
		RequirePKCE: c.RequirePKCE, DefaultMaxAge: -1, HookParams: c.HookContextCustomParams, HookContext: c.Claims.Context, Pipeline: p,
		URI: c.ClientURI, PolicyURI: c.PolicyURI, TermsURI: c.TOSURI, SignIn: federation.SignIn(c.SignIn),
		Logout: logoutOf(c), Sector: c.Sector(), Tokens: tokensOf(c),
	}
	if c.DefaultMaxAge != nil {
		out.DefaultMaxAge = int(*c.DefaultMaxAge / time.Second)
	}
	if secret := c.ClientSecret.Reveal(); secret != "" {
		out.Secrets = append(out.Secrets, federation.Secret(secret))
	}
	for _, s := range c.ClientSecrets {
		out.Secrets = append(out.Secrets, federation.Secret(s.Reveal()))
	}
	if len(out.Upstreams) == 0 {
		for _, u := range cfg.Upstreams {
			if u.Tenant == c.Tenant {
				out.Upstreams = append(out.Upstreams, u.ID)
			}
		}
	}
	return out
}

func (b *builder) sessionWebhooks(cfg config.Config, r *revision) []problem {
	var wrong []problem
	for i, w := range cfg.SessionWebhooks {
		hook := sessionhooks.Webhook{ID: w.ID, URL: w.URL, Body: w.Body, Missing: sessionhooks.Missing(w.Missing), AllowUndeclared: w.AllowUndeclared}
		for _, e := range w.Events {
			hook.Events = append(hook.Events, sessionhooks.EndEvent(e))
		}
		for name, h := range w.Headers {
			header := sessionhooks.Header{Name: name, Value: h.Value, Encoding: sessionhooks.HeaderEncoding(h.Encoding)}
			if secret := h.Secret.Reveal(); secret != "" {
				header.Secret = sessionhooks.NewSecret(secret)
			}
			hook.Headers = append(hook.Headers, header)
		}
		compiled, problems := sessionhooks.Compile(hook, nil)
		for _, p := range problems {
			wrong = append(wrong, problem{fmt.Sprintf("session_webhooks[%d].%s", i, p.Field), p.Text})
		}
		if compiled != nil && len(problems) == 0 {
			for _, p := range compiled.Warnings() {
				b.log.Warn("session webhook", "webhook", w.ID, "field", p.Field, "warning", p.Text)
			}
			r.webhooks[w.Tenant] = append(r.webhooks[w.Tenant], sessionWebhook{made: w, compiled: compiled})
		}
	}
	return wrong
}

// same compares two parts of configurations, secrets included.
func same(a, b any) bool { return reflect.DeepEqual(a, b) }

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
