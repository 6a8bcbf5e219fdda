package token

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

// clock is a clock that tests set.
type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(time.Date(2031, 5, 4, 10, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.nanos.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }
func (c *clock) setTo(t time.Time)       { c.nanos.Store(t.UnixNano()) }

// faulty is the engine with faults between it and its caller.
type faulty struct {
	store.Engine
	mu      sync.Mutex
	commits int
	gets    int
	// onCommit may answer in the engine's place; it is told whether the commit
	// should be made.
	onCommit func(n int) (doIt bool, err error)
	onGet    func(k store.Key) error
}

func (f *faulty) Commit(ctx context.Context, ops ...store.Op) (store.Version, error) {
	f.mu.Lock()
	f.commits++
	n, hook := f.commits, f.onCommit
	f.mu.Unlock()
	if hook == nil {
		return f.Engine.Commit(ctx, ops...)
	}
	doIt, lost := hook(n)
	if !doIt {
		return 0, lost
	}
	v, err := f.Engine.Commit(ctx, ops...)
	if err == nil && lost != nil {
		return 0, lost
	}
	return v, err
}

func (f *faulty) Get(ctx context.Context, k store.Key) (store.Record, error) {
	if err := f.asked(k); err != nil {
		return store.Record{}, err
	}
	return f.Engine.Get(ctx, k)
}

func (f *faulty) GetAll(ctx context.Context, keys ...store.Key) ([]store.Record, error) {
	if err := f.asked(keys...); err != nil {
		return nil, err
	}
	return f.Engine.GetAll(ctx, keys...)
}

func (f *faulty) asked(keys ...store.Key) error {
	f.mu.Lock()
	f.gets++
	hook := f.onGet
	f.mu.Unlock()
	for _, k := range keys {
		if hook == nil {
			break
		}
		if err := hook(k); err != nil {
			return err
		}
	}
	return nil
}

func (f *faulty) counts() (commits, gets int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commits, f.gets
}

func (f *faulty) arm(onCommit func(n int) (bool, error), onGet func(store.Key) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commits, f.gets, f.onCommit, f.onGet = 0, 0, onCommit, onGet
}

// house is everything that tokens need, real but for the clock.
type house struct {
	t        testing.TB
	clock    *clock
	engine   *faulty
	sealer   *store.Sealer
	sessions *session.Manager
	keys     *Keyring
	issuer   *Issuer
	tenant   federation.Tenant
	other    federation.Tenant
	people   people
	lives    Lifetimes
}

const (
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	back     = "https://shop.example/cb"
)

func challengeOf(v string) string {
	sum := sha256.Sum256([]byte(v))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func openEngine(t testing.TB, now func() time.Time) *faulty {
	t.Helper()
	return openEngineOf(t, now, 1)
}

func openEngineOf(t testing.TB, now func() time.Time, partitions int) *faulty {
	t.Helper()
	eng, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "drawbridge.db"), Now: now, Partitions: partitions})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	return &faulty{Engine: eng}
}

func tenantOf(id string) federation.Tenant {
	return federation.Tenant{ID: id, Issuer: "https://" + id + ".example", Place: store.Place{Tenant: id}}
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, clock: newClock(), tenant: tenantOf("acme"), other: tenantOf("rival")}
	h.engine = openEngineOf(t, h.clock.now, 16)
	h.lives = Lifetimes{
		Code: time.Minute, Access: 10 * time.Minute, ID: 5 * time.Minute,
		RefreshIdle: 30 * 24 * time.Hour, RefreshMax: 90 * 24 * time.Hour, RefreshGrace: 10 * time.Second,
	}
	var err error
	if h.sealer, err = store.NewSealer([]store.SealingKey{{ID: "k1", Key: make([]byte, 32)}}); err != nil {
		t.Fatal(err)
	}
	h.sessions, err = session.New(session.Options{
		Engine: h.engine, Sealer: h.sealer,
		Policy: func(federation.Tenant) session.Policy {
			return session.Policy{Idle: 30 * time.Minute, Max: 8 * time.Hour}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.keys, err = NewKeyring(KeyringOptions{
		Engine: h.engine, Sealer: h.sealer, Now: h.clock.now, RotateEvery: 90 * 24 * time.Hour, Overlap: 7 * 24 * time.Hour,
		Tenants: func() []federation.Tenant { return []federation.Tenant{h.tenant} },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.keys.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.people = people{store.NewTable[federation.Person](h.engine, store.TableOptions{Kind: "person", Schema: 1})}
	h.issuer, err = New(Options{
		Engine: h.engine, Sealer: h.sealer, Keyring: h.keys, Sessions: h.sessions, Persons: h.people,
		Lifetimes: func() Lifetimes { return h.lives },
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// in is the house for a subtest. Making one is slow: it has RSA keys to find.
func (h *house) in(t testing.TB) *house {
	again := *h
	again.t = t
	return &again
}

// people are persons as the issuer reads them.
type people struct {
	*store.Table[federation.Person]
}

func (p people) Key(t federation.Tenant, id string) (store.Key, bool) {
	return p.Table.Key(t.PlaceOf(id), id), id != ""
}

func (p people) Record(rec store.Record) (federation.Person, error) {
	row, err := p.Row(rec)
	return row.Value, err
}

// is makes a person be as given.
func (h *house) is(p federation.Person) {
	h.t.Helper()
	if _, err := h.engine.Engine.Commit(h.t.Context(), h.people.Put(h.tenant.PlaceOf(p.ID), p.ID, p, time.Time{})); err != nil {
		h.t.Fatal(err)
	}
}

// shop is a confidential client that may refresh.
func shop() federation.Client {
	return federation.Client{
		ID: "shop", Tenant: "acme", AuthMethod: federation.AuthBasic, Secrets: []federation.Secret{"s3cret"},
		GrantTypes: []string{"authorization_code", "refresh_token"}, IDTokenAlg: federation.ES256, Upstreams: []string{"corp"},
		Scopes: []string{"openid", "email", "profile", "offline_access"},
	}
}

func (h *house) verified(c federation.Client) VerifiedClient {
	h.t.Helper()
	p := Credentials{Method: c.AuthMethod, ID: c.ID}
	if len(c.Secrets) > 0 {
		p.Secret = c.Secrets[0]
	}
	v, err := Authenticate(c, true, p)
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

// grant is what a sign-in at shop gives, without its session.
func (h *house) grant() federation.Grant {
	return federation.Grant{
		Tenant: "acme", Client: "shop", Person: "0190c0de-0000-7000-8000-000000000001", Subject: "0190c0de-0000-7000-8000-000000000001",
		Upstream: "corp", Scopes: []string{"openid", "email", "profile"}, Nonce: "n-0S6_WzA2Mj",
		AuthTime: h.clock.now().Add(-time.Minute), ACR: "urn:acr:2", AMR: []string{"pwd", "otp"},
		Snapshot: claims.Snapshot{
			Released:  claims.Set{"email": "a@corp.example", "department": "r&d"},
			InIDToken: []string{"department"},
		},
	}
}

// signIn commits a session and a code for the grant, and answers the code. The
// grant's session is filled in unless it is offline.
func (h *house) signIn(g federation.Grant, b CodeBinding) (string, federation.Grant) {
	h.t.Helper()
	who := federation.Person{ID: g.Person, Tenant: g.Tenant}
	h.is(who)
	handle, id := federation.NewHandle(h.tenant.PlaceOf(g.Person)), h.sessions.NewID().For(h.tenant, g.Person)
	_, err := store.Update(h.t.Context(), h.engine, func(ctx context.Context) ([]store.Op, error) {
		begin := session.Begin{
			ID: id, Client: g.Client, Person: who,
			Login: federation.Login{Upstream: g.Upstream, AuthTime: g.AuthTime},
		}
		started, ops, err := h.sessions.PlanBegin(ctx, h.tenant, begin)
		if err != nil {
			return nil, err
		}
		g.Session = started.Session.ID
		client := shop()
		client.Tokens.Resources = g.Resources
		client.ID, client.Scopes = g.Client, append(slices.Clone(g.Scopes), offlineAccess)
		permit, err := AdmitCode(h.tenant, Applicant{Client: client, Type: grantCode, Grant: g, Person: who, Session: started.Session})
		if err != nil {
			return nil, err
		}
		more, err := h.issuer.PlanCode(ctx, h.tenant, permit, b, handle)
		return append(ops, more...), err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return handle.String(), g
}

func pkce() CodeBinding {
	return CodeBinding{RedirectURI: back, Challenge: challengeOf(verifier), ChallengeMethod: "S256"}
}

func redemption(code string) Redemption {
	return Redemption{Code: code, RedirectURI: back, RedirectURISent: true, Verifier: verifier}
}

// tokens signs in at shop and redeems the code.
func (h *house) tokens(change ...func(*federation.Grant)) (Response, federation.Grant) {
	h.t.Helper()
	g := h.grant()
	for _, f := range change {
		f(&g)
	}
	code, g := h.signIn(g, pkce())
	out, err := h.issuer.Redeem(h.t.Context(), h.tenant, h.verified(shop()), redemption(code))
	if err != nil {
		h.t.Fatal(err)
	}
	return out, g
}

// same is a renewal that finds everything as it was.
func same(_ context.Context, g federation.Grant, _ Grounds) (federation.Grant, error) {
	return g, nil
}

func (h *house) refresh(token string) (Response, error) {
	return h.issuer.Refresh(h.t.Context(), h.tenant, h.verified(shop()), RefreshRequest{Token: token}, same)
}

// live says whether an access token is good.
func (h *house) live(token string) bool {
	h.t.Helper()
	_, err := h.issuer.Inspect(h.t.Context(), h.tenant, token)
	if err != nil && codeOf(err) != federation.InvalidToken {
		h.t.Fatalf("inspect: %v", err)
	}
	return err == nil
}

// codeOf is the OAuth code of an error, empty for others.
func codeOf(err error) federation.Code {
	if e, ok := errors.AsType[*federation.Error](err); ok {
		return e.Code
	}
	return ""
}

func wantCode(t testing.TB, err error, want federation.Code) {
	t.Helper()
	if codeOf(err) != want {
		t.Fatalf("error %v, want %s", err, want)
	}
}
