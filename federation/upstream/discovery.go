package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/federation"
)

const (
	// discoveryLife is how long metadata is used before it is fetched again;
	// if that fails the old one stays in use.
	discoveryLife = time.Hour
	// discoveryPause is the least time between two failed fetches.
	discoveryPause = 2 * time.Second
	// discoveryTimeout bounds one fetch, whoever waits for it.
	discoveryTimeout = 10 * time.Second
)

// metadata is what we use of OpenID Connect Discovery 1.0 §3.
type metadata struct {
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Userinfo      string   `json:"userinfo_endpoint"`
	EndSession    string   `json:"end_session_endpoint"`
	JWKS          string   `json:"jwks_uri"`
	Algs          []string `json:"id_token_signing_alg_values_supported"`
	UserinfoAlgs  []string `json:"userinfo_signing_alg_values_supported"`
	IssInAnswer   bool     `json:"authorization_response_iss_parameter_supported"`
	Pushed        string   `json:"pushed_authorization_request_endpoint"`
	RequiresPush  bool     `json:"require_pushed_authorization_requests"`
	// ClaimsParameter: the claims parameter of Core §5.5 is understood.
	ClaimsParameter bool `json:"claims_parameter_supported"`
}

// provider is what one fetch of the metadata brought.
type provider struct {
	meta     metadata
	verifier *oidc.IDTokenVerifier
	keys     *keySet
	fetched  time.Time
}

// discovery keeps a provider's metadata. Those who want it while it is being
// fetched wait for the one fetch.
type discovery struct {
	fetch func(context.Context) (*provider, error)
	now   func() time.Time

	mu      sync.Mutex
	have    *provider
	failed  error
	at      time.Time
	waiting chan struct{}
}

func (d *discovery) provider(ctx context.Context) (*provider, error) {
	d.mu.Lock()
	now := d.now()
	switch {
	case d.have != nil && now.Sub(d.have.fetched) < discoveryLife:
		defer d.mu.Unlock()
		return d.have, nil
	case d.failed != nil && now.Sub(d.at) < discoveryPause:
		defer d.mu.Unlock()
		return d.answer()
	case d.waiting == nil:
		d.waiting = make(chan struct{})
		go d.run(context.WithoutCancel(ctx), d.waiting)
	}
	if d.have != nil { // stale metadata serves while the new one is fetched
		defer d.mu.Unlock()
		return d.have, nil
	}
	waiting := d.waiting
	d.mu.Unlock()
	select {
	case <-waiting:
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.answer()
	case <-ctx.Done():
		return nil, unreachable(ctx.Err())
	}
}

// answer is what is known, mu held.
func (d *discovery) answer() (*provider, error) {
	if d.have != nil {
		return d.have, nil
	}
	return nil, d.failed
}

// run fetches once, for all who wait. It ends by itself within
// discoveryTimeout, which is why nobody needs to join it.
func (d *discovery) run(ctx context.Context, done chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, discoveryTimeout)
	defer cancel()
	p, err := d.fetch(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed, d.at, d.waiting = err, d.now(), nil
	if err == nil {
		d.have = p
	}
	close(done)
}

// discover fetches and checks the metadata. go-oidc holds the issuer in it to
// the configured one, exactly.
func (c *OIDC) discover(ctx context.Context) (*provider, error) {
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, c.http), c.o.Issuer)
	if err != nil {
		err = brief{err} // go-oidc repeats the whole answer
		c.o.Log.WarnContext(ctx, "upstream discovery failed", "upstream", c.o.ID, "error", err)
		if _, lies := errors.AsType[*oidc.IssuerMismatchError](err); lies {
			return nil, distrust("discovery", err)
		}
		return nil, unreachable(err)
	}
	p := &provider{fetched: c.o.Now()}
	if err := found.Claims(&p.meta); err != nil {
		return nil, distrust("discovery", err)
	}
	if err := p.meta.check(c.o.Issuer); err != nil {
		return nil, distrust("discovery", err)
	}
	if old := c.cache.old(); old != nil && old.meta.JWKS == p.meta.JWKS && slices.Equal(old.meta.algs(), p.meta.algs()) {
		p.verifier, p.keys = old.verifier, old.keys // with what was fetched
		return p, nil
	}
	p.keys = &keySet{url: p.meta.JWKS, http: c.http, now: c.o.Now, algs: josed(p.meta.algs())}
	p.verifier = oidc.NewVerifier(c.o.Issuer, p.keys, &oidc.Config{
		ClientID: c.o.ClientID, SupportedSigningAlgs: p.meta.algs(),
		// A clock that is behind ours by less than the skew has not let the token expire.
		Now: func() time.Time { return c.o.Now().Add(-c.o.Skew) },
	})
	return p, nil
}

func (d *discovery) old() *provider {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.have
}

// check refuses addresses that are none, and those that would carry secrets in
// the clear although the issuer itself is reached over TLS.
func (m metadata) check(issuer string) error {
	for name, s := range map[string]string{
		"authorization_endpoint": m.Authorization, "token_endpoint": m.Token, "jwks_uri": m.JWKS,
		"userinfo_endpoint": m.Userinfo, "end_session_endpoint": m.EndSession,
		"pushed_authorization_request_endpoint": m.Pushed,
	} {
		if s == "" && name != "authorization_endpoint" && name != "token_endpoint" && name != "jwks_uri" {
			continue
		}
		u, err := url.Parse(s)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
			return fmt.Errorf("%s is not an address", name)
		case u.Scheme == "http" && strings.HasPrefix(issuer, "https:"):
			return fmt.Errorf("%s is not https, as the issuer is", name)
		}
	}
	if len(m.algs()) == 0 {
		return errors.New("no signing algorithm that we accept is announced")
	}
	return nil
}

// algs are the announced ones that an ID token may be signed with here.
func (m metadata) algs() []string {
	if len(m.Algs) == 0 {
		return []string{oidc.RS256} // the default of Discovery 1.0 §3
	}
	return slices.DeleteFunc(accepted(), func(alg string) bool { return !slices.Contains(m.Algs, alg) })
}

// userinfoAlgs are those that userinfo may be signed with, which a provider
// need not announce.
func (m metadata) userinfoAlgs() []string {
	if len(m.UserinfoAlgs) == 0 {
		return accepted()
	}
	return slices.DeleteFunc(accepted(), func(alg string) bool { return !slices.Contains(m.UserinfoAlgs, alg) })
}

// accepted are the algorithms that a provider may sign with: never none, never
// a MAC with a client secret.
func accepted() []string {
	return []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}
}

func josed(algs []string) []jose.SignatureAlgorithm {
	out := make([]jose.SignatureAlgorithm, 0, len(algs))
	for _, alg := range algs {
		out = append(out, jose.SignatureAlgorithm(alg))
	}
	return out
}

var _ federation.Connector = (*OIDC)(nil)
