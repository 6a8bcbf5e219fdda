package oracle

import (
	"testing"
	"time"
)

// bad is a log that one rule, and no other, finds something in.
type bad struct {
	rule   Rule
	name   string
	change func(l *Ledger)
}

func badDeliveries() []bad {
	return []bad{
		{O1, "the last event never arrives", func(l *Ledger) { l.lose("strict", "e4") }},
		{O1, "an independent webhook misses one", func(l *Ledger) { l.lose("free", "e2") }},
		{O1, "every attempt failed", func(l *Ledger) { l.arrival("free", "e2").Status, l.recorded("free", "e2").Statuses = 500, []int{500} }},
		{O2, "two events at one place", func(l *Ledger) { l.Events[3].Position = pos(3) }},
		{O2, "a place before what was known already", func(l *Ledger) {
			l.Webhooks = l.Webhooks[2:]
			l.Arrivals = append(l.Arrivals[:0:0], *l.arrival("free", "e1"), *l.arrival("free", "e2"), *l.arrival("free", "e3"), *l.arrival("free", "e4"))
			l.Recorded = nil
			l.Events[1].Position, l.Events[2].Position = pos(3), pos(2)
		}},
		{O3, "the next is tried while the one before is answered", func(l *Ledger) {
			l.arrival("strict", "e2").Answered = at(32)
			l.Arrivals = append(l.Arrivals, came("strict", "e3", 33, 200))
			*l.arrival("strict", "e3") = came("strict", "e3", 31, 500)
			l.recorded("strict", "e2").Statuses, l.recorded("strict", "e3").Statuses = []int{200}, []int{500, 200}
			l.Margins.Timeout = time.Minute
		}},
		{O3, "the next comes between two attempts", func(l *Ledger) {
			*l.arrival("strict", "e3") = came("strict", "e3", 31, 500)
			l.Arrivals = append(l.Arrivals, came("strict", "e4", 41, 200), came("strict", "e3", 41.5, 200), came("strict", "e4", 42, 200))
			*l.arrival("strict", "e4") = came("strict", "e4", 41, 500)
			l.Arrivals = append(l.Arrivals[:8], l.Arrivals[9:]...)
			l.recorded("strict", "e3").Statuses, l.recorded("strict", "e4").Statuses = []int{500, 200}, []int{500, 200}
		}},
		{O4, "twice after a 2xx", func(l *Ledger) {
			l.Arrivals = append(l.Arrivals, came("free", "e2", 25, 200))
			l.recorded("free", "e2").Statuses = []int{204, 200}
		}},
		{O4, "the fault was another time", func(l *Ledger) {
			l.Arrivals = append(l.Arrivals, came("strict", "e2", 25, 200))
			l.recorded("strict", "e2").Statuses = []int{200, 200}
			l.Faults = []Fault{{Kind: "stop", Span: span(12, 60), Explains: span(12, 12)}}
		}},
		{O4, "one failure does not excuse two more", func(l *Ledger) {
			*l.arrival("free", "e2") = came("free", "e2", 21, 500)
			l.Arrivals = append(l.Arrivals, came("free", "e2", 22, 200), came("free", "e2", 23, 200))
			l.recorded("free", "e2").Statuses = []int{500, 200, 200}
		}},
		{O5, "nobody caused it", func(l *Ledger) { l.Arrivals = append(l.Arrivals, came("free", "ghost", 50, 200)) }},
		{O5, "not one of the webhook's", func(l *Ledger) { l.Arrivals = append(l.Arrivals, came("second", "e2", 50, 200)) }},
		{O5, "it came before it was asked for", func(l *Ledger) { l.Events[3].Span.From, l.Events[3].Span.To = at(44), at(44.5) }},
		{O5, "an unknown webhook", func(l *Ledger) { l.Arrivals = append(l.Arrivals, came("stranger", "e2", 50, 200)) }},
		{O6, "another body the second time", func(l *Ledger) {
			*l.arrival("free", "e2") = came("free", "e2", 21, 500)
			again := came("free", "e2", 22, 200)
			again.Body = "another"
			l.Arrivals = append(l.Arrivals, again)
			l.recorded("free", "e2").Statuses = []int{500, 200}
		}},
		{O6, "another name the second time", func(l *Ledger) {
			*l.arrival("strict", "e2") = came("strict", "e2", 21, 500)
			again := came("strict", "e2", 22, 200)
			again.Delivery = "another"
			l.Arrivals = append(l.Arrivals, again)
			l.recorded("strict", "e2").Statuses = []int{500, 200}
		}},
		{O6, "not signed", func(l *Ledger) { l.arrival("free", "e3").Forged = true }},
		{O8, "the failed head is tried again in the silence", func(l *Ledger) {
			*l.arrival("strict", "e4") = came("strict", "e4", 41, 500)
			l.Controls = []Control{{Kind: Stop, System: "sys", Span: span(42, 42.1)}}
			l.Arrivals = append(l.Arrivals, came("strict", "e4", 45, 200))
			l.recorded("strict", "e4").Statuses = []int{500, 200}
		}},
		{O8, "a sibling goes on", func(l *Ledger) {
			l.Controls = []Control{{Kind: Stop, System: "sys", Span: span(45, 45.1)}}
			l.Events = append(l.Events, Event{ID: "e5", Topic: "other", Acknowledged: true, Position: pos(5), Span: span(46, 46.1)})
			l.Arrivals = append(l.Arrivals, came("second", "e5", 47, 200), came("free", "e5", 47, 200))
			l.Webhooks[0].Revisions = []Revision{{Topics: []string{"topic"}}}
		}},
		{O8, "a refusal stops, and it goes on all the same", func(l *Ledger) {
			*l.arrival("strict", "e4") = came("strict", "e4", 41, 410)
			l.recorded("strict", "e4").Statuses = []int{410}
			l.Events = append(l.Events, Event{ID: "e5", Topic: "other", Acknowledged: true, Position: pos(5), Span: span(46, 46.1)})
			l.Arrivals = append(l.Arrivals, came("second", "e5", 47, 200), came("free", "e5", 47, 200))
			l.Webhooks[0].Revisions = []Revision{{Topics: []string{"topic"}}}
		}},
		{O9, "an attempt that is not shown", func(l *Ledger) { l.recorded("free", "e2").Statuses = nil }},
		{O9, "another status than was given", func(l *Ledger) { l.recorded("strict", "e2").Statuses = []int{201} }},
		{O9, "an attempt that never was", func(l *Ledger) { l.recorded("strict", "e2").Statuses = []int{500, 200} }},
		{O10, "erased and sent", func(l *Ledger) {
			l.arrival("free", "e3").Holds = []string{"bob", "ada"}
			l.Erasures = []Erasure{{Marker: "ada", Returned: at(25)}}
		}},
		{O10, "erased and sent by the strict webhook", func(l *Ledger) {
			l.arrival("strict", "e4").Holds = []string{"ada"}
			l.Erasures = []Erasure{{Marker: "bob", Returned: at(5)}, {Marker: "ada", Returned: at(40)}}
		}},
	}
}

func badSessions() []bad {
	ends := func(l *Ledger, cause string, occurred float64) {
		l.Endings[0] = Ending{Session: "s1", ID: "end-1", Cause: cause, Occurred: at(occurred), Detected: at(occurred)}
	}
	silent := func(l *Ledger) { l.Sessions[0].Asks = nil }
	sees := func(l *Ledger, from, to float64, found State) {
		l.Sessions[0].Sights = append(l.Sessions[0].Sights, Sight{span(from, to), found})
	}
	return []bad{
		{O7, "two terminal events", func(l *Ledger) {
			l.Endings = append(l.Endings, Ending{Session: "s1", ID: "end-2", Cause: IdleTimeout, Occurred: at(120), Detected: at(120)})
		}},
		{O7, "none, though the logout was answered", func(l *Ledger) { l.Endings = nil }},
		{O7, "none, though its time is over", func(l *Ledger) { silent(l); l.Endings = nil }},
		{O7, "none, though it is gone", func(l *Ledger) { silent(l); sees(l, 120, 121, Over); l.Endings, l.End = nil, at(122) }},
		{O7, "alive after its end", func(l *Ledger) { sees(l, 25, 26, Alive) }},
		{O7, "alive after a logout that nothing tells of yet", func(l *Ledger) {
			l.Sessions[0].Asks[0].Outcome = Gone
			ends(l, "LOGOUT", 30)
			sees(l, 25, 26, Alive)
		}},
		{O7, "a cause that nobody gave", func(l *Ledger) { silent(l); ends(l, "DESTROY", 20) }},
		{O7, "a logout before anybody asked", func(l *Ledger) { ends(l, "LOGOUT", 15); l.Sessions[0].Asks[0].Outcome = Gone }},
		{O7, "another cause than the one that was answered", func(l *Ledger) {
			l.Sessions[0].Asks = append(l.Sessions[0].Asks, Ask{"DESTROY", span(20, 21), Unknown})
			ends(l, "DESTROY", 20.5)
		}},
		{O7, "idle too early", func(l *Ledger) { silent(l); ends(l, IdleTimeout, 90) }},
		{O7, "idle though it was used", func(l *Ledger) { silent(l); sees(l, 60, 61, Alive); ends(l, IdleTimeout, 111) }},
		{O7, "lifetime over too early", func(l *Ledger) { silent(l); ends(l, MaxTimeout, 60) }},
		{O7, "idle after its lifetime", func(l *Ledger) {
			silent(l)
			for n := range 9 {
				sees(l, float64(50+50*n), float64(51+50*n), Alive)
			}
			ends(l, IdleTimeout, 550)
		}},
		{O7, "lifetime after its idle time", func(l *Ledger) { silent(l); ends(l, MaxTimeout, 502) }},
		{O7, "a logout after the deadline", func(l *Ledger) {
			l.Sessions[0].Asks[0] = Ask{"LOGOUT", span(200, 201), Ended}
			ends(l, "LOGOUT", 200.5)
		}},
		{O7, "a timeout that is noticed before it happens", func(l *Ledger) {
			silent(l)
			l.Endings[0] = Ending{Session: "s1", ID: "end-1", Cause: IdleTimeout, Occurred: at(110), Detected: at(100)}
		}},
		{O7, "gone though nobody ended it", func(l *Ledger) {
			silent(l)
			sees(l, 30, 31, Over)
			ends(l, IdleTimeout, 111)
		}},
		{O7, "used after its idle time", func(l *Ledger) {
			silent(l)
			sees(l, 150, 151, Alive)
			ends(l, IdleTimeout, 251)
		}},
		{O7, "used after its lifetime", func(l *Ledger) {
			silent(l)
			for n := range 9 {
				sees(l, float64(50+60*n), float64(51+60*n), Alive)
			}
			l.Endings = nil
			l.End = at(540)
		}},
	}
}

func TestEachBadLogIsCaughtByItsRuleAlone(t *testing.T) {
	count := map[Rule]int{}
	for _, b := range append(badDeliveries(), badSessions()...) {
		count[b.rule]++
		t.Run(string(b.rule)+": "+b.name, func(t *testing.T) {
			l := plain()
			b.change(&l)
			expect(t, l, b.rule)
		})
	}
	for _, r := range []Rule{O1, O2, O3, O4, O5, O6, O7, O8, O9, O10} {
		if count[r] < 2 {
			t.Errorf("%s has %d bad logs", r, count[r])
		}
	}
}

// A swapped pair cannot be out of order without having overtaken.
func TestASwappedPairBreaksOrder(t *testing.T) {
	l := plain()
	a, b := l.arrival("strict", "e2"), l.arrival("strict", "e3")
	a.Arrived, a.Answered, b.Arrived, b.Answered = at(33), at(33.1), at(31), at(31.1)
	expect(t, l, O2, O3)
}

// A start that goes on with what was delivered has sent that twice.
func TestAStartGoesOnWithWhatIsOwed(t *testing.T) {
	l := plain()
	l.Controls = []Control{{Kind: Stop, System: "sys", Span: span(31.5, 31.6)}, {Kind: Start, System: "sys", Span: span(40.6, 40.7)}}
	l.Arrivals = append(l.Arrivals, came("strict", "e3", 40.8, 200))
	l.recorded("strict", "e3").Statuses = []int{200, 200}
	l.arrival("strict", "e4").Arrived, l.arrival("strict", "e4").Answered = at(42), at(42.1)
	expect(t, l, O4, O8)
}

func TestAViolationIsOneLine(t *testing.T) {
	l := plain()
	l.lose("free", "e2")
	all := Judge(l)
	want := "O1 no loss: free e2: topic at 1-2, acknowledged 12:00:20.500000, was not delivered by 12:16:40.000000: []"
	if len(all) != 1 || all[0].String() != want {
		t.Errorf("got %v, want %s", all, want)
	}
}
