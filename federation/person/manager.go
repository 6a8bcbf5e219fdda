package person

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

var (
	// ErrNotFound says that there is no such person.
	ErrNotFound = errors.New("person: no such person")
	// ErrMoved says that the alias belongs to another person than Resolve said:
	// resolve again, and judge anew by what comes back.
	ErrMoved = errors.New("person: the alias belongs to another person now")
	// ErrEmailChanged says that the address is not the person's current one.
	ErrEmailChanged = errors.New("person: not the current e-mail address")
	// ErrNoEmail says that the person has no e-mail address.
	ErrNoEmail = errors.New("person: no e-mail address")
	// ErrMalformedEmail says that the text is no e-mail address.
	ErrMalformedEmail = errors.New("person: malformed e-mail address")
)

// Options say what a Manager works with. Engine and EndSessions are required.
type Options struct {
	Engine store.Engine
	// Layout says which partitions Run looks after, and where the index entries
	// of spread tenants are; zero is one partition.
	Layout store.Layout
	// Sealer, when not nil, seals persons at rest.
	Sealer *store.Sealer
	// Tenant finds a tenant for deletions that Run finishes. Without it, or for
	// a tenant that is no longer configured, only ID and Place are known.
	Tenant func(id string) (federation.Tenant, bool)
	// Plan adds to the commits of a person's changes; nil adds nothing.
	Plan federation.Planner
	// EndSessions ends all sessions of a person who was deleted or blocked, and
	// what clients may do without a session; it may be called again for the same
	// person.
	EndSessions func(ctx context.Context, t federation.Tenant, person string, cause federation.Cause, req federation.Request) error
	Log         *slog.Logger
}

// Manager keeps persons. Its methods may be called concurrently.
type Manager struct {
	o         Options
	people    *store.Table[record]
	aliases   *store.Table[alias]
	emails    *store.Table[entry]
	customers *store.Table[entry]
	intents   *store.Table[intent]
	// projections are of spread tenants only.
	projections *store.Table[projection]
}

// remembered is how many persons are kept decoded: who has just signed in is
// read again at refreshes and when the session ends.
const remembered = 256

// New makes a Manager.
func New(o Options) (*Manager, error) {
	if o.Engine == nil || o.EndSessions == nil {
		return nil, errors.New("person: needs an engine and a way to end sessions")
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
	kind := func(name string) store.TableOptions { return store.TableOptions{Kind: name, Schema: 1} }
	sealed := func(name string) store.TableOptions {
		return store.TableOptions{Kind: name, Schema: 1, Sealer: o.Sealer, Remember: remembered}
	}
	return &Manager{
		o:         o,
		people:    store.NewTable[record](o.Engine, sealed("person")),
		aliases:   store.NewTable[alias](o.Engine, kind("person.alias")),
		emails:    store.NewTable[entry](o.Engine, kind("person.email")),
		customers: store.NewTable[entry](o.Engine, kind("person.customer")),
		intents:   store.NewTable[intent](o.Engine, sealed("person.deletion")),

		projections: store.NewTable[projection](o.Engine, kind("person.projection")),
	}, nil
}

// Get reads a person by the UUID; ErrNotFound for any text that is none's.
func (m *Manager) Get(ctx context.Context, t federation.Tenant, id string) (federation.Person, error) {
	row, err := m.read(ctx, t, id)
	return row.Value.person(), err
}

// All reads several persons of one partition by their UUIDs, in one round trip:
// those that there are.
func (m *Manager) All(ctx context.Context, t federation.Tenant, ids ...string) (map[string]federation.Person, error) {
	keys := make([]store.Key, 0, len(ids))
	for _, id := range ids {
		if key := m.people.Key(t.PlaceOf(id), id); isID(id) && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	recs, err := m.o.Engine.GetAll(ctx, keys...)
	if err != nil {
		return nil, fmt.Errorf("read persons: %w", err)
	}
	all := make(map[string]federation.Person, len(recs))
	for _, rec := range recs {
		row, err := m.people.Row(rec)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read person %s: %w", rec.Key.Local(), err)
		}
		all[row.ID] = row.Value.person()
	}
	return all, nil
}

// Key is where a person is, to be read beside something else of theirs; not ok
// for any text that is no person's UUID.
func (m *Manager) Key(t federation.Tenant, id string) (k store.Key, ok bool) {
	return m.people.Key(t.PlaceOf(id), id), isID(id)
}

// Record is the person that was read under Key; store.ErrNotFound where there
// was none.
func (m *Manager) Record(rec store.Record) (federation.Person, error) {
	row, err := m.people.Row(rec)
	return row.Value.person(), err
}

// ByAlias reads the person whom an upstream knows as subject; ErrNotFound.
func (m *Manager) ByAlias(ctx context.Context, t federation.Tenant, upstream, subject string) (federation.Person, error) {
	f, err := m.lookUp(ctx, t, upstream, subject)
	return f.person.Value.person(), err
}

// found is an alias and its person as they were read.
type found struct {
	alias  store.Row[alias]
	person store.Row[record]
}

func (m *Manager) lookUp(ctx context.Context, t federation.Tenant, upstream, subject string) (f found, err error) {
	// A deletion between the two reads looks like an alias of nobody: the
	// second look tells whom it belongs to now.
	for try := 0; ; try++ {
		id := aliasID(upstream, subject)
		f.alias, err = m.aliases.Get(ctx, t.PlaceOf(id), id)
		if errors.Is(err, store.ErrNotFound) {
			return f, ErrNotFound
		}
		if err != nil {
			return f, fmt.Errorf("read alias: %w", err)
		}
		f.person, err = m.read(ctx, t, f.alias.Value.Person)
		if try < 2 && errors.Is(err, ErrNotFound) {
			continue
		}
		return f, err
	}
}

func (m *Manager) read(ctx context.Context, t federation.Tenant, id string) (store.Row[record], error) {
	if !isID(id) {
		return store.Row[record]{}, ErrNotFound
	}
	row, err := m.people.Get(ctx, t.PlaceOf(id), id)
	if errors.Is(err, store.ErrNotFound) {
		return row, ErrNotFound
	}
	if err != nil {
		return row, fmt.Errorf("read person %s: %w", id, err)
	}
	return row, nil
}

// now is the engine's time as it is kept in records: UTC, to the microsecond.
func (m *Manager) now(ctx context.Context) (time.Time, error) {
	now, err := m.o.Engine.Now(ctx)
	if err != nil {
		return now, fmt.Errorf("read the engine's clock: %w", err)
	}
	return now.UTC().Truncate(time.Microsecond), nil
}
