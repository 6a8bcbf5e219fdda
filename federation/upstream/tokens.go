package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
)

// caller makes the calls at which a provider wants to know who we are.
type caller struct {
	http   *http.Client
	id     string
	secret federation.Secret
	method federation.AuthMethod
	key    *Key
	// issuer and token endpoint are what a proof by key is made for.
	issuer, token string
	now           func() time.Time
}

// tokens is a token endpoint's answer (RFC 6749 §5.1).
type tokens struct {
	access, refresh, id string
	// life is how long the access token is good, 0 where that is not said.
	life time.Duration
}

// answerError is an endpoint that said no: a status and a registered code.
type answerError struct {
	status int
	code   string
}

// errGarbled: an answer that nobody can act upon.
var errGarbled = errors.New("the answer makes no sense")

// Error is fit for a log: nothing of the answer but its code, clipped.
func (e *answerError) Error() string {
	return "endpoint answered " + strconv.Itoa(e.status) + " " + clip(e.code)
}

// redeem exchanges a code (RFC 6749 §4.1.3, RFC 7636 §4.5).
func (c caller) redeem(ctx context.Context, a federation.Attempt, code string) (tokens, error) {
	return c.tokens(ctx, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {a.RedirectURI}, "code_verifier": {a.Verifier},
	})
}

// renew uses a refresh token (RFC 6749 §6). The scopes stay those of the login.
func (c caller) renew(ctx context.Context, refresh string) (tokens, error) {
	return c.tokens(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
}

// tokens asks a token endpoint. Some answer with a form, and some say no with
// the status of a yes: the member error decides.
func (c caller) tokens(ctx context.Context, form url.Values) (tokens, error) {
	said, err := c.post(ctx, c.token, form)
	if err != nil {
		return tokens{}, err
	}
	t := tokens{access: said.text("access_token"), refresh: said.text("refresh_token"), id: said.text("id_token")}
	switch kind := said.text("token_type"); {
	case t.access == "":
		return t, fmt.Errorf("%w: it has no access_token", errGarbled)
	case kind != "" && !strings.EqualFold(kind, "bearer"):
		return t, fmt.Errorf("%w: it has the token_type %s", errGarbled, clip(kind))
	}
	if seconds, err := strconv.ParseFloat(said.text("expires_in"), 64); err == nil && seconds > 0 && seconds < 1e9 {
		t.life = time.Duration(seconds) * time.Second
	}
	return t, nil
}

// said is the answer of an endpoint, in one shape whatever it was written in.
type said struct{ members claims.Set }

func (s said) text(name string) string {
	switch v := s.members[name].(type) {
	case string:
		return v
	case fmt.Stringer: // json.Number
		return v.String()
	}
	return ""
}

// post sends a form with our credentials and reads what comes back. The error is
// an *answerError where the endpoint refused, and any other where it did not
// answer so that it could be understood.
func (c caller) post(ctx context.Context, endpoint string, form url.Values) (said, error) {
	header, err := c.prove(form)
	if err != nil {
		return said{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return said{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if header != "" {
		req.Header.Set("Authorization", header)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return said{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return said{}, err
	}
	all, err := understand(res.Header.Get("Content-Type"), body)
	switch code := all.text("error"); {
	case res.StatusCode >= 300 || res.StatusCode < 200:
		return said{}, &answerError{status: res.StatusCode, code: code}
	case err != nil:
		return said{}, fmt.Errorf("%w: %w", errGarbled, err)
	case code != "":
		return said{}, &answerError{status: res.StatusCode, code: code}
	}
	return all, nil
}

// understand reads JSON, and the forms that some providers answer with.
func understand(contentType string, body []byte) (said, error) {
	kind, _, _ := mime.ParseMediaType(contentType)
	if isForm := kind == "application/x-www-form-urlencoded" || kind == "text/plain"; !isForm || bytes.HasPrefix(body, []byte("{")) {
		members, err := claims.DecodeObject(body, claims.UpstreamLimits())
		return said{members}, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return said{}, errors.New("it is no form")
	}
	members := make(claims.Set, len(form))
	for name, values := range form {
		if len(values) != 1 {
			return said{}, errors.New("a member is there twice")
		}
		members[name] = values[0]
	}
	return said{members}, nil
}

// prove adds our credentials to a form, or answers the header that has them
// (RFC 6749 §2.3.1, RFC 7523 §2.2).
func (c caller) prove(form url.Values) (header string, err error) {
	switch c.method {
	case federation.AuthPost:
		form.Set("client_id", c.id)
		form.Set("client_secret", c.secret.Reveal())
		return "", nil
	case PrivateKeyJWT:
		audience := c.token
		if c.key.audience == ForIssuer {
			audience = c.issuer
		}
		proof, err := c.key.assertion(c.id, audience, c.now())
		form.Set("client_id", c.id)
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", proof)
		return "", err
	}
	req := http.Request{Header: http.Header{}}
	req.SetBasicAuth(url.QueryEscape(c.id), url.QueryEscape(c.secret.Reveal()))
	return req.Header.Get("Authorization"), nil
}
