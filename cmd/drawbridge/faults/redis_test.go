//go:build faults

package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/oracle"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

// redisStage is Redis in one of its three shapes.
type redisStage struct {
	t         *testing.T
	addresses []string
	master    string
	// replicas is what the nodes wait for.
	replicas int
	servers  func() []*redistest.Server
	follower *follower
}

// options are those of an engine of the test's own.
func (s *redisStage) options() redisstore.Options {
	return redisstore.Options{Addresses: s.addresses, MasterName: s.master, Now: time.Now}
}

// stage makes it one of a round.
func (s *redisStage) stage(strikes []strike) stage {
	config := fmt.Sprintf(`{engine: redis, addresses: ["%s"]`, strings.Join(s.addresses, `", "`))
	if s.master != "" {
		config += ", master_name: " + s.master
	}
	if s.replicas > 0 {
		config += fmt.Sprintf(", replicas: %d, spool: spool.db", s.replicas)
	}
	return stage{config: config + "}", redis: s, strikes: append(strikes, s.common()...), read: func(t *testing.T, _ string) []logged {
		t.Helper()
		engine := s.open(t)
		defer engine.Close()
		return readLog(t, engine, engine.Layout().Partitions)
	}}
}

// follow reads the log along, as a reader of its own, from when the nodes have
// made the store.
func (s *redisStage) follow(t *testing.T) {
	t.Helper()
	engine := s.open(t)
	s.follower = &follower{engine: engine, seen: map[placed]bool{}}
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for p := range engine.Layout().Partitions {
		group.Go(func() { s.follower.read(ctx, store.Partition(p)) })
	}
	group.Go(func() { _ = engine.Run(ctx) }) // it ends with its context
	t.Cleanup(func() {
		stop()
		group.Wait()
		_ = engine.Close()
	})
}

// follower is a reader of the log that keeps what it has seen: what a failover
// takes away, and positions that are given again, show only there.
type follower struct {
	engine *redisstore.Engine
	mu     sync.Mutex
	seen   map[placed]bool
}

// placed is an event at a place.
type placed struct {
	partition int
	position  store.Position
	event     string
}

func (f *follower) read(ctx context.Context, p store.Partition) {
	log := sessionhooks.NewLog(f.engine, nil, time.Hour)
	var after store.Position
	for ctx.Err() == nil {
		some, err := log.Read(ctx, p, after, 200, time.Second)
		if err != nil {
			pause(ctx, 100*time.Millisecond)
			continue
		}
		f.mu.Lock()
		for _, s := range some {
			f.seen[placed{int(p), s.Position, s.Event.ID}] = true
			after = s.Position
		}
		f.mu.Unlock()
	}
}

// withdrawn are the places that the log does not have any more, as events that
// may have happened: the oracle looks whether their positions were given again.
func (f *follower) withdrawn(log []logged) (all []oracle.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept := map[placed]bool{}
	for _, l := range log {
		kept[placed{l.partition, l.Position, l.Event.ID}] = true
	}
	for p := range f.seen {
		if !kept[p] {
			all = append(all, oracle.Event{ID: fmt.Sprintf("%s, which was seen at %v", p.event, p.position), Topic: "withdrawn", Partition: p.partition, Position: p.position})
		}
	}
	return all
}

// outage is a fault of the store: what it may have done lasts a little longer.
func outage(from time.Time) oracle.Fault {
	s := oracle.Span{From: from, To: time.Now().Add(recovery)}
	return oracle.Fault{Span: s, Explains: s, Outage: true}
}

// common are the faults that every shape of Redis can suffer.
func (s *redisStage) common() []strike {
	each := func(args ...any) func(h *house, _ *rand.Rand) (oracle.Fault, error) {
		return func(*house, *rand.Rand) (oracle.Fault, error) {
			from := time.Now()
			for _, server := range s.servers() {
				_, _ = server.Try(s.t.Context(), args...) // one that is down has no connections
			}
			return outage(from), nil
		}
	}
	return []strike{
		{"CLIENT KILL", 2, time.Second, each("CLIENT", "KILL", "TYPE", "normal")},
		{"SCRIPT FLUSH", 1, time.Second, each("SCRIPT", "FLUSH")},
	}
}

// single is one server with an append-only file, behind a proxy.
func single(nodes int) topology {
	return topology{name: "single", nodes: nodes, begin: func(t *testing.T) stage {
		server := redistest.Start(t)
		link := redistest.NewProxy(t, server.Addr())
		s := &redisStage{t: t, addresses: []string{link.Addr()}, servers: func() []*redistest.Server { return []*redistest.Server{server} }}
		return s.stage(singleStrikes(t, server, link))
	}}
}

func singleStrikes(t *testing.T, server *redistest.Server, link *redistest.Proxy) []strike {
	lasting := func(begin, end func()) func(*house, *rand.Rand) (oracle.Fault, error) {
		return func(_ *house, rnd *rand.Rand) (oracle.Fault, error) {
			from := time.Now()
			begin()
			time.Sleep(300*time.Millisecond + upTo(rnd, 2*time.Second)) // how long it lasts is what this is about
			end()
			return outage(from), nil
		}
	}
	return []strike{
		{"Redis kill -9", 2, 4 * time.Second, lasting(server.Kill, func() { server.Restart(t) })},
		{"Redis SIGSTOP", 2, 4 * time.Second, lasting(server.Pause, server.Resume)},
		{"link cut", 2, 4 * time.Second, lasting(link.Cut, link.Restore)},
		{"link frozen", 1, 4 * time.Second, lasting(link.Freeze, link.Thaw)},
		{"link slow", 1, 4 * time.Second, lasting(func() { link.Slow(30 * time.Millisecond) }, func() { link.Slow(0) })},
		{"answers lost", 2, 4 * time.Second, lasting(func() { link.CutAfterRequests(20, "EVALSHA", "EVAL") }, func() { link.CutAfterRequests(0) })},
		{"maxmemory", 1, 4 * time.Second, lasting(func() { server.Do(t, "CONFIG", "SET", "maxmemory", "1") }, func() { server.Do(t, "CONFIG", "SET", "maxmemory", "0") })},
	}
}

// sentinel is a master with two replicas, watched by three sentinels.
func sentinel(nodes int) topology {
	return topology{name: "sentinel", nodes: nodes, begin: func(t *testing.T) stage {
		group := redistest.StartReplicated(t, 2, 3)
		for _, watcher := range group.Sentinels() {
			// A busy machine must not look like an outage: every failover is to be ours.
			watcher.Do(t, "SENTINEL", "SET", group.MasterName(), "down-after-milliseconds", "2000")
		}
		s := &redisStage{t: t, addresses: group.SentinelAddrs(), master: group.MasterName(), replicas: 1, servers: func() []*redistest.Server {
			return append(group.Replicas(), group.Master())
		}}
		failover := func(down func(*redistest.Server), up func(*redistest.Server)) func(*house, *rand.Rand) (oracle.Fault, error) {
			return func(*house, *rand.Rand) (oracle.Fault, error) {
				from := time.Now()
				old := group.Master()
				down(old)
				group.WaitFailover(t)
				up(old)
				group.WaitOnline(t)
				return outage(from), nil
			}
		}
		restart := func(s *redistest.Server) { s.Restart(t) }
		return s.stage([]strike{
			{"master kill -9 and failover", 2, 10 * time.Second, failover((*redistest.Server).Kill, restart)},
			{"master SIGSTOP and failover", 1, 10 * time.Second, failover((*redistest.Server).Pause, (*redistest.Server).Resume)},
			{"replication cut", 2, 6 * time.Second, func(_ *house, rnd *rand.Rand) (oracle.Fault, error) {
				from := time.Now()
				group.CutReplication()
				time.Sleep(300*time.Millisecond + upTo(rnd, time.Second)) // how long it lasts is what this is about
				group.RestoreReplication()
				group.WaitOnline(t)
				return outage(from), nil
			}},
			{"replication cut, master kill -9 and failover", 0, 14 * time.Second, func(*house, *rand.Rand) (oracle.Fault, error) {
				from := time.Now()
				old := group.Master()
				group.CutReplication()
				time.Sleep(800 * time.Millisecond) // the replicas fall behind, and somebody sees it
				old.Kill()
				group.RestoreReplication()
				group.WaitFailover(t)
				old.Restart(t)
				group.WaitOnline(t)
				return outage(from), nil
			}},
		})
	}}
}

// cluster is three masters with a replica each.
func cluster(nodes int) topology {
	return topology{name: "cluster", nodes: nodes, begin: func(t *testing.T) stage {
		c := redistest.StartCluster(t, 3, 1)
		s := &redisStage{t: t, addresses: c.Addrs(), replicas: 1, servers: c.Nodes}
		some := func(rnd *rand.Rand) (slot, owner int) {
			slot = c.KeySlot(t, "{db:"+strconv.FormatInt(int64(rnd.IntN(16)), 36)+"}m")
			return slot, c.Owner(t, slot)
		}
		return s.stage([]strike{
			{"CLUSTER FAILOVER", 2, 12 * time.Second, func(_ *house, rnd *rand.Rand) (oracle.Fault, error) {
				from := time.Now()
				_, owner := some(rnd)
				c.Failover(t, owner)
				return outage(from), nil
			}},
			{"master kill -9 and TAKEOVER", 1, 14 * time.Second, func(_ *house, rnd *rand.Rand) (oracle.Fault, error) {
				from := time.Now()
				_, owner := some(rnd)
				c.Nodes()[owner].Kill()
				c.Failover(t, owner)
				c.Nodes()[owner].Restart(t)
				c.WaitOK(t)
				return outage(from), nil
			}},
			{"slot migration", 2, 10 * time.Second, func(_ *house, rnd *rand.Rand) (oracle.Fault, error) {
				from := time.Now()
				slot, owner := some(rnd)
				for to, server := range c.Nodes() {
					if to != owner && server.Running() && isMaster(server) {
						c.MoveSlot(t, slot, to)
						break
					}
				}
				return outage(from), nil
			}},
		})
	}}
}

func isMaster(s *redistest.Server) bool {
	role, err := s.Client().Do(context.Background(), "ROLE").Slice()
	return err == nil && len(role) > 0 && role[0] == "master"
}
