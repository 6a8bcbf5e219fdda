package token

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/clientkeys"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Options say what an Issuer works with. All but Sealer and Log are required.
type Options struct {
	Engine store.Engine
	// Sealer, when not nil, seals codes, grants and access tokens at rest: they
	// hold personal data.
	Sealer   *store.Sealer
	Keyring  *Keyring
	Sessions *session.Manager
	Persons  Persons
	// Lifetimes may answer otherwise after the configuration was read again.
	Lifetimes func() Lifetimes
	Log       *slog.Logger
}

// Issuer makes, checks and revokes what relying parties are given. Its methods
// may be called concurrently. Their errors are *federation.Error where the
// caller is to be told something, and others where the store failed.
type Issuer struct {
	o        Options
	codes    *store.Table[codeRecord]
	accesses *store.Table[accessRecord]
	families *store.Table[familyRecord]
	overs    *store.Table[over]
	byPerson *store.Table[listed] // person/family, so that a person's are found

	saltTable *store.Table[saltRecord]
	salts     salts
}

// remembered is how many codes, access tokens and families each are kept
// decoded: most are shown within moments of being made.
const remembered = 256

// New makes an Issuer.
func New(o Options) (*Issuer, error) {
	if o.Engine == nil || o.Keyring == nil || o.Sessions == nil || o.Persons == nil || o.Lifetimes == nil {
		return nil, errors.New("token: an issuer needs an engine, a keyring, sessions, persons and lifetimes")
	}
	if l := o.Lifetimes(); min(l.Code, l.Access, l.ID, l.RefreshIdle, l.RefreshMax) < time.Second || l.RefreshGrace < 0 {
		return nil, errors.New("token: lifetimes are at least a second, and the grace is not negative")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	kind := func(name string) store.TableOptions {
		return store.TableOptions{Kind: name, Schema: 1, Sealer: o.Sealer, Remember: remembered}
	}
	return &Issuer{
		o:        o,
		codes:    store.NewTable[codeRecord](o.Engine, kind("token.code")),
		accesses: store.NewTable[accessRecord](o.Engine, kind("token.access")),
		families: store.NewTable[familyRecord](o.Engine, kind("token.family")),
		overs:    overTable(o.Engine),
		byPerson: store.NewTable[listed](o.Engine, store.TableOptions{Kind: "token.person", Schema: 1, Sealer: o.Sealer}),

		saltTable: store.NewTable[saltRecord](o.Engine, store.TableOptions{Kind: saltKind, Schema: 1, Sealer: o.Sealer}),
	}, nil
}

// now is the engine's time as it is kept in records: UTC, to the microsecond.
func (i *Issuer) now(ctx context.Context) (time.Time, error) {
	now, err := i.o.Engine.Now(ctx)
	if err != nil {
		return now, fmt.Errorf("read the engine's clock: %w", err)
	}
	return now.UTC().Truncate(time.Microsecond), nil
}

// maxUnknown is how often a commit whose outcome was lost is planned again.
const maxUnknown = 3

// settle is store.Update for a plan that recognises its own commit. Where the
// outcome was lost, planning again finds out; where it stays so, the answer is
// temporarily_unavailable.
func (i *Issuer) settle(ctx context.Context, plan func(context.Context) ([]store.Op, error)) error {
	for try := 1; ; try++ {
		_, err := store.Update(ctx, i.o.Engine, plan)
		lost := errors.Is(err, store.ErrUnknown)
		if lost && try < maxUnknown {
			continue
		}
		if lost || errors.Is(err, store.ErrUnsafe) {
			return federation.Fail(federation.TemporarilyUnavailable, "The server cannot say whether the request was carried out.").Because(err)
		}
		return err
	}
}

// touch notes activity of the session behind a grant. What was asked for is
// done whether or not that can be written down.
func (i *Issuer) touch(ctx context.Context, t federation.Tenant, g federation.Grant, held session.Held) {
	if g.Offline {
		return
	}
	if err := i.o.Sessions.Touch(ctx, t, held); err != nil {
		i.o.Log.WarnContext(ctx, "activity of a session could not be written", "tenant", t.ID, "session", g.Session, "error", err)
	}
}

// issuance is what one commit brought into being, before anything is signed.
type issuance struct {
	permit  Permit
	access  federation.Handle
	refresh string
	at      time.Time
	// to is whom the ID token is encrypted to, if the client wants that.
	to clientkeys.Recipient
	// again says that it is a refresh.
	again bool
}

// respond signs. It comes after the commit, so a failure here spends what was
// shown.
func (i *Issuer) respond(ctx context.Context, t federation.Tenant, is issuance) (Response, error) {
	l := i.o.Lifetimes()
	grant := is.permit.grant
	out := Response{
		TokenType: bearer, ExpiresIn: int(l.Access / time.Second),
		RefreshToken: is.refresh, Scope: strings.Join(grant.Scopes, " "),
	}
	var err error
	if out.AccessToken, err = i.accessText(ctx, t, is, l.Access); err != nil {
		return Response{}, err
	}
	if !grant.Has("openid") {
		return out, nil
	}
	alg := is.permit.client.IDTokenAlg
	if alg == "" {
		alg = federation.RS256 // the default of OpenID Connect Dynamic Client Registration 1.0 §2
	}
	payload := idToken{issuer: t.Issuer, grant: grant, access: out.AccessToken, at: is.at, life: l.ID, again: is.again, alg: alg}.claims()
	if out.IDToken, err = i.o.Keyring.Sign(ctx, t, alg, idTokenType, payload); err != nil {
		return Response{}, fmt.Errorf("sign ID token: %w", err)
	}
	if is.permit.client.IDTokenEncryption.Wanted() {
		if out.IDToken, err = is.to.Encrypt(out.IDToken, true); err != nil {
			return Response{}, fmt.Errorf("encrypt ID token: %w", err)
		}
	}
	return out, nil
}

// recipient is whom the ID token of a grant will be encrypted to, the zero value
// where it will not. It may have to fetch the client's keys, so it is asked before
// anything is spent.
func recipient(ctx context.Context, c federation.Client, g federation.Grant) (clientkeys.Recipient, error) {
	if !c.IDTokenEncryption.Wanted() || !g.Has("openid") {
		return clientkeys.Recipient{}, nil
	}
	return clientkeys.To(ctx, c, c.IDTokenEncryption)
}
