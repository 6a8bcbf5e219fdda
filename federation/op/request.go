package op

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
)

const (
	// contextParam is what parameters for the hook begin with.
	contextParam = "hook_context_custom_param."
	// maxContextValues is how often one of them may be there.
	maxContextValues = 20

	offlineAccess = "offline_access"
)

// request is an authorization request whose client and redirect URI are
// proven: there is no other way to one. It is what travels sealed.
type request struct {
	Client      string `json:"c"`
	RedirectURI string `json:"r"`
	State       string `json:"s,omitempty"`
	// Mode is how the response is to come; empty is in the query.
	Mode      string   `json:"rm,omitempty"`
	Nonce     string   `json:"n,omitempty"`
	Challenge string   `json:"pc,omitempty"`
	Scopes    []string `json:"sc"`
	Prompt    []string `json:"p,omitempty"`
	// MaxAge is in seconds; negative when there is none.
	MaxAge    int      `json:"ma"`
	LoginHint string   `json:"lh,omitempty"`
	ACRValues []string `json:"acr,omitempty"`
	UILocales string   `json:"ui,omitempty"`
	// Hinted is the upstream that the relying party would have the user sign in
	// at. One that is unknown, or not for this client, counts for nothing.
	Hinted string `json:"ih,omitempty"`
	// HintSubject is the sub that the user must turn out to be, if any.
	HintSubject string `json:"hs,omitempty"`
	// HintClient is the client whose ID token said so: it may know the user by
	// another sub.
	HintClient string `json:"hc,omitempty"`
	// Asked are claims asked for by name, Subjects those that sub may be, if they
	// were said. ACREssential says that one of ACRValues must be met.
	Asked        claims.Asked        `json:"cl,omitzero"`
	Subjects     []string            `json:"su,omitempty"`
	ACREssential bool                `json:"ae,omitempty"`
	Context      map[string][]string `json:"x,omitempty"`
	// Resources are whom access tokens may be meant for.
	Resources []string `json:"rs,omitempty"`
	// At is when the request came in.
	At time.Time `json:"at"`
	// Again says that the user was sent to the upstream a second time, because it
	// ended the first login before there was a session.
	Again bool `json:"ag,omitempty"`
}

// prompts says whether a prompt value was asked for.
func (q request) prompts(value string) bool { return slices.Contains(q.Prompt, value) }

// fail is an error that the relying party is told at its redirect URI (RFC 6749
// §4.1.2.1).
func (q request) fail(t federation.Tenant, err error) error { return q.failed(t, public(err)) }

func (q request) failed(t federation.Tenant, e *federation.Error) *redirectError {
	return &redirectError{reply: q.reply(t, url.Values{"error": {string(e.Code)}, "error_description": {e.Description}}), err: e}
}

// full is the request's address without what is secret or personal, as it was
// understood.
func (q request) full(t federation.Tenant) string {
	shown := url.Values{
		"client_id": {q.Client}, "redirect_uri": {q.RedirectURI}, "response_type": {"code"}, "scope": {strings.Join(q.Scopes, " ")},
	}
	for name, value := range map[string]string{
		"prompt": strings.Join(q.Prompt, " "), "acr_values": strings.Join(q.ACRValues, " "), "ui_locales": q.UILocales,
		"response_mode": q.Mode,
	} {
		if value != "" {
			shown.Set(name, value)
		}
	}
	if len(q.Resources) > 0 {
		shown[resourceParam] = q.Resources
	}
	if q.MaxAge >= 0 {
		shown.Set("max_age", strconv.Itoa(q.MaxAge))
	}
	return t.URL("/authorize") + "?" + shown.Encode()
}

// authorizeRequest reads an authorization request (OpenID Connect Core 1.0
// §3.1.2.1). Until client and redirect URI are proven an error has no other
// place than a page.
func (h *Handler) authorizeRequest(r *http.Request) (federation.Client, request, error) {
	all, problem := params(r, "client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce",
		"code_challenge", "code_challenge_method", "prompt", "max_age", "login_hint", "acr_values", "ui_locales", "id_token_hint",
		"idp_hint", "claims", resourceParam, "request", "request_uri", "registration", contextParam)
	if all == nil {
		return federation.Client{}, request{}, problem
	}
	t := tenantOf(r)
	q := request{Client: one(all, "client_id"), RedirectURI: one(all, "redirect_uri"), State: one(all, "state"), At: h.o.Now().UTC()}
	client, err := h.proven(t, q)
	if err != nil {
		return client, q, err
	}
	if one(all, "response_mode") == modeFormPost {
		q.Mode = modeFormPost // whatever else is wrong is told in this way
	}
	if problem == nil {
		problem = h.read(r, client, all, &q)
	}
	if problem != nil {
		return client, q, q.fail(t, problem)
	}
	return client, q, nil
}

// proven is the client of a request, if there is such a client now and the
// redirect URI is one of its own: compared byte by byte (RFC 9700 §2.1). What
// comes back from an upstream or from a page is proven again, since the
// configuration may have changed meanwhile.
func (h *Handler) proven(t federation.Tenant, q request) (federation.Client, error) {
	client, known := h.o.Registry().Client(t.ID, q.Client)
	if !known {
		return client, federation.Fail(federation.InvalidRequest, "The application that sent you here is not known.").
			Because(errors.New("unknown client_id"))
	}
	if !slices.Contains(client.RedirectURIs, q.RedirectURI) {
		return client, federation.Fail(federation.InvalidRequest, "The address to return to is not registered for this application.").
			Because(errors.New("redirect_uri is not registered"))
	}
	return client, nil
}

// read judges what is left once an error may be redirected.
func (h *Handler) read(r *http.Request, client federation.Client, all url.Values, q *request) error {
	if err := unsupported(all); err != nil {
		return err
	}
	if !client.MayGrant(grantCode) {
		return federation.Fail(federation.UnauthorizedClient, "The client may not use the authorization code grant.")
	}
	q.Nonce, q.LoginHint, q.UILocales, q.Hinted = all.Get("nonce"), all.Get("login_hint"), all.Get("ui_locales"), all.Get("idp_hint")
	q.ACRValues = strings.Fields(all.Get("acr_values"))
	var err error
	if q.Challenge, err = challenge(client, all); err != nil {
		return err
	}
	if q.Scopes, err = scopes(client, all.Get("scope")); err != nil {
		return err
	}
	if q.Prompt, err = prompt(all.Get("prompt")); err != nil {
		return err
	}
	if q.MaxAge, err = maxAge(client, all.Get("max_age")); err != nil {
		return err
	}
	if q.Context, err = hookContext(client, all); err != nil {
		return err
	}
	if err = q.ask(client, all.Get("claims")); err != nil {
		return err
	}
	if err = q.aim(tenantOf(r), client, all[resourceParam]); err != nil {
		return err
	}
	q.HintSubject, q.HintClient, err = h.hintSubject(r, all.Get("id_token_hint"))
	return err
}

// unsupported refuses what is not offered, by its own code where there is one.
func unsupported(all url.Values) error {
	switch {
	case all.Has("request"):
		return federation.Fail(federation.RequestNotSupported, "Request objects are not supported.")
	case all.Has("request_uri"):
		return federation.Fail(federation.RequestURINotSupported, "Request objects by reference are not supported.")
	case all.Has("registration"):
		return federation.Fail(federation.RegistrationUnsupported, "Self-issued registration is not supported.")
	case !all.Has("response_type"):
		return federation.Fail(federation.InvalidRequest, "response_type is missing.")
	case all.Get("response_type") != "code":
		return federation.Fail(federation.UnsupportedResponseType, "Only the response type code is supported.")
	case all.Has("response_mode") && !slices.Contains(responseModes(), all.Get("response_mode")):
		return federation.Fail(federation.InvalidRequest, "Only the response modes query and form_post are supported.")
	}
	return nil
}

// challenge reads PKCE (RFC 7636 §4.3): S256 alone, plain protects nothing.
func challenge(client federation.Client, all url.Values) (string, error) {
	given, method := all.Get("code_challenge"), all.Get("code_challenge_method")
	switch {
	case given == "" && method != "":
		return "", federation.Fail(federation.InvalidRequest, "code_challenge_method without code_challenge.")
	case given == "" && (client.RequirePKCE || client.Public()):
		return "", federation.Fail(federation.InvalidRequest, "code_challenge is missing: this client must use PKCE.")
	case given == "":
		return "", nil
	case method != "S256":
		return "", federation.Fail(federation.InvalidRequest, "code_challenge_method must be S256.")
	case !validChallenge(given):
		return "", federation.Fail(federation.InvalidRequest, "code_challenge is not an S256 challenge.")
	}
	return given, nil
}

// validChallenge says whether S256 can have made it: a SHA-256 in base64url,
// spelled in the one way that there is (RFC 7636 §4.2).
func validChallenge(given string) bool {
	sum, err := base64.RawURLEncoding.Strict().DecodeString(given)
	return err == nil && len(sum) == sha256.Size && len(given) == base64.RawURLEncoding.EncodedLen(sha256.Size)
}

// scopes are those asked for that the client may have, each once, in order.
// Offline access is nothing to a client that cannot refresh (OpenID Connect
// Core 1.0 §11).
func scopes(client federation.Client, text string) ([]string, error) {
	var granted []string
	for s := range strings.FieldsSeq(text) {
		if s == offlineAccess && !client.MayGrant(grantRefresh) {
			continue
		}
		if slices.Contains(client.Scopes, s) && !slices.Contains(granted, s) {
			granted = append(granted, s)
		}
	}
	if !slices.Contains(granted, "openid") {
		return nil, federation.Fail(federation.InvalidScope, "The scope openid is needed.")
	}
	return granted, nil
}

func prompt(text string) ([]string, error) {
	var values []string
	for v := range strings.FieldsSeq(text) {
		switch v {
		case "none", "login", "consent", "select_account":
		default:
			return nil, federation.Fail(federation.InvalidRequest, "prompt has an unknown value.")
		}
		if !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	if slices.Contains(values, "none") && len(values) > 1 {
		return nil, federation.Fail(federation.InvalidRequest, "prompt none excludes every other value.")
	}
	return values, nil
}

// maxAge is what the request says, or else what the client is registered with.
func maxAge(client federation.Client, text string) (int, error) {
	if text == "" {
		return client.DefaultMaxAge, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, federation.Fail(federation.InvalidRequest, "max_age must be a number of seconds.")
	}
	return int(n), nil
}

// hookContext takes the parameters that the client declared, and refuses those
// it did not. What the configuration sets wins and is added at the pipeline.
func hookContext(client federation.Client, all url.Values) (map[string][]string, error) {
	var given map[string][]string
	for param, values := range all {
		name, ok := strings.CutPrefix(param, contextParam)
		if !ok {
			continue
		}
		if !slices.Contains(client.HookParams, name) {
			return nil, federation.Fail(federation.InvalidRequest, "A hook context parameter is not declared for this client.")
		}
		if len(values) > maxContextValues {
			return nil, federation.Fail(federation.InvalidRequest, "A hook context parameter has too many values.")
		}
		if given == nil {
			given = map[string][]string{}
		}
		given[name] = values
	}
	return given, nil
}
