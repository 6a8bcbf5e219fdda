package store

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

type jotting struct {
	Text string `json:"text"`
}

// What is remembered is told from what is stored by the bytes: nothing that
// was planned and not committed, or written by another, is ever answered.
func TestRememberedRowsAreNeverStale(t *testing.T) {
	eng := newMemory()
	at := Place{Tenant: "acme"}
	options := TableOptions{Kind: "note", Schema: 1, Remember: 2}
	mine, theirs := NewTable[jotting](eng, options), NewTable[jotting](eng, options)
	holds := func(id, want string) {
		t.Helper()
		for range 2 {
			if row, err := mine.Get(t.Context(), at, id); err != nil || row.Value.Text != want {
				t.Fatalf("%s is %q, %v, want %q", id, row.Value.Text, err, want)
			}
		}
	}
	commit := func(ops ...Op) {
		t.Helper()
		if _, err := eng.Commit(t.Context(), ops...); err != nil {
			t.Fatal(err)
		}
	}
	commit(mine.Create(at, "a", jotting{"first"}, time.Time{}))
	holds("a", "first")
	mine.Put(at, "a", jotting{"only planned"}, time.Time{})
	holds("a", "first")
	commit(theirs.Put(at, "a", jotting{"another's"}, time.Time{}))
	holds("a", "another's")
	for _, id := range []string{"b", "c", "d", "e"} { // more than are remembered
		commit(mine.Create(at, id, jotting{id}, time.Time{}))
	}
	for _, id := range []string{"b", "c", "d", "e"} {
		holds(id, id)
	}
	commit(mine.Drop(at, "a"))
	if _, err := mine.Get(t.Context(), at, "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a row that is gone: %v", err)
	}
}

func TestRememberedRowsAreSharedByReaders(t *testing.T) {
	eng := newMemory()
	at := Place{Tenant: "acme"}
	notes := NewTable[jotting](eng, TableOptions{Kind: "note", Schema: 1, Remember: 3})
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			id := string(rune('a' + n))
			for range 200 {
				if _, err := eng.Commit(context.Background(), notes.Put(at, id, jotting{id}, time.Time{})); err != nil {
					t.Error(err)
				}
				if row, err := notes.Get(context.Background(), at, id); err != nil || row.Value.Text != id {
					t.Errorf("%s is %q, %v", id, row.Value.Text, err)
				}
			}
		})
	}
	group.Wait()
}
