//go:build faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/oracle"
)

// strike is a kind of fault.
type strike struct {
	kind string
	// weight is how often it is chosen; 0 is once in a round, if there is time.
	weight int
	// lasts is how long it may take. What takes longer than half a minute goes on
	// beside the others.
	lasts time.Duration
	do    func(h *house, rnd *rand.Rand) (oracle.Fault, error)
}

// recovery is how long after a fault of the store its effects may show: clients
// connect again, commits whose answer was lost are asked for.
const recovery = 2 * time.Second

// onTheWire is how long after a kill the receiver may still get to what the dead
// had sent.
const onTheWire = 500 * time.Millisecond

// nodeStrikes are the faults of nodes, for a house with so many.
func nodeStrikes(nodes int) []strike {
	all := []strike{
		{"kill at random", 3, 3 * time.Second, func(h *house, rnd *rand.Rand) (oracle.Fault, error) {
			return h.killed(h.anyNode(rnd), rnd)
		}},
		{"kill after POST", 2, 8 * time.Second, func(h *house, rnd *rand.Rand) (oracle.Fault, error) { return h.killedAt(true, rnd) }},
		{"kill after 2xx", 3, 8 * time.Second, func(h *house, rnd *rand.Rand) (oracle.Fault, error) { return h.killedAt(false, rnd) }},
		{"kill in a volley", 2, 3 * time.Second, func(h *house, rnd *rand.Rand) (oracle.Fault, error) {
			h.load.volley.Store(true)
			time.Sleep(time.Duration(20+rnd.IntN(40)) * time.Millisecond) // the moment is chosen, not waited for
			h.load.volley.Store(false)
			return h.killed(h.anyNode(rnd), rnd)
		}},
		{"terminate", 1, 10 * time.Second, func(h *house, rnd *rand.Rand) (oracle.Fault, error) { return h.terminated(h.anyNode(rnd)) }},
		{"stop for a moment", 2, 4 * time.Second, func(h *house, rnd *rand.Rand) (oracle.Fault, error) {
			return h.paused(h.anyNode(rnd), time.Second+upTo(rnd, 2*time.Second)), nil
		}},
	}
	if nodes > 1 {
		all = append(all, strike{"stop for two leases", 0, 66 * time.Second, func(h *house, rnd *rand.Rand) (oracle.Fault, error) {
			return h.paused(h.anyNode(rnd), 61*time.Second), nil // two leases, and a bit
		}})
	}
	return all
}

// anyNode is one that is not stopped.
func (h *house) anyNode(rnd *rand.Rand) *node {
	for {
		if n := h.nodes[rnd.IntN(len(h.nodes))]; !n.halted() {
			return n
		}
	}
}

// killed kills a node and starts it again.
func (h *house) killed(n *node, rnd *rand.Rand) (oracle.Fault, error) {
	f := oracle.Fault{Kind: "kill " + n.name}
	from, to := within(n.kill)
	f.Explains = oracle.Span{From: from, To: to.Add(onTheWire)}
	time.Sleep(upTo(rnd, 500*time.Millisecond))
	err := n.start()
	f.Span = oracle.Span{From: from, To: time.Now()}
	return f, err
}

// killedAt kills the sender of a webhook that has arrived and is not answered,
// or whose answer is on its way.
func (h *house) killedAt(afterPost bool, rnd *rand.Rand) (oracle.Fault, error) {
	struck := make(chan oracle.Fault, 1)
	h.receiver.arm(afterPost, func(sender string) {
		for _, n := range h.nodes {
			if len(h.nodes) > 1 && !n.owns(sender) {
				continue
			}
			from, to := within(n.kill)
			struck <- oracle.Fault{Kind: "kill " + n.name, Span: oracle.Span{From: from, To: to}, Explains: oracle.Span{From: from, To: to.Add(onTheWire)}}
			return
		}
		close(struck)
	})
	select {
	case f, ok := <-struck:
		if !ok {
			return f, errSkipped
		}
		time.Sleep(upTo(rnd, 500*time.Millisecond))
		err := h.node(strings.TrimPrefix(f.Kind, "kill ")).start()
		f.Span.To = time.Now()
		return f, err
	case <-time.After(6 * time.Second):
		h.receiver.disarm()
		return oracle.Fault{}, errSkipped
	}
}

func (h *house) node(name string) *node {
	for _, n := range h.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

// terminated is a clean stop, which must explain no repetition, and a start.
func (h *house) terminated(n *node) (oracle.Fault, error) {
	from := time.Now()
	if err := n.terminate(); err != nil {
		h.journal.fail("a clean stop: %v", err)
	}
	err := n.start()
	return oracle.Fault{Kind: "terminate " + n.name, Span: oracle.Span{From: from, To: time.Now()}}, err
}

// paused stops a node for a while. It explains what the node was doing when it
// was stopped, and nothing that others do meanwhile.
func (h *house) paused(n *node, d time.Duration) oracle.Fault {
	from := time.Now()
	n.pause()
	time.Sleep(d) // how long it is stopped is what this is about
	n.resume()
	to := time.Now()
	explains := oracle.Span{From: from, To: from.Add(recovery)}
	if len(h.nodes) == 1 {
		explains.To = to
	}
	return oracle.Fault{Kind: fmt.Sprintf("stop %s for %v", n.name, d.Round(time.Second)), Span: oracle.Span{From: from, To: to}, Explains: explains}
}

// schedule is the faults of a round, chosen by their weights; those without one
// come once.
type schedule struct {
	often, once, long []strike
	rnd               *rand.Rand
	until             time.Time
}

func newSchedule(all []strike, rnd *rand.Rand, until time.Time) *schedule {
	s := &schedule{rnd: rnd, until: until}
	for _, one := range all {
		switch {
		case one.lasts > 30*time.Second:
			s.long = append(s.long, one)
		case one.weight == 0:
			s.once = append(s.once, one)
		}
		for range one.weight {
			s.often = append(s.often, one)
		}
	}
	rnd.Shuffle(len(s.once), func(i, j int) { s.once[i], s.once[j] = s.once[j], s.once[i] })
	return s
}

// next is the fault that comes now; false where none has the time to.
func (s *schedule) next() (strike, bool) {
	left := time.Until(s.until)
	if len(s.once) > 0 && left > s.once[0].lasts && (left < 2*s.once[0].lasts || s.rnd.IntN(4) == 0) {
		one := s.once[0]
		s.once = s.once[1:]
		return one, true
	}
	fits := slices.DeleteFunc(slices.Clone(s.often), func(one strike) bool { return one.lasts > left })
	if len(fits) == 0 {
		return strike{}, false
	}
	return fits[s.rnd.IntN(len(fits))], true
}

// strikes lets faults happen until the load ends, and counts them by kind.
func (h *house) strikes(ctx context.Context, all []strike, rnd *rand.Rand, until time.Time) map[string]int {
	s := newSchedule(all, rnd, until)
	count := map[string]int{}
	var counting sync.Mutex
	one := func(k strike, rnd *rand.Rand) bool {
		f, err := k.do(h, rnd)
		if errors.Is(err, errSkipped) {
			return true
		}
		if err != nil {
			h.journal.fail("after %s: %v", k.kind, err)
			return false
		}
		if f.Kind == "" {
			f.Kind = k.kind
		}
		h.journal.struck(f)
		counting.Lock()
		defer counting.Unlock()
		count[k.kind]++
		return true
	}
	var beside sync.WaitGroup
	for _, k := range s.long {
		if its := chance(h.seed, k.kind); time.Until(until) > k.lasts+time.Second {
			beside.Go(func() { one(k, its) })
		}
	}
	for ctx.Err() == nil {
		pause(ctx, time.Second+upTo(rnd, 2500*time.Millisecond))
		k, ok := s.next()
		if !ok || ctx.Err() != nil || !one(k, rnd) {
			break
		}
	}
	beside.Wait()
	return count
}
