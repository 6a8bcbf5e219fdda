package oracle

import (
	"slices"
	"testing"
	"time"
)

// TestLegalLogs holds what faults may well cause to no rule.
func TestLegalLogs(t *testing.T) {
	for name, change := range map[string]func(l *Ledger){
		"nothing special": func(*Ledger) {},
		"a failed attempt is repeated": func(l *Ledger) {
			*l.arrival("strict", "e2") = came("strict", "e2", 20.6, 503)
			l.Arrivals = append(l.Arrivals, came("strict", "e2", 22, 200))
			l.recorded("strict", "e2").Statuses = []int{503, 200}
		},
		"an answer that was cut is asked for again": func(l *Ledger) {
			a := l.arrival("free", "e2")
			a.Answered = time.Time{}
			l.Arrivals = append(l.Arrivals, came("free", "e2", 25, 200))
			l.recorded("free", "e2").Statuses = []int{0, 200}
		},
		"an answer that was too late is asked for again": func(l *Ledger) {
			l.arrival("free", "e2").Answered = at(27)
			l.Arrivals = append(l.Arrivals, came("free", "e2", 28, 200))
			l.recorded("free", "e2").Statuses = []int{0, 200}
		},
		"a kill between answer and commit": func(l *Ledger) {
			l.Faults = append(l.Faults, Fault{Kind: "kill", Span: span(21.2, 23), Explains: span(21.2, 21.2)})
			l.Arrivals = append(l.Arrivals, came("strict", "e2", 24, 200))
		},
		"events that may not have happened": func(l *Ledger) {
			l.Events = append(l.Events, Event{ID: "u1", Topic: "topic", Span: span(33, 34)}, Event{ID: "u2", Topic: "topic", Span: span(33, 34)})
			l.Arrivals = append(l.Arrivals, came("free", "u1", 35, 200))
		},
		"a receiver that refuses for good": func(l *Ledger) { l.arrival("free", "e2").Status, l.recorded("free", "e2").Statuses = 400, []int{400} },
		"a replay": func(l *Ledger) {
			l.Controls = append(l.Controls, Control{Kind: Replay, Webhook: "free", Event: "e2", Span: span(50, 51)})
			l.Arrivals = append(l.Arrivals, came("free", "e2", 52, 200))
			l.recorded("free", "e2").Statuses = []int{204, 200}
		},
		"a system that stands still owes": func(l *Ledger) {
			l.Controls = append(l.Controls, Control{Kind: Stop, System: "sys", Span: span(38, 39)})
			l.lose("strict", "e4")
		},
		"a stop over a failure and a start": func(l *Ledger) {
			*l.arrival("strict", "e3") = came("strict", "e3", 31, 410)
			l.Controls = append(l.Controls, Control{Kind: Start, System: "sys", Span: span(35, 35.1)})
			l.Arrivals = append(l.Arrivals, came("strict", "e3", 35.5, 200))
			l.recorded("strict", "e3").Statuses = []int{410, 200}
		},
		"what is skipped is not waited for": func(l *Ledger) {
			l.lose("strict", "e3")
			l.Controls = append(l.Controls, Control{Kind: Skip, Webhook: "strict", Event: "e3", Span: span(35, 35.1)})
		},
		"older attempts that are not shown": func(l *Ledger) {
			l.recorded("free", "e2").Statuses, l.recorded("free", "e2").Capped = []int{204}, true
			*l.arrival("free", "e2") = came("free", "e2", 21, 500)
			l.Arrivals = append(l.Arrivals, came("free", "e2", 28, 204))
		},
		"attempts that reached nobody": func(l *Ledger) { l.recorded("free", "e2").Statuses = []int{0, 0, 204} },
		"a topic change": func(l *Ledger) {
			l.Webhooks[0].Revisions = []Revision{{Topics: []string{"topic"}}, {After: pos(3), Topics: []string{"other"}}}
			l.lose("strict", "e4")
		},
		"what was erased came before": func(l *Ledger) {
			l.arrival("free", "e2").Holds = []string{"ada"}
			l.Erasures = []Erasure{{Marker: "ada", Returned: at(25)}}
		},
		"a session that times out": func(l *Ledger) {
			l.Sessions[0].Asks = nil
			l.Endings[0] = Ending{Session: "s1", ID: "end-1", Cause: IdleTimeout, Occurred: at(110.5), Detected: at(110.6)}
		},
		"a session that lives as long as it may": func(l *Ledger) {
			l.Sessions[0].Asks = nil
			for n := range 9 {
				when := float64(50 + 50*n)
				l.Sessions[0].Sights = append(l.Sessions[0].Sights, Sight{span(when, when+1), Alive})
			}
			l.Endings[0] = Ending{Session: "s1", ID: "end-1", Cause: MaxTimeout, Occurred: at(501.5), Detected: at(501.6)}
		},
		"activity that was not written down": func(l *Ledger) {
			l.Sessions[0].Asks, l.Sessions[0].Sights = nil, append(l.Sessions[0].Sights, Sight{span(50, 51), Alive})
			l.Faults = []Fault{{Kind: "cut", Span: span(49, 52), Explains: span(49, 52), Outage: true}}
			l.Endings[0] = Ending{Session: "s1", ID: "end-1", Cause: IdleTimeout, Occurred: at(110.5), Detected: at(110.6)}
		},
		"a grace for an outage": func(l *Ledger) {
			l.Sessions[0].Asks = nil
			l.Faults = []Fault{{Kind: "cut", Span: span(60, 90), Explains: span(60, 90), Outage: true}}
			l.Endings[0] = Ending{Session: "s1", ID: "end-1", Cause: IdleTimeout, Occurred: at(140.5), Detected: at(140.6)}
		},
		"a logout whose answer was lost": func(l *Ledger) { l.Sessions[0].Asks[0].Outcome, l.Endings = Unknown, nil; l.End = at(30) },
		"a sign-in whose answer was lost": func(l *Ledger) {
			l.Sessions = append(l.Sessions, Session{ID: "s2", Began: span(5, 6), Idle: time.Second, Max: time.Minute})
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := plain()
			change(&l)
			expect(t, l)
		})
	}
}

func TestTheOrderOfALedgerDoesNotMatter(t *testing.T) {
	l := plain()
	slices.Reverse(l.Arrivals)
	slices.Reverse(l.Events)
	expect(t, l)
}
