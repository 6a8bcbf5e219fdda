package delivery

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

func pos(n int) store.Position { return store.Position{Epoch: 1, Seq: uint64(n)} }

// A feed never answers with a gap: what it does not have, it does not know.
func TestAFeedHasNoGaps(t *testing.T) {
	f := newFeed(nil, 0)
	if _, _, known := f.after(pos(0), 1); known {
		t.Error("a feed that has not begun knows something")
	}
	f.begin(pos(100))
	next := 100
	for range 5 * feedDepth / 100 {
		var more []sessionhooks.Stored
		for range 100 {
			next++
			more = append(more, sessionhooks.Stored{Position: pos(next)})
		}
		f.add(more)
		if len(f.events) > 2*feedDepth+100 {
			t.Fatalf("%d events are kept", len(f.events))
		}
		first := int(f.from.Seq)
		for _, at := range []int{99, first - 1, first, first + 1, (first + next) / 2, next - 1, next} {
			got, _, known := f.after(pos(at), 10)
			if known != (at >= first) {
				t.Fatalf("after %d, from %d: known %v", at, first, known)
			}
			for i, e := range got {
				if e.Position != pos(at+1+i) {
					t.Fatalf("after %d comes %v", at+i, e.Position)
				}
			}
			if want := min(10, next-at); known && len(got) != want {
				t.Fatalf("%d events after %d of %d", len(got), at, next)
			}
		}
	}
	f.forget()
	if _, _, known := f.after(pos(next), 1); known {
		t.Error("what was forgotten is known")
	}
	_, news, _ := f.after(pos(next), 1)
	f.begin(pos(next))
	select {
	case <-news:
	default:
		t.Error("a feed that begins anew tells nobody")
	}
}
