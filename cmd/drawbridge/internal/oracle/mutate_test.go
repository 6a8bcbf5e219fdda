package oracle

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// mutation does to a legal history what a bug would do. It says whether there
// was something to do it to.
type mutation struct {
	name   string
	rule   Rule
	mutate func(l *Ledger, rnd *rand.Rand) bool
}

// pick returns one that fits, chosen at random.
func pick[T any](rnd *rand.Rand, all []T, fits func(i int) bool) (int, bool) {
	var which []int
	for i := range all {
		if fits(i) {
			which = append(which, i)
		}
	}
	if len(which) == 0 {
		return 0, false
	}
	return which[rnd.IntN(len(which))], true
}

// single picks an arrival that is the only one of its event, answered with 2xx.
func single(l *Ledger, rnd *rand.Rand, webhook func(Webhook) bool) (int, bool) {
	c := New(*l)
	return pick(rnd, l.Arrivals, func(i int) bool {
		a := l.Arrivals[i]
		return webhook(c.webhooks[a.Webhook]) && a.good() && !c.unrecorded(a) && len(c.arrivals[pair{a.Webhook, a.Event}]) == 1
	})
}

func anyWebhook(Webhook) bool      { return true }
func strictWebhook(w Webhook) bool { return w.Strict }

// sessionWith picks a session with an ending that fits.
func sessionWith(l *Ledger, rnd *rand.Rand, fits func(s Session, e Ending) bool) (s *Session, e *Ending, ok bool) {
	i, ok := pick(rnd, l.Endings, func(i int) bool {
		return fits(l.Sessions[slices.IndexFunc(l.Sessions, func(s Session) bool { return s.ID == l.Endings[i].Session })], l.Endings[i])
	})
	if !ok {
		return nil, nil, false
	}
	e = &l.Endings[i]
	return &l.Sessions[slices.IndexFunc(l.Sessions, func(s Session) bool { return s.ID == e.Session })], e, true
}

func mutations() []mutation {
	return slices.Concat(deliveryMutations(), sessionMutations())
}

func deliveryMutations() []mutation {
	return []mutation{
		{"drop an arrival", O1, func(l *Ledger, rnd *rand.Rand) bool {
			i, ok := single(l, rnd, anyWebhook)
			if ok {
				l.Arrivals = slices.Delete(l.Arrivals, i, i+1)
			}
			return ok
		}},
		{"swap two neighbours of a strict webhook", O2, func(l *Ledger, rnd *rand.Rand) bool {
			i, ok := single(l, rnd, strictWebhook)
			if !ok {
				return false
			}
			c := New(*l)
			at := c.events[l.Arrivals[i].Event].Position
			j, ok := pick(rnd, l.Arrivals, func(j int) bool {
				a := l.Arrivals[j]
				return a.Webhook == l.Arrivals[i].Webhook && a.good() && len(c.arrivals[pair{a.Webhook, a.Event}]) == 1 && c.events[a.Event].Position.Compare(at) > 0
			})
			if ok {
				a, b := &l.Arrivals[i], &l.Arrivals[j]
				a.Arrived, b.Arrived, a.Answered, b.Answered = b.Arrived, a.Arrived, b.Answered, a.Answered
			}
			return ok
		}},
		{"use a position twice", O2, func(l *Ledger, rnd *rand.Rand) bool {
			i, _ := pick(rnd, l.Events, func(i int) bool { return l.Events[i].placed() })
			j, ok := pick(rnd, l.Events, func(j int) bool { return l.Events[j].placed() && j != i })
			l.Events[j].Position = l.Events[i].Position
			return ok
		}},
		{"go back to the positions of long ago", O2, func(l *Ledger, rnd *rand.Rand) bool {
			i, ok := pick(rnd, l.Events, func(i int) bool { return l.Events[i].placed() && l.Events[i].Span.From.After(at(historyLength/2)) })
			l.Events[i].Position.Seq = 0
			l.Events[i].Position.Epoch = 1
			return ok
		}},
		{"send one before its turn", O3, func(l *Ledger, rnd *rand.Rand) bool {
			c := New(*l)
			i, ok := pick(rnd, l.Arrivals, func(i int) bool {
				return c.webhooks[l.Arrivals[i].Webhook].Strict && l.Arrivals[i].Arrived.After(at(historyLength/2))
			})
			if ok {
				early := l.Arrivals[i]
				early.Arrived, early.Answered, early.Status = at(historyLength/4), at(historyLength/4+0.1), 503
				l.Arrivals = append(l.Arrivals, early)
			}
			return ok
		}},
		{"send twice", O4, func(l *Ledger, rnd *rand.Rand) bool {
			i, ok := single(l, rnd, anyWebhook)
			if ok {
				again := l.Arrivals[i]
				again.Arrived, again.Answered = again.Arrived.Add(20*time.Second), again.Answered.Add(20*time.Second)
				l.Arrivals = append(l.Arrivals, again)
			}
			return ok
		}},
		{"send a phantom", O5, func(l *Ledger, rnd *rand.Rand) bool {
			i, ok := single(l, rnd, anyWebhook)
			l.Arrivals[i].Event = "phantom"
			return ok
		}},
		{"send what is not wanted", O5, func(l *Ledger, rnd *rand.Rand) bool {
			i, ok := pick(rnd, l.Events, func(i int) bool { return l.Events[i].Topic == "plain" && l.Events[i].Acknowledged })
			l.Arrivals = append(l.Arrivals, Arrival{Webhook: "free-2", Event: l.Events[i].ID, Arrived: at(900), Answered: at(900.1), Status: 200})
			return ok
		}},
		{"alter a body", O6, func(l *Ledger, rnd *rand.Rand) bool {
			c := New(*l)
			i, ok := pick(rnd, l.Arrivals, func(i int) bool { return len(c.arrivals[pair{l.Arrivals[i].Webhook, l.Arrivals[i].Event}]) > 1 })
			l.Arrivals[i].Body += " and more"
			return ok
		}},
		{"leave a signature out", O6, func(l *Ledger, rnd *rand.Rand) bool {
			i, ok := single(l, rnd, anyWebhook)
			l.Arrivals[i].Forged = true
			return ok
		}},
		{"send after a stop", O8, func(l *Ledger, rnd *rand.Rand) bool {
			i, ok := single(l, rnd, strictWebhook)
			if ok {
				moment := l.Arrivals[i].Arrived
				system := New(*l).webhooks[l.Arrivals[i].Webhook].System
				l.Controls = append(l.Controls, Control{Kind: Stop, System: system, Span: Span{moment.Add(-2 * time.Second), moment.Add(-time.Second)}},
					Control{Kind: Start, System: system, Span: Span{moment.Add(time.Millisecond), moment.Add(2 * time.Millisecond)}})
			}
			return ok && !hasStart(l, l.Arrivals[i].Arrived)
		}},
		{"forget an attempt", O9, func(l *Ledger, rnd *rand.Rand) bool {
			i, ok := single(l, rnd, anyWebhook)
			j := slices.IndexFunc(l.Recorded, func(r Recorded) bool { return r.Webhook == l.Arrivals[i].Webhook && r.Event == l.Arrivals[i].Event })
			l.Recorded[j].Statuses = nil
			return ok
		}},
		{"show an attempt that never was", O9, func(l *Ledger, rnd *rand.Rand) bool {
			i, ok := pick(rnd, l.Recorded, func(i int) bool { return len(l.Recorded[i].Statuses) == 1 })
			l.Recorded[i].Statuses = []int{599, l.Recorded[i].Statuses[0]}
			return ok
		}},
		{"send what was erased", O10, func(l *Ledger, rnd *rand.Rand) bool {
			i, ok := single(l, rnd, anyWebhook)
			l.Arrivals[i].Holds = []string{"ada"}
			l.Erasures = []Erasure{{Marker: "ada", Returned: l.Arrivals[i].Arrived.Add(-time.Second)}}
			return ok
		}},
	}
}

// hasStart says whether somebody starts a system about then anyway.
func hasStart(l *Ledger, when time.Time) bool {
	near := Span{when.Add(-3 * time.Second), when}
	n := 0
	for _, o := range l.Controls {
		if o.Kind == Start && o.Span.Overlaps(near) {
			n++
		}
	}
	return n > 0
}

func sessionMutations() []mutation {
	return []mutation{
		{"end a session twice", O7, func(l *Ledger, rnd *rand.Rand) bool {
			_, e, ok := sessionWith(l, rnd, func(Session, Ending) bool { return true })
			again := *e
			again.ID += " again"
			l.Endings = append(l.Endings, again)
			return ok
		}},
		{"end a session and tell nobody", O7, func(l *Ledger, rnd *rand.Rand) bool {
			s, _, ok := sessionWith(l, rnd, func(s Session, _ Ending) bool { return s.Certain })
			l.Endings = slices.DeleteFunc(l.Endings, func(e Ending) bool { return e.Session == s.ID })
			return ok
		}},
		{"tell of an end that does not happen", O7, func(l *Ledger, rnd *rand.Rand) bool {
			s, e, ok := sessionWith(l, rnd, func(Session, Ending) bool { return true })
			s.Sights = append(s.Sights, Sight{Span{e.Detected.Add(time.Second), e.Detected.Add(2 * time.Second)}, Alive})
			return ok
		}},
		{"time out too early", O7, func(l *Ledger, rnd *rand.Rand) bool {
			_, e, ok := sessionWith(l, rnd, func(_ Session, e Ending) bool { return e.Cause == IdleTimeout })
			e.Occurred = e.Occurred.Add(-idle * time.Second / 4)
			return ok
		}},
		{"give another cause", O7, func(l *Ledger, rnd *rand.Rand) bool {
			_, e, ok := sessionWith(l, rnd, func(_ Session, e Ending) bool { return e.Cause == "LOGOUT" })
			e.Cause = "UPGRADE"
			return ok
		}},
		{"lose a session", O7, func(l *Ledger, rnd *rand.Rand) bool {
			s, _, ok := sessionWith(l, rnd, func(s Session, e Ending) bool {
				return len(s.Asks) == 0 && e.Occurred.Sub(s.Began.To) > idle*time.Second
			})
			s.Sights = append(s.Sights, Sight{Span{s.Began.To.Add(time.Second), s.Began.To.Add(2 * time.Second)}, Over})
			return ok
		}},
	}
}

func TestMutatedHistoriesAreCaught(t *testing.T) {
	for _, m := range mutations() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			const tries = 10
			caught := 0
			for seed := range uint64(tries) {
				l := legalHistory(seed)
				if !m.mutate(&l, rand.New(rand.NewPCG(seed, 2))) {
					continue
				}
				if got := rules(l); !slices.Contains(got, m.rule) {
					t.Fatalf("seed %d: broken are %q, want %q among them", seed, got, m.rule)
				}
				caught++
			}
			if caught < tries/3 {
				t.Errorf("only %d of %d histories had something to mutate", caught, tries)
			}
		})
	}
}
