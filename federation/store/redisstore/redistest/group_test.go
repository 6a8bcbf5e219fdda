package redistest

import "testing"

func TestReplicatedGroupCutsAndPromotes(t *testing.T) {
	t.Parallel()
	g := StartReplicated(t, 2, 0)
	old := g.Master()
	old.Do(t, "SET", "a", "1")
	if n := old.Do(t, "WAIT", 2, 0); n != int64(2) {
		t.Fatalf("%v replicas have it", n)
	}
	g.CutReplication()
	old.Do(t, "SET", "a", "2")
	if n := old.Do(t, "WAIT", 1, 20); n != int64(0) {
		t.Fatalf("%v replicas have it, and they are cut off", n)
	}
	g.RestoreReplication()
	g.WaitOnline(t)
	if n := old.Do(t, "WAIT", 2, 0); n != int64(2) {
		t.Fatalf("%v replicas have caught up", n)
	}
	g.Link(1).Freeze()
	old.Do(t, "SET", "b", "1")
	if n := old.Do(t, "WAIT", 2, 200); n != int64(1) {
		t.Fatalf("%v replicas have it, and one of two is frozen", n)
	}
	g.Link(1).Thaw()

	g.CutReplication()
	old.Do(t, "SET", "a", "lost")
	old.Kill()
	g.RestoreReplication()
	g.Promote(t, 1)
	g.WaitOnline(t)
	next := g.Master()
	if next == old || next.Do(t, "GET", "a") != "2" {
		t.Fatal("the promoted replica has what it cannot have")
	}
	next.Do(t, "SET", "a", "3")
	if n := next.Do(t, "WAIT", 1, 0); n != int64(1) {
		t.Fatalf("%v replicas follow the new master", n)
	}
	old.Restart(t)
	if got := old.Do(t, "GET", "a"); got != "lost" {
		t.Fatalf("the stale master has %v", got)
	}
	g.Follow(t, old)
	if n := next.Do(t, "WAIT", 2, 0); n != int64(2) || old.Do(t, "GET", "a") != "3" {
		t.Fatalf("%v replicas follow the new master", n)
	}
	next.Restart(t) // a promotion outlives the process
	g.WaitOnline(t)
}

func TestSentinelsReplaceADeadMasterBehindAPassword(t *testing.T) {
	t.Parallel()
	g := StartReplicated(t, 2, 3, "requirepass secret", "masterauth secret")
	old := g.Master()
	old.Do(t, "SET", "a", "2")
	if n := old.Do(t, "WAIT", 2, 0); n != int64(2) {
		t.Fatalf("%v replicas have it", n)
	}
	if g.Link(0) != nil || len(g.SentinelAddrs()) != 3 || len(g.Sentinels()) != 3 {
		t.Fatal("not what a group with three Sentinels has")
	}
	old.Kill()
	g.WaitFailover(t)
	next := g.Master()
	if next == old || next.Do(t, "INCR", "a") != int64(3) {
		t.Fatal("the new master has not what the replicas had")
	}
	old.Restart(t)
	wait(t, func() string { return subdued(t, old) })
}

// subdued says what is missing until a former master is a replica. Whose is up
// to the Sentinels: on a busy machine they may change their mind once more.
func subdued(t *testing.T, s *Server) string {
	if info := s.info(t, "replication"); info["role"] != "slave" || info["master_link_status"] != "up" {
		return s.Addr() + " is a " + info["role"] + ", link " + info["master_link_status"]
	}
	return ""
}

func TestSentinelReplacesASilentMaster(t *testing.T) {
	t.Parallel()
	g := StartReplicated(t, 1, 1)
	old := g.Master()
	g.CutReplication()
	old.Do(t, "INCR", "a")
	if n := old.Do(t, "WAIT", 1, 20); n != int64(0) {
		t.Fatalf("%v replicas have it, and they are cut off", n)
	}
	g.RestoreReplication()
	g.WaitOnline(t)
	if n := old.Do(t, "WAIT", 1, 0); n != int64(1) {
		t.Fatalf("%v replicas have caught up", n)
	}
	old.Pause()
	g.WaitFailover(t)
	if got := g.Master().Do(t, "GET", "a"); got != "1" {
		t.Fatalf("the new master has %v", got)
	}
	old.Resume() // and is put in its place
	wait(t, func() string { return subdued(t, old) })
}
