package oracle

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// history makes a ledger as a program without faults of its own would leave it
// behind under faults: sessions that are used and end, events that follow, and
// receivers that fail now and then. It is written without a look at the rules.
type history struct {
	rnd *rand.Rand
	l   Ledger
	// happened are the moments at which events were committed.
	happened map[string]float64
	// shown is what the program records of its attempts.
	shown map[pair][]int
}

const (
	historyLength = 400.0 // seconds in which things begin
	idle, most    = 20.0, 60.0
)

func legalHistory(seed uint64) Ledger {
	h := &history{rnd: rand.New(rand.NewPCG(seed, 1)), happened: map[string]float64{}, shown: map[pair][]int{}}
	h.l = Ledger{Margins: margins(), End: at(3000), Webhooks: []Webhook{
		{ID: "strict-1", System: "one", Strict: true}, {ID: "strict-2", System: "two", Strict: true, Revisions: []Revision{{Topics: []string{"LOGOUT", "plain"}}}},
		{ID: "strict-3", System: "three", Strict: true}, {ID: "free-1"}, {ID: "free-2", Revisions: []Revision{{Topics: []string{"LOGOUT", IdleTimeout}}}},
	}}
	for n := range 3 {
		from := h.within(float64(n)*historyLength/3, float64(n+1)*historyLength/3-15)
		to := from + h.within(1, 10)
		h.l.Faults = append(h.l.Faults, Fault{Kind: "cut", Span: span(from, to), Explains: span(from, to), Outage: true})
	}
	for n := range 40 {
		h.session(fmt.Sprintf("s%02d", n))
	}
	for n := range 60 {
		from := h.within(0, historyLength)
		h.event(fmt.Sprintf("p%02d", n), "plain", from, from+h.within(0.01, 0.5), h.chance(0.9))
	}
	h.place()
	for _, w := range h.l.Webhooks {
		if w.Strict {
			h.deliverInOrder(w)
		} else {
			h.deliverEach(w)
		}
	}
	for at, statuses := range h.shown {
		h.l.Recorded = append(h.l.Recorded, Recorded{Webhook: at.webhook, Event: at.event, Statuses: statuses})
	}
	return h.l
}

func (h *history) within(from, to float64) float64 { return from + h.rnd.Float64()*(to-from) }
func (h *history) chance(p float64) bool           { return h.rnd.Float64() < p }

func (h *history) event(id, topic string, from, to float64, acknowledged bool) {
	h.happened[id] = h.within(from, to)
	h.l.Events = append(h.l.Events, Event{ID: id, Topic: topic, Acknowledged: acknowledged, Span: span(from, to)})
}

// place gives every event that happened its position; of those that were not
// acknowledged some never happened.
func (h *history) place() {
	order := make([]int, len(h.l.Events))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(h.happened[h.l.Events[a].ID], h.happened[h.l.Events[b].ID]) })
	seq := uint64(0)
	for _, i := range order {
		e := &h.l.Events[i]
		if !e.Acknowledged && h.chance(0.5) {
			delete(h.happened, e.ID)
			continue
		}
		seq += 1 + uint64(h.rnd.IntN(2))
		e.Position, e.Acknowledged = pos(seq), true // the log was read
	}
}

// lived is a session with what is true of it, in moments; what is seen of it are
// spans around them.
type lived struct {
	Session
	began, active float64
}

func (s lived) deadline() (when float64, cause string) {
	if s.began+most <= s.active+idle {
		return s.began + most, MaxTimeout
	}
	return s.active + idle, IdleTimeout
}

// session lives one session through.
func (h *history) session(id string) {
	s := lived{Session: Session{ID: id, Certain: h.chance(0.95), Idle: seconds(idle), Max: seconds(most)}, began: h.within(0, historyLength)}
	s.Began, s.active = span(s.began-h.within(0, 0.3), s.began+h.within(0, 0.3)), s.began
	for now := s.began; ; {
		now += h.within(0.5, idle*0.7)
		if h.chance(0.05) {
			now += idle
		}
		if deadline, cause := s.deadline(); now >= deadline {
			h.end(s, cause, deadline, deadline+h.within(0, 1))
			return
		}
		if h.chance(0.2) {
			h.quit(s, now)
			return
		}
		h.use(&s, now)
	}
}

// use is activity. During an outage it may not be written down, or not answered.
func (h *history) use(s *lived, now float64) {
	call := span(now-h.within(0, 0.2), now+h.within(0, 0.2))
	down := slices.ContainsFunc(h.l.Faults, func(f Fault) bool { return f.Outage && f.Span.Overlaps(call) })
	if down && h.chance(0.5) {
		s.Sights = append(s.Sights, Sight{call, Unclear})
		return
	}
	if now-s.active >= idle/10 && !(down && h.chance(0.5)) {
		s.active = now
	}
	s.Sights = append(s.Sights, Sight{call, Alive})
}

// quit ends a session by order. The answer may be lost, and so may the order.
func (h *history) quit(s lived, now float64) {
	cause := []string{"LOGOUT", "DESTROY"}[h.rnd.IntN(2)]
	a := Ask{Cause: cause, Span: span(now-h.within(0, 0.2), now+h.within(0, 0.2)), Outcome: []Outcome{Ended, Gone, Unknown}[h.rnd.IntN(3)]}
	s.Asks = append(s.Asks, a)
	if a.Outcome == Unknown && h.chance(0.5) {
		deadline, cause := s.deadline()
		h.end(s, cause, deadline, deadline+h.within(0, 1))
		return
	}
	h.end(s, cause, now, now)
}

func (h *history) end(s lived, cause string, occurred, detected float64) {
	if h.chance(0.5) {
		s.Sights = append(s.Sights, Sight{span(detected+0.5, detected+0.6), Over})
	}
	h.l.Sessions = append(h.l.Sessions, s.Session)
	id := "end-" + s.ID
	h.l.Endings = append(h.l.Endings, Ending{Session: s.ID, ID: id, Cause: cause, Occurred: at(occurred), Detected: at(detected)})
	h.happened[id] = detected
	h.l.Events = append(h.l.Events, Event{ID: id, Topic: cause, Acknowledged: true, Span: span(detected-0.01, detected+0.01)})
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// attempts is one event at one webhook until it is answered for good, by 2xx or
// by what stops a strict webhook. Kills between answer and commit become faults.
func (h *history) attempts(w Webhook, e Event, now float64) (done float64, stopped bool) {
	of := pair{w.ID, e.ID}
	for {
		a := Arrival{Webhook: w.ID, Event: e.ID, Delivery: w.ID + "/" + e.ID, Arrived: at(now + h.within(0.001, 0.05)), Body: "body of " + e.ID}
		a.Answered, a.Status = a.Arrived.Add(seconds(h.within(0.001, 0.1))), 200
		now = a.Answered.Sub(at(0)).Seconds()
		shown := true
		fate := h.rnd.IntN(20)
		switch {
		case fate == 0:
			a.Status = 503
		case fate == 1:
			a.Status, a.Answered = 0, time.Time{}
		case fate == 2: // a kill before the commit
			died := now + h.within(0, 0.1)
			h.l.Faults = append(h.l.Faults, Fault{Kind: "kill", Span: span(died, died+2), Explains: span(died, died)})
			now, shown = died, false
		case fate == 3 && w.Strict:
			a.Status, stopped = 410, true
		}
		h.l.Arrivals = append(h.l.Arrivals, a)
		if shown {
			h.shown[of] = append(h.shown[of], a.Status)
		}
		if shown && (a.good() || a.final()) {
			return now, stopped
		}
		now += h.within(1, 3)
	}
}

func (h *history) deliverEach(w Webhook) {
	for _, e := range h.l.Events {
		if happened, ok := h.happened[e.ID]; ok && w.wants(e) {
			h.attempts(w, e, happened)
		}
	}
}

// deliverInOrder delivers one by one. A refusal stops the webhook's system, and
// somebody starts it.
func (h *history) deliverInOrder(w Webhook) {
	owed := slices.DeleteFunc(slices.Clone(h.l.Events), func(e Event) bool { return !e.placed() || !w.wants(e) })
	slices.SortFunc(owed, func(a, b Event) int { return a.Position.Compare(b.Position) })
	now, stopped := 0.0, false
	for _, e := range owed {
		for now, stopped = h.attempts(w, e, max(now, h.happened[e.ID])); stopped; now, stopped = h.attempts(w, e, now) {
			now += h.within(1, 5)
			h.l.Controls = append(h.l.Controls, Control{Kind: Start, System: w.System, Span: span(now-0.01, now)})
		}
	}
}

const histories = 40

func TestLegalHistoriesBreakNoRule(t *testing.T) {
	for seed := range uint64(histories) {
		l := legalHistory(seed)
		for _, v := range Judge(l) {
			t.Errorf("seed %d: %v", seed, v)
		}
		if t.Failed() {
			return
		}
	}
}
