package oracle

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// at is a moment of the tests' one day, in seconds.
func at(seconds float64) time.Time {
	return time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
}

func span(from, to float64) Span { return Span{at(from), at(to)} }

func pos(seq uint64) store.Position { return store.Position{Epoch: 1, Seq: seq} }

func margins() Margins {
	return Margins{Clock: 10 * time.Millisecond, Commit: 200 * time.Millisecond, Timeout: 5 * time.Second, Flight: 100 * time.Millisecond, Sweep: 2 * time.Second}
}

// came is an arrival that is answered a tenth of a second later.
func came(webhook, event string, when float64, status int) Arrival {
	return Arrival{Webhook: webhook, Event: event, Delivery: webhook + "_" + event, Arrived: at(when), Answered: at(when + 0.1), Status: status, Body: "body of " + event}
}

// plain is a run in which nothing goes wrong: four events at one strict and one
// independent webhook, and a session that its user ends.
func plain() Ledger {
	l := Ledger{
		Webhooks: []Webhook{{ID: "strict", System: "sys", Strict: true}, {ID: "second", System: "sys", Strict: true, Revisions: []Revision{{Topics: []string{"other"}}}}, {ID: "free"}},
		Margins:  margins(), End: at(1000),
		Sessions: []Session{{
			ID: "s1", Certain: true, Began: span(1, 2), Idle: 100 * time.Second, Max: 500 * time.Second,
			Sights: []Sight{{span(10, 11), Alive}}, Asks: []Ask{{"LOGOUT", span(20, 21), Ended}},
		}},
		Endings: []Ending{{Session: "s1", ID: "end-1", Cause: "LOGOUT", Occurred: at(20.5), Detected: at(20.5)}},
	}
	for n := range 4 {
		id, when := fmt.Sprintf("e%d", n+1), float64(10*(n+1))
		l.Events = append(l.Events, Event{ID: id, Topic: "topic", Acknowledged: true, Position: pos(uint64(n + 1)), Span: span(when, when+0.5)})
		l.Arrivals = append(l.Arrivals, came("strict", id, when+1, 200), came("free", id, when+1, 204))
		l.Recorded = append(l.Recorded, Recorded{Webhook: "strict", Event: id, Statuses: []int{200}}, Recorded{Webhook: "free", Event: id, Statuses: []int{204}})
	}
	return l
}

// arrival finds the first arrival of an event.
func (l *Ledger) arrival(webhook, event string) *Arrival {
	i := slices.IndexFunc(l.Arrivals, func(a Arrival) bool { return a.Webhook == webhook && a.Event == event })
	return &l.Arrivals[i]
}

func (l *Ledger) recorded(webhook, event string) *Recorded {
	i := slices.IndexFunc(l.Recorded, func(r Recorded) bool { return r.Webhook == webhook && r.Event == event })
	return &l.Recorded[i]
}

// lose takes away what arrived of an event, and what is shown of it.
func (l *Ledger) lose(webhook, event string) {
	l.Arrivals = slices.DeleteFunc(l.Arrivals, func(a Arrival) bool { return a.Webhook == webhook && a.Event == event })
	l.Recorded = slices.DeleteFunc(l.Recorded, func(r Recorded) bool { return r.Webhook == webhook && r.Event == event })
}

// rules are the rules that a ledger breaks, each once, in order.
func rules(l Ledger) []Rule {
	var broken []Rule
	for _, v := range Judge(l) {
		if !slices.Contains(broken, v.Rule) {
			broken = append(broken, v.Rule)
		}
	}
	return broken
}

// expect fails the test unless just these rules are broken.
func expect(t *testing.T, l Ledger, want ...Rule) {
	t.Helper()
	if got := rules(l); !slices.Equal(got, want) {
		t.Errorf("broken are %q, want %q", got, want)
		for _, v := range Judge(l) {
			t.Log(v)
		}
	}
}
