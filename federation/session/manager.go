package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// ErrNotFound says that there is no such session, or that it is over.
var ErrNotFound = errors.New("session: no such session")

// Policy says how long a tenant's sessions live and who hears of their end.
type Policy struct {
	// Idle is how long a session lives without activity, Max how long at most.
	// Sessions keep what they began with.
	Idle, Max time.Duration
	// MaxPerPerson is how many sessions a person may have at once; 0 is any number.
	// Where one more begins the oldest end, or, with RefuseMore, it is refused.
	MaxPerPerson int
	RefuseMore   bool
	// Webhooks names the session webhooks to pin on a session that begins; nil
	// is none.
	Webhooks func(federation.Session) []string
}

// Observer hears of what has been committed, for metrics. Nil fields are left
// out. It must be quick and may be called concurrently.
type Observer struct {
	Began func(t federation.Tenant, s federation.Session)
	Ended func(t federation.Tenant, s federation.Session, cause federation.Cause)
}

// Options say what a Manager works with. Engine and Policy are required.
type Options struct {
	Engine store.Engine
	// Layout says which partitions Run sweeps; zero is one partition.
	Layout store.Layout
	// Sealer, when not nil, seals sessions at rest: they hold upstream tokens.
	Sealer *store.Sealer
	// Tenant finds a tenant for what the sweeper ends. Without it, or for a
	// tenant that is no longer configured, only ID and Place are known.
	Tenant func(id string) (federation.Tenant, bool)
	Policy func(t federation.Tenant) Policy
	// Plan adds to the commits of beginnings and ends; nil adds nothing.
	Plan federation.Planner
	// People, when not nil, reads whom ending sessions of one partition belong to,
	// for the changes that tell of it: those of the ids that there are.
	People func(ctx context.Context, t federation.Tenant, ids ...string) (map[string]federation.Person, error)
	// Node is the name that sessions keep of the node they began on.
	Node    string
	Observe Observer
	Log     *slog.Logger
	// Monotonic is the time since some fixed moment, by a clock that is never
	// set. Without it nobody notices that the engine's clock jumps, or that the
	// store was away.
	Monotonic func() time.Duration
	// Outage says what becomes of idle time while the store, or everybody who
	// asks it, is away; empty is Grace.
	Outage Outage
}

// Manager keeps sessions. Its methods may be called concurrently.
type Manager struct {
	o        Options
	sessions *store.Table[federation.Session]
	index    *store.Table[struct{}] // person/sid, so that a person's are found
	dues     *store.Table[struct{}] // of the partition: due id of tenant/sid
	pulses   *store.Table[pulse]    // of the partition: one record
	// upstreams is the index by what upstreams call their sessions, bars what
	// they told of logins that are over.
	upstreams *store.Table[struct{}]
	bars      *store.Table[bar]
}

// New makes a Manager.
func New(o Options) (*Manager, error) {
	if o.Engine == nil || o.Policy == nil {
		return nil, errors.New("session: needs an engine and a policy")
	}
	if o.Outage != "" && o.Outage != Grace && o.Outage != Expire {
		return nil, fmt.Errorf("session: %q says nothing about outages", o.Outage)
	}
	if o.Plan == nil {
		o.Plan = federation.Planners()
	}
	if o.Tenant == nil {
		o.Tenant = func(string) (federation.Tenant, bool) { return federation.Tenant{}, false }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Manager{
		o:        o,
		sessions: store.NewTable[federation.Session](o.Engine, store.TableOptions{Kind: "session", Schema: 1, Sealer: o.Sealer, Remember: remembered}),
		index:    store.NewTable[struct{}](o.Engine, store.TableOptions{Kind: "session.person", Schema: 1}),
		dues:     store.NewTable[struct{}](o.Engine, store.TableOptions{Kind: dueKind, Schema: 1}),
		pulses:   store.NewTable[pulse](o.Engine, store.TableOptions{Kind: "session.pulse", Schema: 1}),

		upstreams: store.NewTable[struct{}](o.Engine, store.TableOptions{Kind: "session.upstream", Schema: 1}),
		bars:      store.NewTable[bar](o.Engine, store.TableOptions{Kind: "session.barred", Schema: 1}),
	}, nil
}

const dueKind = "session.due"

// remembered is how many sessions are kept decoded: one that begins is read
// twice more before its login is over.
const remembered = 256

// Held is a session as it was read: alive, and at a version.
type Held struct {
	Session federation.Session
	version store.Version
}

// Live reads a session that is alive; ErrNotFound for any other. One that is
// past its deadline ends here, with its timeout.
func (m *Manager) Live(ctx context.Context, t federation.Tenant, sid string) (Held, error) {
	row, err := m.read(ctx, t, sid)
	if err != nil {
		return Held{}, err
	}
	return m.alive(ctx, t, row)
}

// ByCookie reads the live session of a cookie's value; ErrNotFound for any
// text that is not the value of a live session of this tenant.
func (m *Manager) ByCookie(ctx context.Context, t federation.Tenant, value string) (Held, error) {
	c, ok := parseCookie(value)
	if !ok || c.place != t.PlaceOf(c.sid) {
		return Held{}, ErrNotFound
	}
	row, err := m.read(ctx, t, c.sid)
	if err != nil {
		return Held{}, err
	}
	if !c.opens(row.Value) {
		return Held{}, ErrNotFound
	}
	return m.alive(ctx, t, row)
}

func (m *Manager) alive(ctx context.Context, t federation.Tenant, row store.Row[federation.Session]) (Held, error) {
	now, err := m.now(ctx)
	if err != nil {
		return Held{}, err
	}
	if over(row.Value, now) {
		if _, err := m.end(ctx, t, row.ID, timedOut); err != nil && !errors.Is(err, ErrNotFound) {
			// It is over all the same; the sweeper comes back to it.
			m.o.Log.WarnContext(ctx, "session past its deadline could not be ended", "session", row.ID, "error", err)
		}
		return Held{}, ErrNotFound
	}
	return Held{Session: row.Value, version: row.Version}, nil
}

// Key is where a session is, to be read beside something else of its person's;
// not ok for any text that is no sid.
func (m *Manager) Key(t federation.Tenant, sid string) (k store.Key, ok bool) {
	return m.sessions.Key(t.PlaceOf(sid), sid), ValidID(sid)
}

// LiveRecord is Live of what was read under Key.
func (m *Manager) LiveRecord(ctx context.Context, t federation.Tenant, rec store.Record) (Held, error) {
	row, err := m.sessions.Row(rec)
	if row, err = m.judged(ctx, row, err); err != nil {
		return Held{}, err
	}
	return m.alive(ctx, t, row)
}

func (m *Manager) read(ctx context.Context, t federation.Tenant, sid string) (store.Row[federation.Session], error) {
	if !ValidID(sid) {
		return store.Row[federation.Session]{}, ErrNotFound
	}
	row, err := m.sessions.Get(ctx, t.PlaceOf(sid), sid)
	return m.judged(ctx, row, err)
}

// judged is what a session that was read is to whoever asks now.
func (m *Manager) judged(ctx context.Context, row store.Row[federation.Session], err error) (store.Row[federation.Session], error) {
	if errors.Is(err, store.ErrNotFound) {
		return row, ErrNotFound
	}
	if err != nil {
		return row, fmt.Errorf("read session: %w", err)
	}
	row.Value, err = m.forgiven(ctx, row.Place, row.Value)
	return row, err
}

// now is the engine's time as it is kept in records: UTC, to the microsecond,
// without a monotonic part.
func (m *Manager) now(ctx context.Context) (time.Time, error) {
	now, err := m.o.Engine.Now(ctx)
	if err != nil {
		return now, fmt.Errorf("read the engine's clock: %w", err)
	}
	return now.UTC().Truncate(time.Microsecond), nil
}

// over says whether a session's time has come.
func over(s federation.Session, now time.Time) bool {
	deadline, _ := s.Deadline()
	return !now.Before(deadline)
}

// dueID is the due record of a session. It rounds up, so that what is due is
// also over.
func dueID(t federation.Tenant, s federation.Session) string {
	deadline, _ := s.Deadline()
	return store.DueID(deadline.Add(time.Microsecond-1), t.ID+"/"+s.ID)
}

// ValidID says whether s can be a sid. Nothing else ever reaches a key.
func ValidID(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, base64url) == ""
}

const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
