package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore"
)

// ledger is what callers were told of their commits, each of which makes one
// record and one event of the same name.
type ledger struct {
	mu sync.Mutex
	// made were acknowledged, or are kept for sure; unknown may or may not
	// stand; refused must not.
	made, unsafe, unknown, refused map[string]bool
}

func newLedger() *ledger {
	return &ledger{made: map[string]bool{}, unsafe: map[string]bool{}, unknown: map[string]bool{}, refused: map[string]bool{}}
}

// commit makes one commit and writes down what its caller was told.
func (l *ledger) commit(ctx context.Context, e *redisstore.Engine, at store.Place, name string) error {
	_, err := e.Commit(ctx, store.Create(at.Key("thing", name), []byte(name), time.Time{}), store.Append(at.Partition, []byte(name)))
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.made[name] = true
	case errors.Is(err, store.ErrUnsafe):
		l.unsafe[name] = true
	case errors.Is(err, store.ErrUnknown):
		l.unknown[name] = true
	case errors.Is(err, store.ErrUnavailable):
		l.refused[name] = true
	default:
		return fmt.Errorf("commit %s: %w", name, err)
	}
	return nil
}

// load has writers commit until stop is called, which says how that went.
func (l *ledger) load(t *testing.T, e *redisstore.Engine, prefix string, writers int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	errs := make([]error, writers)
	var group sync.WaitGroup
	for w := range writers {
		at := e.Layout().Place(fmt.Sprint("tenant-", w%4))
		group.Go(func() {
			for i := 0; ctx.Err() == nil && errs[w] == nil; i++ {
				errs[w] = l.commit(context.WithoutCancel(ctx), e, at, fmt.Sprintf("%s-%d-%d", prefix, w, i))
			}
		})
	}
	return sync.OnceFunc(func() {
		cancel()
		group.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
	})
}

// atLeast waits until so many commits more were acknowledged.
func (l *ledger) atLeast(t *testing.T, more int) {
	t.Helper()
	goal := l.count() + more
	eventually(t, "more commits", func() bool { return l.count() >= goal })
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.made)
}

// verify holds the store to what its callers were told: nothing is lost,
// nothing is there twice, no event is without its record.
func (l *ledger) verify(t *testing.T, e *redisstore.Engine) {
	t.Helper()
	records, events := contents(t, e)
	for name, n := range events {
		if n != 1 {
			t.Errorf("event %s is there %d times", name, n)
		}
	}
	if !maps.Equal(records, events) {
		t.Errorf("there are %d records and %d events", len(records), len(events))
	}
	for _, must := range []map[string]bool{l.made, l.unsafe} {
		for name := range must {
			if records[name] == 0 {
				t.Errorf("%s was acknowledged and is lost", name)
			}
		}
	}
	for name := range l.refused {
		if records[name] != 0 {
			t.Errorf("%s was refused and is there", name)
		}
	}
	for name := range records {
		if !l.made[name] && !l.unsafe[name] && !l.unknown[name] {
			t.Errorf("nobody has written %s", name)
		}
	}
	t.Logf("%d made, %d unsafe, %d unknown, %d refused", len(l.made), len(l.unsafe), len(l.unknown), len(l.refused))
}

// contents are how often each name is there, as a record and as an event; on
// the way the positions are held to grow.
func contents(t *testing.T, e *redisstore.Engine) (records, events map[string]int) {
	t.Helper()
	records, events = map[string]int{}, map[string]int{}
	for p := range e.Layout().Partitions {
		p := store.Partition(p)
		found, err := e.Scan(t.Context(), store.Range{Partition: p, Kind: "thing", Limit: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range found {
			records[string(rec.Value)]++
		}
		var after store.Position
		for {
			entries, err := e.ReadLog(t.Context(), p, after, 1000, 0)
			if err != nil {
				t.Fatal(err)
			}
			if len(entries) == 0 {
				break
			}
			for _, entry := range entries {
				if entry.Position.Compare(after) <= 0 {
					t.Fatalf("%v comes after %v", entry.Position, after)
				}
				after = entry.Position
				events[string(entry.Value)]++
			}
		}
	}
	return records, events
}

// eventually polls until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for !so() {
		select {
		case <-deadline:
			t.Fatalf("there is no sign of: %s", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// names are the keys of a map in order, for messages.
func names(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }
