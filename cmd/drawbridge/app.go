package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/drawbridge-id/drawbridge/bridge"
	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/edge"
	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/freshness"
	"github.com/drawbridge-id/drawbridge/federation/limit"
	"github.com/drawbridge-id/drawbridge/federation/notice"
	"github.com/drawbridge-id/drawbridge/federation/op"
	"github.com/drawbridge-id/drawbridge/federation/op/page"
	"github.com/drawbridge-id/drawbridge/federation/person"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/token"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// keepEvents is how long events and their data are kept.
const keepEvents = 30 * 24 * time.Hour

// App is the program: everything built, with both addresses taken, nothing
// served before Run.
type App struct {
	log     *slog.Logger
	metrics *edge.Metrics
	health  *edge.Health
	drain   *wire.Drain
	build   *builder
	live    atomic.Pointer[revision]
	// started is what the process was started with; some of it cannot change.
	started config.Config

	engine   storage
	keys     *token.Keyring
	persons  *person.Manager
	sessions *session.Manager
	issuer   *token.Issuer
	notices  *notice.Receiver
	limiter  *limit.Limiter
	provider *op.Handler
	pages    *bridge.Pages
	users    *bridge.Service
	events   *sessionhooks.Log
	queue    *delivery.Queue
	worker   *delivery.Pool
	nodes    *revisions

	// failures outlives revisions: a reload forgives nobody.
	failures   *wire.Limiter
	management atomic.Pointer[http.Handler]
	listeners  struct{ public, management net.Listener }
	tls        struct{ public, management *certificate }
}

// New builds everything straight from top to bottom: what is needed stands
// above what needs it. On an error what was opened is closed again.
func New(cfg config.Config, log *slog.Logger) (*App, error) { return newOver(cfg, log, openStorage) }

// newOver is New with the way to open the store.
func newOver(cfg config.Config, log *slog.Logger, open func(config.Config, *slog.Logger) (storage, error)) (app *App, err error) {
	a := &App{log: log, metrics: edge.NewMetrics(version), drain: &wire.Drain{}, started: cfg}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	if err := a.listen(cfg); err != nil {
		return nil, err
	}
	sealer, err := store.NewSealer(sealingKeys(cfg))
	if err != nil {
		return nil, err
	}
	if a.engine, err = open(cfg, log); err != nil {
		return nil, err
	}
	layout := a.engine.Layout()
	a.nodes = newRevisions(revisionsOptions{
		Engine: a.engine, Node: nodeName(cfg), Version: version, Log: log, Observe: a.metrics.Nodes,
		Config: func() [sha256.Size]byte { return configDigest(a.live.Load().cfg) },
	})
	a.build = &builder{log: log, now: time.Now, metrics: a.metrics, layout: layout, own: a.own, identity: a.keepIdentity, hookToken: a.hookToken}
	first, wrong := a.build.build(cfg, nil)
	if len(wrong) > 0 {
		return nil, located(cfg, wrong)
	}
	a.live.Store(first)
	a.events = sessionhooks.NewLog(a.engine, sealer, keepEvents)
	a.queue = delivery.NewQueue(a.engine, sealer)
	announce := &announcer{log: a.events, queue: a.queue, live: a.live.Load}
	if err := a.federation(cfg, sealer, announce.plan); err != nil {
		return nil, err
	}
	if err := a.usersContract(cfg, sealer); err != nil {
		return nil, err
	}
	if a.worker, err = a.deliveryWorker(cfg); err != nil {
		return nil, err
	}
	if a.health, err = a.readiness(cfg); err != nil {
		return nil, err
	}
	a.health.Ready = (&writable{eng: a.engine, now: time.Now}).after(a.health.Ready)
	if a.failures, err = wire.NewLimiter(wire.LimiterOptions{Burst: 20, Every: 3 * time.Second, Keys: 10_000, Now: time.Now}); err != nil {
		return nil, err
	}
	management, err := a.managementHandler(first)
	if err != nil {
		return nil, err
	}
	a.management.Store(&management)
	return a, a.prepare(sealer)
}

// federation builds the provider's side.
func (a *App) federation(cfg config.Config, sealer *store.Sealer, plan federation.Planner) (err error) {
	if a.keys, err = token.NewKeyring(token.KeyringOptions{
		Engine: a.engine, Sealer: sealer, Tenants: func() []federation.Tenant { return a.live.Load().registry.Tenants() }, Now: time.Now,
		Algs:        func(t federation.Tenant) []federation.SigningAlg { return a.live.Load().registry.SigningAlgs(t.ID) },
		RotateEvery: cfg.Keys.RotateEvery, Overlap: cfg.Keys.Overlap, Log: a.log,
	}); err != nil {
		return err
	}
	if a.persons, err = person.New(person.Options{
		Engine: a.engine, Layout: a.engine.Layout(), Sealer: sealer, Tenant: a.tenant, Log: a.log,
		Plan: federation.Planners(plan, op.ForgetConsents(a.engine, sealer), freshness.Forget(a.engine, sealer)),
		EndSessions: func(ctx context.Context, t federation.Tenant, person string, cause federation.Cause, req federation.Request) error {
			if _, err := a.sessions.EndAll(ctx, t, person, cause, req); err != nil {
				return err
			}
			_, err := a.issuer.EndGrants(ctx, t, person, "")
			return err
		},
	}); err != nil {
		return err
	}
	if a.sessions, err = session.New(session.Options{
		Engine: a.engine, Layout: a.engine.Layout(), Sealer: sealer, Tenant: a.tenant, People: a.persons.All, Node: nodeName(cfg), Log: a.log,
		Plan:   federation.Planners(plan, token.NoteEnds(a.engine, a.endsOffline, a.lifetimes), freshness.Forget(a.engine, sealer)),
		Policy: func(federation.Tenant) session.Policy { return a.live.Load().policy() }, Observe: a.observeSessions(), Monotonic: monotonic(), Outage: session.Outage(cfg.Session.StoreOutage),
	}); err != nil {
		return err
	}
	if a.issuer, err = token.New(token.Options{
		Engine: a.engine, Sealer: sealer, Keyring: a.keys, Sessions: a.sessions, Persons: a.persons, Lifetimes: a.lifetimes, Log: a.log,
	}); err != nil {
		return err
	}
	if a.notices, err = a.noticeReceiver(sealer); err != nil {
		return err
	}
	if a.limiter, err = limit.New(limit.Options{Engine: a.engine, Now: time.Now, Keys: counters, Log: a.log}); err != nil {
		return err
	}
	a.provider, err = op.New(op.Options{
		Engine: a.engine, Sealer: sealer, Registry: func() *federation.Registry { return a.live.Load().registry }, Persons: a.persons,
		Sessions: a.sessions, Keys: a.keys, Issuer: a.issuer, Notices: a.notices, Plan: plan, Log: a.log, Now: time.Now, Observe: a.observeSignIns(),
		Pages: func() *page.Set { return a.live.Load().pages }, Limiter: a.limiter, Limits: func() limit.Policy { return a.live.Load().limits },
	})
	return err
}

// prepare does what must be done once before anything is served.
func (a *App) prepare(sealer *store.Sealer) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	// A lease of a dead process would hold up deliveries.
	if err := freeLeases(ctx, a.engine); err != nil {
		return err
	}
	// As long as it takes: it is once in the life of a store.
	if err := upgradeStore(context.Background(), a.engine, a.engine.Layout(), sealer); err != nil {
		return err
	}
	if err := a.keys.Ensure(ctx); err != nil {
		return fmt.Errorf("make signing keys: %w", err)
	}
	n, _, err := a.sessions.Count(ctx)
	if err != nil {
		return fmt.Errorf("count sessions: %w", err)
	}
	a.metrics.SessionsLive(n)
	a.metrics.Store(storeFigures(a.engine))
	a.metrics.Hooks(a.hookFigures)
	return nil
}

// close gives back what New took.
func (a *App) close() {
	for _, l := range []net.Listener{a.listeners.public, a.listeners.management} {
		if l != nil {
			_ = l.Close() // closed already after a clean end
		}
	}
	if a.engine != nil {
		if err := a.engine.Close(); err != nil {
			a.log.Error("store was not closed cleanly", "error", err)
		}
	}
}

// PublicAddr is the address that the public listener has.
func (a *App) PublicAddr() string { return a.listeners.public.Addr().String() }

// ManagementAddr is the address that the management listener has.
func (a *App) ManagementAddr() string { return a.listeners.management.Addr().String() }

// own are our listeners' addresses, which no outside call may reach.
func (a *App) own() []netip.AddrPort {
	var all []netip.AddrPort
	for _, l := range []net.Listener{a.listeners.public, a.listeners.management} {
		if ap, err := netip.ParseAddrPort(l.Addr().String()); err == nil {
			all = append(all, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
		}
	}
	return all
}

func (a *App) tenant(id string) (federation.Tenant, bool) { return a.live.Load().registry.Tenant(id) }

func (a *App) lifetimes() token.Lifetimes {
	t := a.live.Load().cfg.Tokens
	return token.Lifetimes{Code: t.Code, Access: t.AccessToken, ID: t.IDToken, RefreshIdle: t.RefreshIdle, RefreshMax: t.RefreshMax, RefreshGrace: t.RefreshGrace}
}

func nodeName(cfg config.Config) string {
	if cfg.NodeName != "" {
		return cfg.NodeName
	}
	host, err := os.Hostname()
	if err != nil {
		return "drawbridge"
	}
	return host
}

func sealingKeys(cfg config.Config) []store.SealingKey {
	var keys []store.SealingKey
	for _, k := range cfg.Store.SealingKeys {
		keys = append(keys, store.SealingKey{ID: k.ID, Key: k.Bytes()})
	}
	return keys
}
