package sessionhooks_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

const retention = 30 * 24 * time.Hour

// ledger is a log over a real engine whose clock a test moves.
type ledger struct {
	*testing.T
	*sessionhooks.Log
	eng store.Engine
	now time.Time
	at  store.Place
}

func openLedger(t *testing.T, sealer *store.Sealer) *ledger {
	t.Helper()
	l := &ledger{T: t, now: time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)}
	eng, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "store.db"), Now: func() time.Time { return l.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	l.eng, l.Log, l.at = eng, sessionhooks.NewLog(eng, sealer, retention), eng.Layout().Place("default")
	return l
}

func (l *ledger) event(kind, aggregate, data string) sessionhooks.Event {
	e := sessionhooks.Event{
		ID: sessionhooks.NewID(), Stream: sessionhooks.StreamUser, Type: kind, Tenant: "default", Owner: "owner", Aggregate: aggregate,
		Occurred: l.now.Add(-time.Minute), Detected: l.now, CausedBy: "platform", Trace: "request",
	}
	if data != "" {
		e.Data = json.RawMessage(data)
	}
	return e
}

func (l *ledger) append(events ...sessionhooks.Event) {
	l.Helper()
	for _, e := range events {
		if _, err := l.eng.Commit(l.Context(), l.Append(l.at, e)...); err != nil {
			l.Fatal(err)
		}
	}
}

func (l *ledger) read(after store.Position) []sessionhooks.Stored {
	l.Helper()
	all, err := l.Read(l.Context(), l.at.Partition, after, 1000, 0)
	if err != nil {
		l.Fatal(err)
	}
	return all
}

func (l *ledger) holds(e sessionhooks.Event, want string) {
	l.Helper()
	data, err := l.Data(l.Context(), l.at, e.Aggregate, e.ID)
	if err != nil || string(data) != want || (want == "") != (data == nil) {
		l.Errorf("data of %s is %q, %v, want %q", e.Type, data, err, want)
	}
}

func TestLogReadsWhatWasAppended(t *testing.T) {
	l := openLedger(t, nil)
	events := []sessionhooks.Event{
		l.event(sessionhooks.UserCreated, "p1", `{"Email":"a@corp.example"}`), l.event(sessionhooks.UserDeleted, "p1", ""),
		l.event(sessionhooks.UserSignedIn, "", `{}`),
	}
	l.append(events...)
	stored := l.read(store.Position{})
	if len(stored) != len(events) {
		t.Fatalf("%d events, want %d", len(stored), len(events))
	}
	for i, s := range stored {
		want := events[i]
		want.Data = nil
		if fmt.Sprint(s.Event) != fmt.Sprint(want) || !s.At.Equal(l.now) {
			t.Errorf("event %d is %+v at %v, want %+v", i, s.Event, s.At, want)
		}
		if i > 0 && s.Position.Compare(stored[i-1].Position) <= 0 {
			t.Errorf("position %v follows %v", s.Position, stored[i-1].Position)
		}
	}
	if rest := l.read(stored[1].Position); len(rest) != 1 || rest[0].Event.ID != events[2].ID {
		t.Errorf("after the second: %v", rest)
	}
	l.holds(events[0], `{"Email":"a@corp.example"}`)
	l.holds(events[1], "")
	l.holds(events[2], `{}`)
}

func TestTheLogItselfHoldsNoData(t *testing.T) {
	l := openLedger(t, nil)
	l.append(l.event(sessionhooks.UserCreated, "p1", `{"Email":"hidden@corp.example"}`))
	entries, err := l.eng.ReadLog(t.Context(), l.at.Partition, store.Position{}, 10, 0)
	if err != nil || len(entries) != 1 || strings.Contains(string(entries[0].Value), "hidden") {
		t.Fatalf("the entry is %v, %v", entries, err)
	}
}

func TestDataIsSealedWhereASealerIs(t *testing.T) {
	sealer, err := store.NewSealer([]store.SealingKey{{ID: "k", Key: make([]byte, 32)}})
	if err != nil {
		t.Fatal(err)
	}
	l := openLedger(t, sealer)
	e := l.event(sessionhooks.UserCreated, "p1", `{"Email":"hidden@corp.example"}`)
	l.append(e)
	rec, err := l.eng.Get(t.Context(), l.at.Key("event_data", "p1/"+e.ID))
	if err != nil || strings.Contains(string(rec.Value), "hidden") {
		t.Errorf("the record is %q, %v", rec.Value, err)
	}
	l.holds(e, `{"Email":"hidden@corp.example"}`)
}

func TestEraseLeavesTheOrder(t *testing.T) {
	l := openLedger(t, nil)
	var about, others []sessionhooks.Event
	for i := range 450 { // more than one page
		about = append(about, l.event(sessionhooks.UserSignedIn, "p1", fmt.Sprintf(`{"n":%d}`, i)))
	}
	others = append(others, l.event(sessionhooks.UserSignedIn, "p10", `{"n":1}`), l.event(sessionhooks.UserSignedIn, "p", `{"n":2}`))
	var ops []store.Op
	for _, e := range slices.Concat(about, others) {
		ops = append(ops, l.Append(l.at, e)...)
	}
	if _, err := l.eng.Commit(t.Context(), ops...); err != nil {
		t.Fatal(err)
	}
	before := l.read(store.Position{})
	if err := l.Erase(t.Context(), l.at, "p1"); err != nil {
		t.Fatal(err)
	}
	for _, e := range about {
		l.holds(e, "")
	}
	l.holds(others[0], `{"n":1}`)
	l.holds(others[1], `{"n":2}`)
	if after := l.read(store.Position{}); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Error("the log is not what it was")
	}
	if err := l.Erase(t.Context(), l.at, "p1"); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestDataExpiresAndTheEventStays(t *testing.T) {
	l := openLedger(t, nil)
	e := l.event(sessionhooks.UserSignedIn, "p1", `{"n":1}`)
	l.append(e)
	l.now = l.now.Add(retention - time.Nanosecond)
	l.holds(e, `{"n":1}`)
	l.now = l.now.Add(time.Microsecond)
	l.holds(e, "")
	if got := l.read(store.Position{}); len(got) != 1 {
		t.Errorf("%d events are left", len(got))
	}
}

func TestAppendRefusesWhatHasNoName(t *testing.T) {
	l := openLedger(t, nil)
	nameless, nested, broken := l.event("X", "p1", ""), l.event("X", "a/b", ""), l.event("X", "p1", "{")
	nameless.ID = ""
	for name, e := range map[string]sessionhooks.Event{"no id": nameless, "aggregate with a slash": nested, "data that is not JSON": broken} {
		if _, err := l.eng.Commit(t.Context(), l.Append(l.at, e)...); err == nil {
			t.Errorf("%s: appended", name)
		}
	}
	if got := l.read(store.Position{}); len(got) != 0 {
		t.Errorf("%d events in the log", len(got))
	}
}

func TestTrim(t *testing.T) {
	l := openLedger(t, nil)
	const perHour = 700
	for range 3 {
		var ops []store.Op
		for range perHour {
			ops = append(ops, l.Append(l.at, l.event("X", "", ""))...)
		}
		if _, err := l.eng.Commit(t.Context(), ops...); err != nil {
			t.Fatal(err)
		}
		l.now = l.now.Add(time.Hour)
	}
	all := l.read(store.Position{})
	for range 2 { // the second time there is nothing to do
		if err := l.Trim(t.Context(), l.at.Partition, l.now.Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Read(t.Context(), l.at.Partition, all[0].Position, 1, 0); !errors.Is(err, store.ErrTrimmed) {
		t.Errorf("reading what is gone: %v", err)
	}
	oldest, err := sessionhooks.Oldest(t.Context(), l.eng, l.at.Partition)
	if err != nil {
		t.Fatal(err)
	}
	if left := l.read(oldest); len(left) != perHour {
		t.Errorf("%d entries are left, want %d", len(left), perHour)
	}
	if err := l.Trim(t.Context(), l.at.Partition, l.now); err != nil {
		t.Fatal(err)
	}
	newest, err := sessionhooks.Newest(t.Context(), l.eng, l.at.Partition)
	if err != nil || len(l.read(newest)) != 0 {
		t.Errorf("the trimmed log ends at %v, %v", newest, err)
	}
	e := l.event("X", "", "")
	l.append(e)
	if got := l.read(newest); len(got) != 1 || got[0].Event.ID != e.ID {
		t.Errorf("after the end: %v", got)
	}
}

func TestNewestIsTheEnd(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 7, 8, 100, 1023, 1024, 1500} {
		l := openLedger(t, nil)
		var ops []store.Op
		for range n {
			ops = append(ops, l.Append(l.at, l.event("X", "", ""))...)
		}
		if n > 0 {
			if _, err := l.eng.Commit(t.Context(), ops...); err != nil {
				t.Fatal(err)
			}
		}
		newest, err := sessionhooks.Newest(t.Context(), l.eng, l.at.Partition)
		if err != nil || len(l.read(newest)) != 0 {
			t.Errorf("of %d entries: %v, %v", n, newest, err)
		}
		if want := uint64(n); newest.Seq != want {
			t.Errorf("of %d entries: %v", n, newest)
		}
	}
}

// epochs is a log whose epochs begin anew, as after failovers.
type epochs struct {
	store.Engine
	all   []store.Position
	reads int
}

func (e *epochs) ReadLog(_ context.Context, _ store.Partition, after store.Position, n int, _ time.Duration) ([]store.Entry, error) {
	e.reads++
	var found []store.Entry
	for _, p := range e.all {
		if p.Compare(after) > 0 && len(found) < n {
			found = append(found, store.Entry{Position: p})
		}
	}
	return found, nil
}

func TestNewestGoesAcrossEpochs(t *testing.T) {
	var all []store.Position
	for _, epoch := range []struct{ id, from, to uint64 }{{1, 1, 900}, {2, 5, 6}, {1_900_000_000_000, 1, 40}, {1<<64 - 1, 1<<64 - 30, 1<<64 - 1}} {
		for seq := epoch.from; ; seq++ {
			all = append(all, store.Position{Epoch: epoch.id, Seq: seq})
			if seq == epoch.to {
				break
			}
		}
	}
	for n := range len(all) + 1 {
		log := &epochs{all: all[:n]}
		got, err := sessionhooks.Newest(t.Context(), log, 0)
		want := store.Position{}
		if n > 0 {
			want = all[n-1]
		}
		if err != nil || got != want {
			t.Fatalf("of %d entries: %v, %v, want %v", n, got, err, want)
		}
		if log.reads > 250 {
			t.Errorf("of %d entries: %d reads", n, log.reads)
		}
	}
}

func TestTopicsAreTheNamesThatSubscribersKnow(t *testing.T) {
	e := sessionhooks.Event{Stream: sessionhooks.StreamUser, Type: sessionhooks.UserCreated}
	if got := e.Topic(); got != "user/irm.aspnetcore.identity.events.usercreated" {
		t.Error(got)
	}
}
