package delivery

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

// Page after page, the deliveries of a spread tenant come once each, in order,
// however they lie in its places and whatever the state asked for.
func TestDeliveriesOfSeveralPlacesAreOneList(t *testing.T) {
	eng, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "db"), Partitions: 5, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	q, random := NewQueue(eng, nil), rand.New(rand.NewPCG(1, 2))
	var all places
	for p := range 5 {
		all = append(all, store.Place{Tenant: "acme", Partition: store.Partition(p)})
	}
	var ids []string
	for range 300 {
		at := all[min(random.IntN(8), 4)] // most of them in one place
		j := Job{Sender: SessionWebhooks, Target: "crm", Created: time.Now(), Next: time.Now()}
		if _, err := eng.Commit(t.Context(), q.Enqueue(at, j)...); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range all {
		some, _, err := q.List(t.Context(), at, SessionWebhooks, "crm", "", "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range some {
			ids = append(ids, j.ID)
		}
	}
	slices.Sort(ids)
	for _, n := range []int{1, 7, 100} {
		var got []string
		for after, more := "", true; more; more = after != "" {
			jobs, next, err := all.list(t.Context(), q, SessionWebhooks, "crm", Pending, after, n)
			if err != nil || len(jobs) > n || next != "" && next <= after {
				t.Fatalf("%d jobs, next %q after %q, %v", len(jobs), next, after, err)
			}
			for _, j := range jobs {
				got = append(got, j.ID)
			}
			after = next
		}
		if fmt.Sprint(got) != fmt.Sprint(ids) {
			t.Errorf("in pages of %d: %d of %d, in order: %v", n, len(got), len(ids), slices.IsSorted(got))
		}
	}
	for _, id := range ids[:10] {
		j, err := all.any(func(at store.Place, sender string) (Job, error) { return q.Get(t.Context(), at, sender, id) })
		if err != nil || j.ID != id {
			t.Errorf("%s: %v", id, err)
		}
	}
	if _, err := all.any(func(at store.Place, sender string) (Job, error) { return q.Get(t.Context(), at, sender, "crm_none") }); !errors.Is(err, ErrNoJob) {
		t.Errorf("a job that is nowhere: %v", err)
	}
}
