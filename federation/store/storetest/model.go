package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// model is what an engine must look like from outside, in the simplest form.
type model struct {
	f       *fixture
	rng     *rand.Rand
	records map[store.Key]store.Record
	// known are versions that were once true, for operations that come late.
	known   []store.Version
	last    store.Version
	log     []string
	trimmed store.Position
	tail    store.Position
}

// modelAgrees makes random commits to a few keys and holds the engine to the
// model after each, over expiry, trims and reopening.
func modelAgrees(f *fixture) {
	m := &model{
		f: f, rng: rand.New(rand.NewPCG(2, 7)),
		records: map[store.Key]store.Record{}, known: []store.Version{1, 1 << 40},
	}
	for range 500 {
		m.step()
	}
}

func (m *model) step() {
	m.f.Helper()
	switch n := m.rng.IntN(40); {
	case n < 4:
		m.f.Advance(time.Duration(1+m.rng.IntN(3)) * unit)
	case n < 5:
		m.f.reopen()
	case n < 6:
		m.trim(m.tail)
	default:
		m.commit()
	}
	m.compare()
}

func (m *model) trim(upTo store.Position) {
	m.f.Helper()
	if err := m.f.Engine.TrimLog(m.f.Context(), m.f.at.Partition, upTo); err != nil {
		m.f.Fatalf("trim: %v", err)
	}
	m.trimmed, m.tail, m.log = upTo, upTo, nil
}

func (m *model) live(k store.Key) (store.Record, bool) {
	rec, ok := m.records[k]
	if !ok || !rec.Expires.IsZero() && !rec.Expires.After(m.f.now()) {
		return store.Record{}, false
	}
	return rec, true
}

func (m *model) commit() {
	m.f.Helper()
	keys := []store.Key{m.f.key("a"), m.f.key("b"), m.f.key("b/c"), m.f.at.Key("other", "a"), m.f.at.Own().Key("own", m.f.at.Tenant)}
	m.rng.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	var ops []store.Op
	for _, k := range keys[:1+m.rng.IntN(3)] {
		ops = append(ops, m.randomOp(k))
		if m.rng.IntN(3) == 0 {
			ops = append(ops, m.f.event(fmt.Sprint(m.rng.Uint32())))
		}
	}
	fine := !slices.ContainsFunc(ops, func(op store.Op) bool { return !m.allows(op) })
	v, err := m.f.Engine.Commit(m.f.Context(), ops...)
	if fine != (err == nil) || err != nil && !errors.Is(err, store.ErrConflict) {
		m.f.Fatalf("commit %v answers %v, the model says %v", ops, err, fine)
	}
	if err != nil {
		return
	}
	if v <= m.last {
		m.f.Fatalf("version %d after %d", v, m.last)
	}
	m.last = v
	m.known = append(m.known, v)
	for _, op := range ops {
		m.apply(op, v)
	}
}

func (m *model) randomOp(k store.Key) store.Op {
	rec, live := m.live(k)
	at := rec.Version
	if !live || m.rng.IntN(5) == 0 {
		at = m.known[m.rng.IntN(len(m.known))]
	}
	var expires time.Time
	if m.rng.IntN(2) == 0 {
		// Half a unit keeps deadlines apart from every moment that is judged.
		expires = m.f.now().Add(time.Duration(m.rng.IntN(5))*unit - unit/2)
	}
	value := []byte(strings.Repeat(fmt.Sprint(m.rng.IntN(10)), m.rng.IntN(2000)))
	switch m.rng.IntN(8) {
	case 0, 1:
		return store.Create(k, value, expires)
	case 2, 3:
		return store.Replace(k, at, value, expires)
	case 4:
		return store.Take(k, at)
	case 5:
		if !live || m.rng.IntN(5) == 0 {
			return store.Check(k, 0)
		}
		return store.Check(k, at)
	case 6:
		return store.Drop(k)
	default:
		return store.Put(k, value, expires)
	}
}

func (m *model) allows(op store.Op) bool {
	rec, live := m.live(op.Key)
	switch op.Verb {
	case store.VerbCreate:
		return !live
	case store.VerbReplace, store.VerbTake:
		return live && rec.Version == op.At
	case store.VerbCheck:
		return rec.Version == op.At
	default:
		return true
	}
}

func (m *model) apply(op store.Op, v store.Version) {
	switch op.Verb {
	case store.VerbCreate, store.VerbReplace, store.VerbPut:
		m.records[op.Key] = store.Record{Key: op.Key, Version: v, Value: op.Value, Expires: op.Expires}
	case store.VerbTake, store.VerbDrop:
		delete(m.records, op.Key)
	case store.VerbAppend:
		m.log = append(m.log, string(op.Value))
	}
}

func (m *model) compare() {
	m.f.Helper()
	for _, kind := range []string{"thing", "other"} {
		recs, err := m.f.Engine.Scan(m.f.Context(), store.Range{
			Partition: m.f.at.Partition, Kind: kind, Prefix: m.f.at.Tenant + "/", Limit: 100,
		})
		if err != nil {
			m.f.Fatalf("scan: %v", err)
		}
		var want []store.Record
		for k := range m.records {
			if rec, live := m.live(k); live && k.Kind == kind {
				want = append(want, rec)
			}
		}
		slices.SortFunc(want, func(a, b store.Record) int { return strings.Compare(a.Key.ID, b.Key.ID) })
		if !slices.EqualFunc(recs, want, sameRecord) {
			m.f.Fatalf("kind %s holds %v, the model %v", kind, recs, want)
		}
	}
	for k := range m.records {
		want, live := m.live(k)
		rec, err := m.f.Engine.Get(m.f.Context(), k)
		if live && (err != nil || !sameRecord(rec, want)) || !live && !errors.Is(err, store.ErrNotFound) {
			m.f.Fatalf("%v is %v, %v; the model has %v, %v", k, rec, err, want, live)
		}
	}
	var log []string
	for _, e := range m.f.log(m.trimmed) {
		log = append(log, string(e.Value))
		m.tail = e.Position
	}
	if !slices.Equal(log, m.log) {
		m.f.Fatalf("the log holds %q, the model %q", log, m.log)
	}
}

func sameRecord(a, b store.Record) bool {
	return a.Key == b.Key && a.Version == b.Version && string(a.Value) == string(b.Value) && a.Expires.Equal(b.Expires)
}
