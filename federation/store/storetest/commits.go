package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// refusedCommitsLeaveNothing puts each kind of refusal at each place of a
// commit that would otherwise change records and log in every way there is.
func refusedCommitsLeaveNothing(f *fixture) {
	var never time.Time
	old := f.create("old", "old")
	v := f.commit(
		store.Create(f.key("replaced"), []byte("before"), never),
		store.Create(f.key("taken"), []byte("before"), never),
		store.Create(f.key("dropped"), []byte("before"), never),
		store.Create(f.key("put"), []byte("before"), never),
		f.event("first"))
	refusals := map[string]store.Op{
		"create of what is there":        store.Create(f.key("old"), []byte("x"), never),
		"replace at another version":     store.Replace(f.key("old"), old+100, []byte("x"), never),
		"replace of what is not there":   store.Replace(f.key("none"), old, []byte("x"), never),
		"take at another version":        store.Take(f.key("old"), v),
		"take of what is not there":      store.Take(f.key("none"), old),
		"check at another version":       store.Check(f.key("old"), old+1),
		"check for nothing at something": store.Check(f.key("old"), 0),
		"check for something at nothing": store.Check(f.key("none"), old),
	}
	for name, refusal := range refusals {
		changes := []store.Op{
			f.event("lost"),
			store.Create(f.key("created"), []byte("after"), never),
			store.Replace(f.key("replaced"), v, []byte("after"), f.now().Add(unit)),
			store.Take(f.key("taken"), v),
			store.Drop(f.key("dropped")),
			store.Put(f.key("put"), []byte("after"), f.now().Add(unit)),
			f.event("lost"),
		}
		for i := range len(changes) + 1 {
			ops := append(append(append([]store.Op{}, changes[:i]...), refusal), changes[i:]...)
			if _, err := f.Engine.Commit(f.Context(), ops...); !errors.Is(err, store.ErrConflict) {
				f.Fatalf("%s at %d answers %v, want a conflict", name, i, err)
			}
		}
	}
	f.absent("created", "none")
	f.holds("old", "old", old)
	for _, id := range []string{"replaced", "taken", "dropped", "put"} {
		f.holds(id, "before", v)
		if e := f.get(f.key(id)).Expires; !e.IsZero() {
			f.Fatalf("%s expires at %v after refused commits", id, e)
		}
	}
	f.commit(f.event("second"))
	said := f.said("first", "second")
	if said[1].Position.Seq != said[0].Position.Seq+1 || said[1].Position.Epoch != said[0].Position.Epoch {
		f.Fatalf("refused commits moved the log from %v to %v", said[0].Position, said[1].Position)
	}
}

func operationsJudgeVersions(f *fixture) {
	var never time.Time
	f.absent("a")
	v1 := f.create("a", "1")
	f.holds("a", "1", v1)
	f.conflict(store.Create(f.key("a"), []byte("2"), never))

	v2 := f.commit(store.Replace(f.key("a"), v1, []byte("2"), never))
	f.holds("a", "2", v2)
	f.conflict(store.Replace(f.key("a"), v1, []byte("3"), never))
	f.conflict(store.Take(f.key("a"), v1))
	f.holds("a", "2", v2)

	f.commit(store.Take(f.key("a"), v2))
	f.absent("a")
	f.conflict(store.Take(f.key("a"), v2))
	f.conflict(store.Replace(f.key("a"), v2, []byte("3"), never))

	// All that one commit writes carries one version.
	v := f.commit(store.Create(f.key("a"), []byte("4"), never), store.Create(f.key("b"), []byte("5"), never))
	f.holds("a", "4", v)
	f.holds("b", "5", v)
}

func checksFenceWrites(f *fixture) {
	v := f.create("guard", "")
	f.commit(store.Check(f.key("guard"), v), store.Put(f.key("a"), []byte("1"), time.Time{}))
	f.holds("guard", "", v)

	next := f.commit(store.Replace(f.key("guard"), v, nil, time.Time{}))
	f.conflict(store.Check(f.key("guard"), v), store.Put(f.key("a"), []byte("2"), time.Time{}))
	f.commit(store.Check(f.key("guard"), next), f.event("guarded"))
	f.said("guarded")

	f.commit(store.Check(f.key("none"), 0), store.Drop(f.key("a")))
	f.absent("a", "none")
	f.conflict(store.Check(f.key("guard"), 0), store.Put(f.key("a"), []byte("3"), time.Time{}))
	f.absent("a")

	f.commit(store.Take(f.key("guard"), next))
	f.conflict(store.Check(f.key("guard"), next), f.event("late"))
	f.commit(store.Check(f.key("guard"), 0))
	f.said("guarded")
}

func putAndDropAskNothing(f *fixture) {
	v1 := f.commit(store.Put(f.key("a"), []byte("1"), time.Time{}))
	f.holds("a", "1", v1)
	v2 := f.commit(store.Put(f.key("a"), []byte("2"), f.now().Add(unit)))
	f.holds("a", "2", v2)
	f.conflict(store.Replace(f.key("a"), v1, nil, time.Time{}))
	f.commit(store.Drop(f.key("a")), store.Drop(f.key("never was")))
	f.absent("a")
	f.commit(store.Drop(f.key("a")))
	v3 := f.create("a", "3")
	f.holds("a", "3", v3)
}

func malformedCommitsAreRefused(f *fixture) {
	var never time.Time
	v := f.create("there", "still")
	other := store.Key{Partition: f.at.Partition + 1, Kind: "thing", ID: "acme/a"}
	boom := errors.New("boom")
	outside := store.Key{Partition: store.Partition(f.Layout.Partitions), Kind: "thing", ID: "acme/a"}
	for name, ops := range map[string][]store.Op{
		"nothing":               {},
		"one key twice":         {store.Create(f.key("a"), nil, never), store.Put(f.key("a"), nil, never)},
		"one key twice, apart":  {store.Take(f.key("there"), v), f.event("e"), store.Check(f.key("there"), v)},
		"two partitions":        {store.Create(f.key("a"), nil, never), store.Create(other, nil, never)},
		"another log":           {store.Create(f.key("a"), nil, never), store.Append(other.Partition, nil)},
		"no kind":               {store.Create(store.Key{Partition: f.at.Partition, ID: "acme/a"}, nil, never)},
		"no id":                 {store.Create(store.Key{Partition: f.at.Partition, Kind: "thing"}, nil, never)},
		"replace at no version": {store.Replace(f.key("there"), 0, nil, never)},
		"take at no version":    {store.Take(f.key("there"), 0)},
		"no verb":               {{Key: f.key("a")}},
		"unknown verb":          {{Verb: store.VerbAppend + 1, Key: f.key("a")}},
		"bad":                   {store.Create(f.key("a"), nil, never), store.Bad(boom)},
		"no such partition":     {store.Create(outside, nil, never)},
		"an endless id":         {f.event("e"), store.Create(f.key(strings.Repeat("x", 1<<20)), nil, never)},
	} {
		_, err := f.Engine.Commit(f.Context(), ops...)
		if err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrUnknown) {
			f.Fatalf("%s answers %v, want to be refused for what it is", name, err)
		}
	}
	if _, err := f.Engine.Commit(f.Context(), store.Bad(boom)); !errors.Is(err, boom) {
		f.Fatalf("a bad operation answers %v, want its own error", err)
	}
	f.absent("a")
	f.holds("there", "still", v)
	f.said()
}

func endedContextWritesNothing(f *fixture) {
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	_, err := f.Engine.Commit(ctx, store.Create(f.key("a"), nil, time.Time{}), f.event("e"))
	if !errors.Is(err, context.Canceled) {
		f.Fatalf("commit answers %v", err)
	}
	if _, err := f.Engine.Get(ctx, f.key("a")); !errors.Is(err, context.Canceled) {
		f.Fatalf("get answers %v", err)
	}
	f.absent("a")
	f.said()
}

func versionsOnlyGrow(f *fixture) {
	var last store.Version
	for i := range 50 {
		v := f.create("a", fmt.Sprint(i))
		w := f.commit(store.Replace(f.key("a"), v, nil, f.now().Add(unit)), f.event("e"))
		if v <= last || w <= v {
			f.Fatalf("versions are %d, %d, %d", last, v, w)
		}
		last = w
		switch i % 3 {
		case 0:
			last = f.commit(store.Take(f.key("a"), w))
		case 1:
			f.Advance(2 * unit)
		default:
			f.commit(store.Drop(f.key("a")))
			f.reopen()
		}
		f.absent("a")
	}
}
