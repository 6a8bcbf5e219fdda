//go:build faults

package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/oracle"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore"
)

// streams is a round of strict streams: nodes of the streamer over Redis,
// producers whose every event has a name of its own, and receivers that refuse
// now and then for good, so that streams stop and are started.
type streams struct {
	*house
	partitions int
	orders     *http.Client
	group      sync.WaitGroup
	// turns are per stream: of two orders at once nobody could say which was last.
	turns []sync.Mutex
}

// strictPlan is what a round of streams does.
type strictPlan struct {
	top        topology
	bug        *mutant
	load       time.Duration
	partitions int
	// storeOnly leaves nodes alone; leasesOnly lets nothing happen but the loss of
	// leases.
	storeOnly, leasesOnly bool
	// patience is how long is waited for the last deliveries.
	patience time.Duration
}

func runStrict(t *testing.T, p strictPlan, seed uint64) result {
	t.Helper()
	s := openStreams(t, p, seed)
	strikes := slices.Concat(nodeStrikes(p.top.nodes), s.stage.strikes, []strike{leaseLoss(s, 0)})
	switch {
	case p.storeOnly:
		strikes = s.stage.strikes
	case p.leasesOnly:
		strikes = []strike{leaseLoss(s, 4*time.Second)}
	}
	ctx, cancel := context.WithTimeout(t.Context(), p.load)
	defer cancel()
	until := time.Now().Add(p.load)
	var producers sync.WaitGroup
	for n := range 2 * p.partitions {
		rnd := chance(seed, fmt.Sprint("producer ", n))
		producers.Go(func() { s.produce(ctx, n%p.partitions, n, rnd) })
	}
	producers.Go(func() { s.meddle(ctx, chance(seed, "operator")) })
	r := result{}
	r.faults = s.strikes(ctx, strikes, chance(seed, "strikes"), until)
	producers.Wait()
	s.receiver.disarm()
	s.receiver.calm()
	s.finish(p.patience)
	for _, n := range s.nodes {
		if err := n.terminate(); err != nil {
			s.journal.fail("at the end: %v", err)
		}
	}
	s.group.Wait()
	s.readLogs()
	log := s.stage.read(t, "")
	r.ledger = s.strictLedger(log)
	for _, v := range oracle.Judge(r.ledger) {
		r.violations = append(r.violations, v.String())
	}
	r.violations = append(append(r.violations, s.journal.wrong...), s.journal.unexplained()...)
	r.calls = int64(len(s.journal.events))
	report(plan{top: topology{name: "streams over " + p.top.name}, bug: p.bug}, seed, s.house, r)
	return r
}

func openStreams(t *testing.T, p strictPlan, seed uint64) *streams {
	t.Helper()
	s := &streams{partitions: p.partitions, turns: make([]sync.Mutex, p.partitions), house: &house{t: t, folder: keptFolder(t), seed: seed, load: &load{}}}
	s.journal = openJournal(t, s.folder)
	s.receiver = startReceiver(t, s.journal, chance(seed, "receiver"))
	s.receiver.refuse, s.receiver.refused = 10, s.resume
	s.stage = p.top.begin(t)
	binary := build(t, streamer, p.bug)
	for i := range p.top.nodes {
		s.nodes = append(s.nodes, s.newStreamer(binary, i))
	}
	t.Cleanup(func() {
		for _, n := range s.nodes {
			n.kill()
		}
	})
	for _, n := range s.nodes {
		if err := n.start(); err != nil {
			said, _ := os.ReadFile(n.logFile())
			t.Fatalf("%v\n%s", err, said)
		}
	}
	s.platform = newBalancer(s.nodes, true)
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	go s.platform.watch(stop)
	s.orders = &http.Client{Transport: s.platform, Timeout: patience}
	s.stage.redis.follow(t)
	return s
}

func (s *streams) newStreamer(binary string, i int) *node {
	addr := freeAddr(s.t)
	n := &node{name: fmt.Sprintf("node-%d", i+1), binary: binary, args: []string{"settings.json"}, public: addr, management: addr}
	n.folder = filepath.Join(s.folder, n.name)
	redis := s.stage.redis
	set := map[string]any{
		"node": n.name, "listen": addr, "addresses": redis.addresses, "master_name": redis.master, "replicas": redis.replicas,
		"partitions": s.partitions, "receiver": s.receiver.URL + "/hook/",
	}
	if redis.replicas > 0 {
		set["spool"] = "spool.db"
	}
	text, err := json.Marshal(set)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.MkdirAll(n.folder, 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(n.folder, "settings.json"), text, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return n
}

func streamOf(partition int) string { return fmt.Sprintf("stream-%d", partition) }

// produce has events appended until ctx ends.
func (s *streams) produce(ctx context.Context, partition, n int, rnd *rand.Rand) {
	for i := 0; ctx.Err() == nil; i++ {
		id := fmt.Sprintf("e-%d-%d-%06d", s.seed, n, i)
		var status int
		var err error
		from, to := within(func() { status, err = s.order(fmt.Sprintf("/append?id=%s&partition=%d", id, partition)) })
		e := oracle.Event{ID: id, Topic: streamOf(partition), Partition: partition, Acknowledged: err == nil && status == http.StatusOK, Span: oracle.Span{From: from, To: to}}
		s.journal.happened(e)
		if !e.Acknowledged {
			s.journal.unanswered(lostCall{Span: e.Span, What: "append", Why: fmt.Sprint(status, err)})
			pause(ctx, 100*time.Millisecond)
		}
		pause(ctx, 20*time.Millisecond+upTo(rnd, 40*time.Millisecond))
	}
}

func (s *streams) order(path string) (status int, err error) {
	request, err := http.NewRequest(http.MethodPost, "http://streams"+path, nil)
	if err != nil {
		return 0, err
	}
	r, err := send(s.orders, request)
	return r.status, err
}

// command gives a stream an order until it is acknowledged. A stop counts from
// when it is; a start from when it was first given.
func (s *streams) command(kind oracle.ControlKind, stream string) {
	for p := range s.partitions {
		if streamOf(p) == stream {
			s.turns[p].Lock()
			defer s.turns[p].Unlock()
		}
	}
	for first := time.Now(); ; {
		status, err := s.order(fmt.Sprintf("/%s?stream=%s", kind, stream))
		if err == nil && status == http.StatusOK {
			s.journal.controlled(oracle.Control{Kind: kind, System: stream, Span: oracle.Span{From: first, To: time.Now()}})
			return
		}
		if time.Since(first) > patience {
			s.journal.fail("%s of %s is not acknowledged: %d %v", kind, stream, status, err)
			return
		}
		time.Sleep(100 * time.Millisecond) // between two tries
	}
}

// resume starts a stream that was refused something for good, a while later.
func (s *streams) resume(stream string) {
	s.group.Go(func() {
		time.Sleep(time.Second) // nothing may arrive meanwhile
		s.command(oracle.Start, stream)
	})
}

// meddle stops a stream and starts it again, now and then.
func (s *streams) meddle(ctx context.Context, rnd *rand.Rand) {
	for {
		pause(ctx, 4*time.Second+upTo(rnd, 4*time.Second))
		if ctx.Err() != nil {
			return
		}
		stream := streamOf(rnd.IntN(s.partitions))
		s.command(oracle.Stop, stream)
		pause(ctx, 2*time.Second)
		s.command(oracle.Start, stream)
	}
}

// finish waits until every acknowledged event was delivered, or nothing more is
// to be expected.
func (s *streams) finish(limit time.Duration) {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		served := s.journal.told()
		s.journal.mu.Lock()
		owed := slices.ContainsFunc(s.journal.events, func(e oracle.Event) bool { return e.Acknowledged && !served[[2]string{e.Topic, e.ID}] })
		s.journal.mu.Unlock()
		if !owed {
			return
		}
	}
}

// leaseLoss takes all leases away from whoever holds them, as an outage of the
// store longer than a lease would, and keeps one node after the other from
// taking them back, so that leases go to and fro. Peace is how long nothing else
// happens then: what a fault explains must not be all there is.
func leaseLoss(s *streams, peace time.Duration) strike {
	turn := 0
	return strike{"lease loss", 2, 6*time.Second + peace, func(h *house, _ *rand.Rand) (oracle.Fault, error) {
		engine, left := h.stage.redis.follower.engine, h.nodes[turn%len(h.nodes)]
		turn++
		from := time.Now()
		if left.halted() {
			return oracle.Fault{}, errSkipped
		}
		left.pause()
		defer left.resume()
		for p := range s.partitions {
			if err := store.FreeLeases(h.t.Context(), engine, store.Partition(p)); err != nil {
				return oracle.Fault{}, errSkipped
			}
		}
		pause(h.t.Context(), 2500*time.Millisecond) // the others look every second or so
		left.resume()
		span := oracle.Span{From: from, To: time.Now().Add(recovery)}
		pause(h.t.Context(), peace)
		return oracle.Fault{Span: span, Explains: span}, nil
	}}
}

// strictLedger is what the oracle is given.
func (s *streams) strictLedger(log []logged) oracle.Ledger {
	j := s.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	l := oracle.Ledger{
		Arrivals: j.arrivals, Faults: j.faults, Controls: j.controls, End: time.Now(),
		Margins: oracle.Margins{Clock: 100 * time.Millisecond, Commit: 1500 * time.Millisecond, Timeout: 4 * time.Second, Flight: time.Second},
	}
	for p := range s.partitions {
		l.Webhooks = append(l.Webhooks, oracle.Webhook{ID: streamOf(p), System: streamOf(p), Strict: true, Revisions: []oracle.Revision{{Topics: []string{streamOf(p)}}}})
	}
	places := map[string]store.Position{}
	for _, e := range log {
		if at, twice := places[e.Event.ID]; twice {
			j.wrong = append(j.wrong, fmt.Sprintf("event %s stands at %v and at %v", e.Event.ID, at, e.Position))
		}
		places[e.Event.ID] = e.Position
	}
	for _, e := range j.events {
		at, there := places[e.ID]
		if e.Acknowledged && !there {
			j.wrong = append(j.wrong, fmt.Sprintf("event %s was acknowledged at %v and is not in the log", e.ID, e.Span.To))
		}
		if there && !e.Acknowledged {
			e.Acknowledged, e.Span.To = true, l.End // nobody knows when it happened
		}
		e.Position = at
		l.Events = append(l.Events, e)
	}
	l.Events = append(l.Events, s.stage.redis.follower.withdrawn(log)...)
	return l
}

// open is an engine of the test's own on the round's store.
func (s *redisStage) open(t *testing.T) *redisstore.Engine {
	t.Helper()
	engine, err := redisstore.Open(t.Context(), s.options())
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

// TestStreams is strict streams over each shape of Redis.
func TestStreams(t *testing.T) {
	t.Parallel()
	n := seed(t)
	for _, top := range []topology{single(3), sentinel(2), cluster(2)} {
		t.Run(top.name, func(t *testing.T) {
			t.Parallel()
			judge(t, runStrict(t, strictPlan{top: top, load: loadTime(t, 70*time.Second), partitions: 4, patience: 60 * time.Second}, n))
		})
	}
}
