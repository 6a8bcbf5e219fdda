package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// visitCookie names the relying party's own session. Cookies do not tell ports
// apart, so it must differ from everybody else's on this host.
const visitCookie = "demo_shop_visit"

// relyingPartyOptions are what the relying party is made of.
type relyingPartyOptions struct {
	// Issuer is Drawbridge, Self the relying party's own address.
	Issuer, Self       string
	ClientID, Password string
	Client             *http.Client
	Now                func() time.Time
}

// relyingParty is a small web application that signs its visitors in through
// Drawbridge. It knows nothing of the provider behind.
type relyingParty struct {
	o relyingPartyOptions

	mu     sync.Mutex
	op     *oidc.Provider
	visits map[string]*visit
}

// visit is one browser at the relying party. Its fields are guarded by the
// relying party's mutex; what leaves is a copy.
type visit struct {
	began time.Time
	// attempt is the sign-in under way.
	attempt *attempt
	// leaving is the state of the logout under way.
	leaving string
	// notice is shown once, on the next page.
	notice notice
	// signed is what the last sign-in or refresh brought; nil when nobody is
	// signed in.
	signed *signedIn
	// idling says that the visitor asked to be left alone.
	idling bool
}

type attempt struct{ state, nonce, verifier string }

type notice struct {
	Text string
	Bad  bool
}

// signedIn is a visitor whom Drawbridge vouched for.
type signedIn struct {
	// At is when tokens came last.
	At        time.Time
	Refreshed int
	Subject   string
	Session   string
	// IDToken and Userinfo are the verified claims.
	IDToken, Userinfo map[string]any
	token             *oauth2.Token
	rawIDToken        string
}

func newRelyingParty(o relyingPartyOptions) *relyingParty {
	return &relyingParty{o: o, visits: map[string]*visit{}}
}

// discover asks Drawbridge who it is, once.
func (p *relyingParty) discover(ctx context.Context) (*oidc.Provider, *oauth2.Config, error) {
	p.mu.Lock()
	op := p.op
	p.mu.Unlock()
	if op == nil {
		var err error
		// The key set outlives the request that fetches it first.
		if op, err = oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.o.Client), p.o.Issuer); err != nil {
			return nil, nil, fmt.Errorf("discover Drawbridge: %w", err)
		}
		p.mu.Lock()
		p.op = op
		p.mu.Unlock()
	}
	endpoint := op.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	return op, &oauth2.Config{
		ClientID: p.o.ClientID, ClientSecret: p.o.Password, Endpoint: endpoint, RedirectURL: p.o.Self + "/callback",
		Scopes: []string{oidc.ScopeOpenID, "profile", "email"},
	}, nil
}

// begin is the address that starts a sign-in. With another, Drawbridge is told
// to ask who it is even if somebody is signed in.
func (p *relyingParty) begin(ctx context.Context, id string, another bool) (string, error) {
	_, conf, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	a := &attempt{state: rand.Text(), nonce: rand.Text(), verifier: oauth2.GenerateVerifier()}
	p.change(id, func(v *visit) { v.attempt = a })
	options := []oauth2.AuthCodeOption{oidc.Nonce(a.nonce), oauth2.S256ChallengeOption(a.verifier)}
	if another {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"))
	}
	return conf.AuthCodeURL(a.state, options...), nil
}

// finish takes the answer of the authorization endpoint.
func (p *relyingParty) finish(ctx context.Context, id string, answer url.Values) error {
	var a *attempt
	p.change(id, func(v *visit) { a, v.attempt = v.attempt, nil })
	switch {
	case a == nil || answer.Get("state") != a.state:
		return errors.New("this answer is not for a sign-in that began here")
	case answer.Get("iss") != p.o.Issuer: // RFC 9207 §2.4
		return errors.New("this answer is not Drawbridge's")
	case answer.Get("error") != "":
		return fmt.Errorf("the answer of Drawbridge is %s: %s", answer.Get("error"), answer.Get("error_description"))
	}
	op, conf, err := p.discover(ctx)
	if err != nil {
		return err
	}
	token, err := conf.Exchange(oidc.ClientContext(ctx, p.o.Client), answer.Get("code"), oauth2.VerifierOption(a.verifier))
	if err != nil {
		return fmt.Errorf("exchange the code: %w", err)
	}
	got, err := p.read(ctx, op, token, a.nonce)
	if err != nil {
		return err
	}
	p.change(id, func(v *visit) { v.signed, v.idling = got, false })
	return nil
}

// refresh gets new tokens and claims for the visitor.
func (p *relyingParty) refresh(ctx context.Context, id string) error {
	had := p.visit(id).signed
	if had == nil || had.token.RefreshToken == "" {
		return errors.New("nobody is signed in")
	}
	op, conf, err := p.discover(ctx)
	if err != nil {
		return err
	}
	stale := &oauth2.Token{RefreshToken: had.token.RefreshToken}
	token, err := conf.TokenSource(oidc.ClientContext(ctx, p.o.Client), stale).Token()
	if err != nil {
		if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
			return fmt.Errorf("the answer of Drawbridge is %s: %s", refused.ErrorCode, refused.ErrorDescription)
		}
		return fmt.Errorf("refresh: %w", err)
	}
	got, err := p.read(ctx, op, token, "")
	if err != nil {
		return err
	}
	if got.Subject != had.Subject { // OpenID Connect Core 1.0 §12.2
		return errors.New("the refreshed ID token is about somebody else")
	}
	got.Refreshed = had.Refreshed + 1
	p.change(id, func(v *visit) { v.signed, v.idling = got, false })
	return nil
}

// read verifies the ID token and asks userinfo.
func (p *relyingParty) read(ctx context.Context, op *oidc.Provider, token *oauth2.Token, nonce string) (*signedIn, error) {
	raw, _ := token.Extra("id_token").(string)
	ctx = oidc.ClientContext(ctx, p.o.Client)
	verified, err := op.Verifier(&oidc.Config{ClientID: p.o.ClientID, Now: p.o.Now}).Verify(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("verify the ID token: %w", err)
	}
	if nonce != "" && verified.Nonce != nonce {
		return nil, errors.New("verify the ID token: its nonce is another one's")
	}
	info, err := op.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, fmt.Errorf("ask userinfo: %w", err)
	}
	if info.Subject != verified.Subject { // OpenID Connect Core 1.0 §5.3.2
		return nil, errors.New("userinfo is about somebody else")
	}
	got := &signedIn{At: p.o.Now(), Subject: verified.Subject, token: token, rawIDToken: raw}
	var fromToken, fromInfo rawObject
	if err := errors.Join(verified.Claims(&fromToken), info.Claims(&fromInfo)); err != nil {
		return nil, fmt.Errorf("read the claims: %w", err)
	}
	got.IDToken, got.Userinfo = fromToken, fromInfo
	got.Session, _ = got.IDToken["sid"].(string)
	return got, nil
}

// touch asks userinfo once, which counts as activity of the session.
func (p *relyingParty) touch(ctx context.Context, id string) error {
	signed := p.visit(id).signed
	if signed == nil {
		return errors.New("nobody is signed in")
	}
	op, _, err := p.discover(ctx)
	if err != nil {
		return err
	}
	_, err = op.UserInfo(oidc.ClientContext(ctx, p.o.Client), oauth2.StaticTokenSource(signed.token))
	return err
}

// leave is the address that ends the session at Drawbridge (OpenID Connect
// RP-Initiated Logout 1.0 §2).
func (p *relyingParty) leave(id string) (string, bool) {
	to, state := "", rand.Text()
	p.change(id, func(v *visit) {
		if v.signed == nil {
			return
		}
		v.leaving = state
		to = p.o.Issuer + "/end_session?" + url.Values{
			"id_token_hint": {v.signed.rawIDToken}, "client_id": {p.o.ClientID}, "state": {state},
			"post_logout_redirect_uri": {p.o.Self + "/signed-out"},
		}.Encode()
	})
	return to, to != ""
}

// left takes the visitor back from Drawbridge, and forgets who they were.
func (p *relyingParty) left(id, state string) bool {
	ok := false
	p.change(id, func(v *visit) {
		if ok = state != "" && state == v.leaving; ok {
			v.signed, v.leaving, v.idling = nil, "", false
		}
	})
	return ok
}
