package delivery

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

var start = time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)

// record is the nth due record of a target.
func record(t *testing.T, target string, n int) due {
	t.Helper()
	d, err := parseDue(0, store.DueID(start.Add(time.Duration(n)*time.Second), fmt.Sprintf("default/test/%s_%04d", target, n)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func takeOff(b *board) string {
	var names []string
	for {
		d, ok := b.next()
		if !ok {
			return strings.Join(names, " ")
		}
		names = append(names, strings.TrimPrefix(d.job(), "default/test/"))
	}
}

func TestLanesTakeTurns(t *testing.T) {
	b := newBoard(6, 3)
	for n := range 4 {
		b.offer(record(t, "a", n))
	}
	b.offer(record(t, "b", 0))
	b.offer(record(t, "c", 0))
	b.offer(record(t, "c", 1))
	b.offer(record(t, "a", 2)) // known
	if got := takeOff(b); got != "a_0000 b_0000 c_0000" {
		t.Errorf("first %s", got)
	}
	// Half of the room is taken and nobody has been quick yet: one each.
	b.land(record(t, "c", 0), 10*time.Millisecond, time.Time{})
	if got := takeOff(b); got != "a_0001 c_0001" {
		t.Errorf("then %s", got)
	}
	if got := takeOff(b); got != "" {
		t.Errorf("half the room is taken, and still %s", got)
	}
}

func TestALaneThatIsSlowDoesNotTakeTheSecondHalf(t *testing.T) {
	b := newBoard(8, 8)
	for n := range 20 {
		b.offer(record(t, "slow", n))
	}
	if got := strings.Fields(takeOff(b)); len(got) != 4 {
		t.Fatalf("one that is not known to be quick has %d of 8", len(got))
	}
	b.land(record(t, "slow", 0), 15*time.Second, time.Time{})
	if got := strings.Fields(takeOff(b)); len(got) != 1 {
		t.Errorf("after a slow landing %d took off", len(got))
	}
	b.land(record(t, "slow", 1), time.Millisecond, time.Time{})
	if got := strings.Fields(takeOff(b)); len(got) != 5 {
		t.Errorf("after a quick landing %d took off", len(got))
	}
}

func TestAFullLaneLeavesTheRestOnDisk(t *testing.T) {
	b := newBoard(4, 4)
	for n := range laneDepth + 50 {
		b.offer(record(t, "a", n))
	}
	l := b.lanes["default/test/a"]
	if len(l.jobs) != laneDepth || l.left != record(t, "a", laneDepth).id || b.hungry() != nil {
		t.Fatalf("%d jobs in mind, left %q", len(l.jobs), l.left)
	}
	b.offer(record(t, "b", 1)) // others are not concerned
	if b.lanes["default/test/b"] == nil {
		t.Error("another lane was refused")
	}
	for range laneDepth {
		d, _ := b.next()
		if d.lane() == l.name {
			b.land(d, time.Millisecond, time.Time{})
		}
	}
	if b.hungry() != l {
		t.Fatal("an empty lane with more on disk is not hungry")
	}
	after := b.fetch(l)
	if id := record(t, "a", laneDepth).id; after >= id || after < record(t, "a", laneDepth-1).id {
		t.Errorf("goes on after %q, which must be right before %q", after, id)
	}
	if b.hungry() != nil || l.left != "" {
		t.Error("it is still hungry")
	}
}

func TestManyLanesAreEachKeptShort(t *testing.T) {
	b := newBoard(4, 4)
	for n := range 1000 {
		b.offer(record(t, fmt.Sprintf("t%d", n), 0))
	}
	for n := 1; n < 200; n++ {
		b.offer(record(t, "t7", n))
	}
	if n := len(b.lanes["default/test/t7"].jobs); n != boardDepth/1000 {
		t.Errorf("%d jobs of one lane among a thousand", n)
	}
}

func TestTargetsWhoseNamesBeginAlikeAreApart(t *testing.T) {
	b := newBoard(8, 1)
	for _, target := range []string{"a", "a_b", "a_b_c"} {
		b.offer(record(t, target, 0))
		b.offer(record(t, target, 1))
	}
	if got := takeOff(b); got != "a_0000 a_b_0000 a_b_c_0000" {
		t.Errorf("took off: %s", got)
	}
}

func TestAJobThatWasNotSettledIsLeftAlone(t *testing.T) {
	b := newBoard(4, 4)
	d := record(t, "a", 1)
	b.offer(d)
	takeOff(b)
	b.land(d, 0, start.Add(time.Minute))
	if len(b.lanes) != 0 {
		t.Error("its lane is kept")
	}
	b.wake(start.Add(time.Minute - 1))
	b.offer(d)
	if got := takeOff(b); got != "" {
		t.Errorf("too early: %s", got)
	}
	b.wake(start.Add(time.Minute))
	b.offer(d)
	if got := takeOff(b); got != "a_0001" {
		t.Errorf("then: %q", got)
	}
}

// The model: whatever is offered, in whatever order, and however flights land,
// each job flies once, and the limits hold.
func FuzzBoard(f *testing.F) {
	f.Add([]byte("offer land offer land"))
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 250, 251, 252, 0, 0, 0})
	f.Fuzz(func(t *testing.T, moves []byte) {
		b := newBoard(7, 3)
		var flying []due
		flown := map[string]int{}
		for i, m := range moves {
			switch {
			case m < 128:
				b.offer(record(t, fmt.Sprintf("t%d", m%5), i))
			case len(flying) > 0:
				k := int(m) % len(flying)
				b.land(flying[k], time.Duration(m%3)*time.Second, time.Time{})
				flying = append(flying[:k], flying[k+1:]...)
			}
			for {
				d, ok := b.next()
				if !ok {
					break
				}
				flying = append(flying, d)
				if flown[d.job()]++; flown[d.job()] > 1 {
					t.Fatalf("%s flew twice", d.job())
				}
			}
			lanes := map[string]int{}
			for _, d := range flying {
				lanes[d.lane()]++
			}
			for name, n := range lanes {
				if n > 3 || n != b.lanes[name].flying {
					t.Fatalf("%s has %d flying", name, n)
				}
			}
			if len(flying) > 7 || b.flying != len(flying) {
				t.Fatalf("%d flying", len(flying))
			}
		}
		for len(flying) > 0 {
			b.land(flying[0], 0, time.Time{})
			flying = flying[1:]
			for d, ok := b.next(); ok; d, ok = b.next() {
				flying = append(flying, d)
			}
		}
		if len(b.lanes) != 0 || len(b.known) != 0 || len(b.waiting) != 0 {
			t.Fatalf("left behind: %d lanes, %d jobs, %d waiting", len(b.lanes), len(b.known), len(b.waiting))
		}
	})
}
