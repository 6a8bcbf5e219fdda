package redistest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Group is a master with its replicas, and the Sentinels that watch them.
//
// Without Sentinels each replica reaches its master through a Proxy of its own
// (Link), and Promote makes another the master. With Sentinels the links are
// direct, because Sentinel puts right what it takes for a wrong address, and
// the Sentinels make another the master (WaitFailover).
type Group struct {
	t         testing.TB
	nodes     []*Server
	sentinels []*Server

	mu        sync.Mutex
	master    *Server
	links     map[*Server]*Proxy
	estranged map[*Server]login // replicas that are cut off without a link, and who they were
}

// StartReplicated runs a master, its replicas and Sentinels with the majority
// of them as quorum, and waits until all know each other. Lines of
// configuration are for master and replicas alike. Sentinel takes a second of
// silence for an outage, and needs about another for a failover; with half a
// second it takes a busy machine for one.
func StartReplicated(t testing.TB, replicas, sentinels int, conf ...string) *Group {
	t.Helper()
	g := &Group{t: t, links: map[*Server]*Proxy{}, estranged: map[*Server]login{}}
	for range replicas + 1 {
		g.nodes = append(g.nodes, Start(t, conf...))
	}
	g.master = g.nodes[0]
	for _, s := range g.nodes {
		if sentinels == 0 {
			g.links[s] = NewProxy(t, g.master.Addr())
		}
	}
	for _, s := range g.Replicas() {
		g.attach(t, s)
	}
	g.WaitOnline(t)
	for range sentinels {
		g.sentinels = append(g.sentinels, g.startSentinel(t, sentinels/2+1, conf))
	}
	wait(t, func() string { return g.introduced(t) })
	return g
}

// MasterName is what the Sentinels know the group by.
func (g *Group) MasterName() string { return "redistest" }

// Master is the server that was made the master last: by StartReplicated,
// Promote or WaitFailover.
func (g *Group) Master() *Server {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.master
}

// Replicas are all servers but the master, in the order of their start. After
// a promotion the old master is among them, whatever it is now.
func (g *Group) Replicas() []*Server {
	master := g.Master()
	return slices.DeleteFunc(slices.Clone(g.nodes), func(s *Server) bool { return s == master })
}

// Sentinels are the Sentinel processes.
func (g *Group) Sentinels() []*Server { return slices.Clone(g.sentinels) }

// SentinelAddrs are the addresses of the Sentinels.
func (g *Group) SentinelAddrs() []string {
	addrs := make([]string, len(g.sentinels))
	for i, s := range g.sentinels {
		addrs[i] = s.Addr()
	}
	return addrs
}

// Link is the proxy between Replicas()[i] and its master; nil in a group with
// Sentinels.
func (g *Group) Link(i int) *Proxy { return g.links[g.Replicas()[i]] }

// CutReplication disconnects the replicas that run from the master until
// RestoreReplication. What the master is told meanwhile the replicas do not
// learn.
func (g *Group) CutReplication() {
	for _, s := range g.Replicas() {
		if link := g.links[s]; link != nil {
			link.Cut()
			continue
		}
		if s.Running() {
			g.estrange(s)
		}
	}
}

// RestoreReplication ends CutReplication. The replicas try again each second:
// WaitOnline waits for them.
func (g *Group) RestoreReplication() {
	for _, link := range g.links {
		link.Restore()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for s, own := range g.estranged {
		if s.Running() {
			own.set(g.t, s)
			delete(g.estranged, s)
		}
	}
}

// login is who a replica is to its master.
type login struct{ user, password string }

func (l login) set(t testing.TB, s *Server) {
	t.Helper()
	s.Do(t, "CONFIG", "SET", "masteruser", l.user, "masterauth", l.password)
}

// estrange cuts a replica off where no proxy can: it logs in to its master as
// somebody whom that does not know. To forbid replication to it at the master
// is no way: Redis then falls back on an older protocol, which WAIT does not
// count, and stays there when the ban ends.
func (g *Group) estrange(s *Server) {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, already := g.estranged[s]; !already {
		own := pairs(s.Do(g.t, "CONFIG", "GET", "masteruser", "masterauth"))
		g.estranged[s] = login{own["masteruser"], own["masterauth"]}
	}
	login{"stranger", "unknown"}.set(g.t, s)
	s.Do(g.t, "CLIENT", "KILL", "TYPE", "master")
}

// WaitOnline waits until every replica that runs is counted by the master and
// has what that had when the call was made. A master that was left behind by
// Promote is no replica until Follow makes it one.
func (g *Group) WaitOnline(t testing.TB) {
	t.Helper()
	goal := -1
	wait(t, func() string {
		master := g.Master()
		info := master.info(t, "replication")
		offset, err := strconv.Atoi(info["master_repl_offset"])
		if err != nil {
			return "the master at " + master.Addr() + " does not answer"
		}
		if goal < 0 {
			goal = offset
		}
		for _, s := range g.Replicas() {
			if !s.Running() || isMaster(t, s) {
				continue
			}
			if missing := s.follows(t, g.route(s), goal); missing != "" {
				return missing
			}
			if !counted(info, s) {
				return master.Addr() + " does not count " + s.Addr() + " as online"
			}
		}
		return ""
	})
}

// isMaster says whether a server is a master by its own account.
func isMaster(t testing.TB, s *Server) bool {
	return s.info(t, "replication")["role"] == "master"
}

// counted says whether a master's INFO has s as a replica that is online.
func counted(info map[string]string, s *Server) bool {
	for name, value := range info {
		if strings.HasPrefix(name, "slave") && strings.Contains(value, fmt.Sprintf("port=%d,state=online", s.Port())) {
			return true
		}
	}
	return false
}

// route is the address that s reaches its master at.
func (g *Group) route(s *Server) string {
	if link := g.links[s]; link != nil {
		return link.Addr()
	}
	return g.Master().Addr()
}

// attach makes s a replica of the master, also after a restart.
func (g *Group) attach(t testing.TB, s *Server) {
	t.Helper()
	if link := g.links[s]; link != nil {
		link.Retarget(g.Master().Addr())
	}
	host, port, _ := strings.Cut(g.route(s), ":")
	s.Do(t, "REPLICAOF", host, port)
	s.Do(t, "CONFIG", "REWRITE")
}

// Promote makes Replicas()[i] the master and the other replicas that run
// follow it. The old master is left as it is, dead, cut off or believing
// itself the master still; Follow makes it a replica. With Sentinels this is
// theirs to do.
func (g *Group) Promote(t testing.TB, i int) {
	t.Helper()
	if len(g.sentinels) > 0 {
		t.Fatal("redistest: in a group with Sentinels these promote; kill the master and WaitFailover")
	}
	others := g.Replicas()
	next := others[i]
	next.Do(t, "REPLICAOF", "NO", "ONE")
	next.Do(t, "CONFIG", "REWRITE")
	g.mu.Lock()
	g.master = next
	g.mu.Unlock()
	for _, s := range others {
		if s != next && s.Running() {
			g.attach(t, s)
		}
	}
}

// Follow makes a server of the group a replica of the master, and waits until
// it has what that has.
func (g *Group) Follow(t testing.TB, s *Server) {
	t.Helper()
	g.attach(t, s)
	g.WaitOnline(t)
}
