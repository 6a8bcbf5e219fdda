package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/oauth2"

	"github.com/drawbridge-id/drawbridge/federation"
)

// PAR says whether authorization requests are pushed (RFC 9126).
type PAR string

const (
	// PARAuto pushes where the provider requires it.
	PARAuto PAR = "auto"
	// PARAlways pushes, and refuses a provider that cannot take it.
	PARAlways PAR = "always"
	// PARNever does not.
	PARNever PAR = "never"
)

// AuthURL implements federation.Connector. It sends PKCE with S256 always: a
// provider that does not know it ignores it (RFC 7636 §5).
func (c *OIDC) AuthURL(ctx context.Context, a federation.Attempt) (string, error) {
	p, err := c.cache.provider(ctx)
	if err != nil {
		return "", err
	}
	scopes := c.o.Scopes
	if !slices.Contains(scopes, "openid") {
		scopes = append([]string{"openid"}, scopes...)
	}
	form := c.o.request(a, scopes)
	form.Set("nonce", a.Nonce)
	switch {
	case a.MaxAge >= 0:
		form.Set("max_age", strconv.Itoa(a.MaxAge))
	case a.Anew():
		form.Set("max_age", "0") // or it need not say when that was (Core §2, auth_time)
	}
	if err := c.o.Assurance.demand(form, a, p.meta.ClaimsParameter); err != nil {
		return "", err
	}
	if !c.pushes(p) {
		return join(p.meta.Authorization, form)
	}
	return c.call(p).push(ctx, p.meta.Pushed, p.meta.Authorization, form)
}

// pushes says whether the request goes to the provider first.
func (c *OIDC) pushes(p *provider) bool {
	return c.o.PAR == PARAlways || c.o.PAR != PARNever && p.meta.RequiresPush && p.meta.Pushed != ""
}

// request is an authorization request as RFC 6749 §4.1.1 and RFC 7636 §4.3 have
// it, with what the operator adds. Nothing that is added replaces what is there.
func (o Options) request(a federation.Attempt, scopes []string) url.Values {
	conf := oauth2.Config{ClientID: o.ClientID, RedirectURL: a.RedirectURI, Scopes: scopes}
	made := conf.AuthCodeURL(a.State, oauth2.S256ChallengeOption(a.Verifier))
	form, _ := url.ParseQuery(strings.TrimPrefix(made, "?")) // it was encoded just now
	set := func(name, value string) {
		if value != "" {
			form.Set(name, value)
		}
	}
	prompt := a.Prompt
	if len(prompt) == 0 {
		prompt = o.Prompt
	}
	set("prompt", strings.Join(prompt, " "))
	set("login_hint", a.LoginHint)
	set("ui_locales", a.UILocales)
	set("response_mode", o.ResponseMode)
	for name, value := range o.Extra {
		if !form.Has(name) && !slices.Contains(Reserved(), name) {
			form.Set(name, value)
		}
	}
	return form
}

// Reserved are the parameters of an authorization request that the protocol
// sets, or that would change what an answer means: no operator may add them.
func Reserved() []string {
	return []string{"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "code_challenge",
		"code_challenge_method", "prompt", "max_age", "acr_values", "claims", "login_hint", "ui_locales", "id_token_hint",
		"request", "request_uri", "client_secret", "client_assertion", "client_assertion_type"}
}

// push hands a request to the provider and answers the address that stands for
// it (RFC 9126 §2).
func (c caller) push(ctx context.Context, endpoint, authorization string, form url.Values) (string, error) {
	if endpoint == "" {
		return "", distrust("discovery", errors.New("there is no pushed_authorization_request_endpoint"))
	}
	said, err := c.post(ctx, endpoint, maps.Clone(form))
	if err != nil {
		return "", pushFailed(err)
	}
	uri := said.text("request_uri")
	if uri == "" {
		return "", distrust("pushed request", errors.New("there is no request_uri"))
	}
	return join(authorization, url.Values{"client_id": {c.id}, "request_uri": {uri}})
}

// pushFailed tells a provider that is down from one that does not want us.
func pushFailed(err error) *federation.Error {
	if answer, ok := errors.AsType[*answerError](err); ok && !answer.down() {
		return federation.Fail(federation.ServerError, "The identity provider did not take the sign-in request.").Because(err)
	}
	return exchangeFailed(err)
}

// join adds parameters to an endpoint, whose own query stays (RFC 6749 §3.1).
func join(endpoint string, form url.Values) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", distrust("discovery", err)
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += form.Encode()
	return u.String(), nil
}

// essential is the claims parameter that insists on an acr (OpenID Connect Core
// 1.0 §5.5.1.1).
func essential(values []string) string {
	body, err := json.Marshal(map[string]any{"id_token": map[string]any{"acr": map[string]any{"essential": true, "values": values}}})
	if err != nil {
		return "" // strings always encode
	}
	return string(body)
}
