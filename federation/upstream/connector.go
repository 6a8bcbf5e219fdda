package upstream

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/drawbridge-id/drawbridge/federation"
)

// Options say which provider, and as whom we are registered there.
type Options struct {
	ID           string
	Issuer       string
	ClientID     string
	ClientSecret federation.Secret
	// AuthMethod is AuthBasic or AuthPost; empty is AuthBasic.
	AuthMethod federation.AuthMethod
	// Scopes are asked for; openid is added where it is missing.
	Scopes []string
	// ResponseMode is asked for: "query", "form_post", or empty to say nothing,
	// which is query (OAuth 2.0 Multiple Response Types §2.1).
	ResponseMode string
	// HTTP is the guarded client; bodies are bounded here.
	HTTP *http.Client
	Now  func() time.Time
	Log  *slog.Logger
	// Skew is the difference of clocks that is forgiven; 0 is a minute.
	Skew time.Duration
}

// OIDC is a connector to one OpenID provider.
type OIDC struct {
	o      Options
	http   *http.Client
	caller caller
	cache  discovery
}

// New makes a connector. It asks nothing of the provider.
func New(o Options) (*OIDC, error) {
	if o.ID == "" || o.Issuer == "" || o.ClientID == "" || o.HTTP == nil || o.Now == nil || o.Log == nil {
		return nil, errors.New("upstream: id, issuer, client id, HTTP client, clock and logger are needed")
	}
	switch o.AuthMethod {
	case "":
		o.AuthMethod = federation.AuthBasic
	case federation.AuthBasic, federation.AuthPost:
	default:
		return nil, errors.New("upstream: unknown authentication method")
	}
	if o.Skew == 0 {
		o.Skew = time.Minute
	}
	c := &OIDC{o: o, http: bounded(o.HTTP)}
	c.caller = caller{http: c.http, id: o.ClientID, secret: o.ClientSecret, method: o.AuthMethod}
	c.cache = discovery{fetch: c.discover, now: o.Now}
	return c, nil
}

// AuthURL implements federation.Connector. It sends PKCE with S256 always: a
// provider that does not know it ignores it (RFC 7636 §5).
func (c *OIDC) AuthURL(ctx context.Context, a federation.Attempt) (string, error) {
	p, err := c.cache.provider(ctx)
	if err != nil {
		return "", err
	}
	params := []oauth2.AuthCodeOption{
		oauth2.SetAuthURLParam("nonce", a.Nonce),
		oauth2.S256ChallengeOption(a.Verifier),
	}
	add := func(name, value string) {
		if value != "" {
			params = append(params, oauth2.SetAuthURLParam(name, value))
		}
	}
	add("prompt", strings.Join(a.Prompt, " "))
	add("login_hint", a.LoginHint)
	add("acr_values", strings.Join(a.ACRValues, " "))
	add("ui_locales", a.UILocales)
	add("response_mode", c.o.ResponseMode)
	switch {
	case a.MaxAge >= 0:
		add("max_age", strconv.Itoa(a.MaxAge))
	case a.Anew():
		add("max_age", "0") // or it need not say when that was (Core §2, auth_time)
	}
	return c.oauth(p, a).AuthCodeURL(a.State, params...), nil
}

// EndSessionURL is the address that ends the provider's session (OpenID Connect
// RP-Initiated Logout 1.0 §2), empty where the provider has none.
func (c *OIDC) EndSessionURL(ctx context.Context, idTokenHint, back, state string) (string, error) {
	p, err := c.cache.provider(ctx)
	if err != nil || p.meta.EndSession == "" {
		return "", err
	}
	u, err := url.Parse(p.meta.EndSession)
	if err != nil {
		return "", distrust("discovery", err)
	}
	q := u.Query()
	q.Set("client_id", c.o.ClientID)
	if idTokenHint != "" {
		q.Set("id_token_hint", idTokenHint)
	}
	if back != "" {
		q.Set("post_logout_redirect_uri", back)
		q.Set("state", state)
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

func (c *OIDC) oauth(p *provider, a federation.Attempt) *oauth2.Config {
	scopes := c.o.Scopes
	if !contains(scopes, "openid") {
		scopes = append([]string{"openid"}, scopes...)
	}
	return &oauth2.Config{
		ClientID: c.o.ClientID, RedirectURL: a.RedirectURI, Scopes: scopes, Endpoint: oauth2.Endpoint{AuthURL: p.meta.Authorization},
	}
}

func contains(list []string, s string) bool {
	return slices.Contains(list, s)
}
