package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

const rivals = 100

// inParallel runs do for every number below n at once.
func (f *fixture) inParallel(n int, do func(i int) error) {
	f.Helper()
	start := make(chan struct{})
	errs := make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			<-start
			errs[i] = do(i)
		})
	}
	close(start)
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		f.Fatal(err)
	}
}

// increment reads a counter and says what would add one to it, with an event.
func (f *fixture) increment(ctx context.Context, id string) ([]store.Op, error) {
	rec, err := f.Engine.Get(ctx, f.key(id))
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(string(rec.Value))
	if err != nil {
		return nil, err
	}
	next := strconv.Itoa(n + 1)
	return []store.Op{store.Replace(f.key(id), rec.Version, []byte(next), time.Time{}), f.event(next)}, nil
}

// noUpdateIsLost has a hundred writers add to one counter: first each once
// through store.Update, then each several times in a loop of its own.
func noUpdateIsLost(f *fixture) {
	const loops = 3
	f.create("n", "0")
	f.inParallel(rivals, func(int) error {
		_, err := store.Update(f.Context(), f.Engine, func(ctx context.Context) ([]store.Op, error) {
			return f.increment(ctx, "n")
		})
		return err
	})
	f.inParallel(rivals, func(int) error {
		for done := 0; done < loops; {
			ops, err := f.increment(f.Context(), "n")
			if err != nil {
				return err
			}
			_, err = f.Engine.Commit(f.Context(), ops...)
			if err == nil {
				done++
			} else if !errors.Is(err, store.ErrConflict) {
				return err
			}
		}
		return nil
	})
	total := rivals + rivals*loops
	if got := string(f.get(f.key("n")).Value); got != strconv.Itoa(total) {
		f.Fatalf("the counter is %s, want %d", got, total)
	}
	entries := f.log(store.Position{})
	if len(entries) != total {
		f.Fatalf("%d events, want %d", len(entries), total)
	}
	for i, e := range entries {
		if string(e.Value) != strconv.Itoa(i+1) {
			f.Fatalf("event %d is %q", i+1, e.Value)
		}
	}
}

func codeIsRedeemedOnce(f *fixture) {
	for _, spend := range []func(at store.Version, by int) store.Op{
		func(at store.Version, by int) store.Op {
			return store.Replace(f.key("code"), at, fmt.Append(nil, by), time.Time{})
		},
		func(at store.Version, _ int) store.Op { return store.Take(f.key("code"), at) },
	} {
		before := len(f.log(store.Position{}))
		f.commit(store.Put(f.key("code"), []byte("fresh"), time.Time{}))
		at := f.get(f.key("code")).Version
		var mu sync.Mutex
		var winners []int
		f.inParallel(50, func(i int) error {
			_, err := f.Engine.Commit(f.Context(), spend(at, i), f.event(fmt.Sprint("redeemed by ", i)))
			if errors.Is(err, store.ErrConflict) {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			winners = append(winners, i)
			return err
		})
		if len(winners) != 1 {
			f.Fatalf("the code was redeemed by %v", winners)
		}
		events := f.log(store.Position{})[before:]
		if len(events) != 1 || string(events[0].Value) != fmt.Sprint("redeemed by ", winners[0]) {
			f.Fatalf("events are %q, the winner is %d", events, winners[0])
		}
	}
}

// logOrderIsCommitOrder holds positions against versions, of which each commit
// has one, and what a reader saw while it was written against what is there.
func logOrderIsCommitOrder(f *fixture) {
	const writers, each = 16, 25
	var versions sync.Map
	ctx, cancel := context.WithCancel(f.Context())
	defer cancel()
	var seen []store.Entry
	followed := make(chan error, 1)
	go func() { followed <- f.follow(ctx, writers*each, &seen) }()
	f.inParallel(writers, func(w int) error {
		for i := range each {
			name := fmt.Sprintf("%d-%d", w, i)
			v, err := f.Engine.Commit(f.Context(), f.event(name), store.Create(f.key(name), nil, time.Time{}))
			if err != nil {
				return err
			}
			versions.Store(name, v)
		}
		return nil
	})
	if err := <-followed; err != nil {
		f.Fatalf("follow: %v", err)
	}
	entries := f.log(store.Position{})
	if len(entries) != writers*each {
		f.Fatalf("%d entries, want %d", len(entries), writers*each)
	}
	var last store.Version
	var lastPos store.Position
	for i, e := range entries {
		v, ok := versions.Load(string(e.Value))
		if !ok || v.(store.Version) <= last || e.Position.Compare(lastPos) <= 0 {
			f.Fatalf("entry %d, %q at %v of version %v, comes after %v of version %d", i, e.Value, e.Position, v, lastPos, last)
		}
		last, lastPos = v.(store.Version), e.Position
		if seen[i].Position != e.Position || !bytes.Equal(seen[i].Value, e.Value) {
			f.Fatalf("a reader saw %v where %v is", seen[i].Position, e.Position)
		}
	}
}

// follow reads n entries as they come.
func (f *fixture) follow(ctx context.Context, n int, seen *[]store.Entry) error {
	var after store.Position
	for len(*seen) < n {
		entries, err := f.Engine.ReadLog(ctx, f.at.Partition, after, 3, time.Hour)
		if err != nil {
			return err
		}
		if len(entries) > 3 || len(entries) == 0 {
			return fmt.Errorf("%d entries where 1 to 3 were asked for", len(entries))
		}
		*seen = append(*seen, entries...)
		after = entries[len(entries)-1].Position
	}
	return nil
}
