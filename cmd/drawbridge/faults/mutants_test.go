//go:build faults

package faults

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/oracle"
)

// planted is a bug, the round that must show it, and the rules of which one must
// find it.
type planted struct {
	mutant
	rules []oracle.Rule
	run   func(t *testing.T, bug *mutant, seed uint64) result
}

// The strikes that a round is limited to.
func only(all []strike, kinds ...string) []strike {
	return slices.DeleteFunc(slices.Clone(all), func(s strike) bool { return !slices.Contains(kinds, s.kind) })
}

// quietly is a topology whose store suffers only these faults.
func quietly(top topology, kinds ...string) topology {
	begin := top.begin
	top.begin = func(t *testing.T) stage {
		s := begin(t)
		s.strikes = only(s.strikes, kinds...)
		for i := range s.strikes {
			s.strikes[i].weight = 1
		}
		return s
	}
	return top
}

// plantedBugs are the six that the oracle must catch.
func plantedBugs() []planted {
	return []planted{
		{mutant{"event without state", []edit{{"federation/session/end.go",
			"		return m.planEnd(ctx, t, row, m.person(ctx, t, row.Value.Person), e, now)\n",
			`		ops, err := m.planEnd(ctx, t, row, m.person(ctx, t, row.Value.Person), e, now)
		if err != nil {
			return nil, err
		}
		if _, err := m.o.Engine.Commit(ctx, ops[3:]...); err != nil {
			return nil, err
		}
		time.Sleep(20 * time.Millisecond)
		return ops[:3], nil
`}}}, []oracle.Rule{oracle.O7}, func(t *testing.T, bug *mutant, seed uint64) result {
			return run(t, plan{top: bolt(), bug: bug, load: 12 * time.Second, visitors: 60, strikes: only(nodeStrikes(1), "kill at random", "kill in a volley"), patience: 15 * time.Second}, seed)
		}},
		{mutant{"double sweep", []edit{{"federation/session/end.go",
			"		m.sessions.Take(row.Place, s.ID, row.Version),\n",
			"		m.sessions.Drop(row.Place, s.ID),\n"}}}, []oracle.Rule{oracle.O7}, func(t *testing.T, bug *mutant, seed uint64) result {
			return run(t, plan{top: quietly(single(2)), bug: bug, load: 15 * time.Second, visitors: 60, strikes: only(nodeStrikes(2), "stop for a moment"), patience: 15 * time.Second}, seed)
		}},
		{mutant{"lost wake-up", []edit{
			{"sessionhooks/delivery/worker.go", "		*after = entries[len(entries)-1].Position\n		w.Wake()\n", "		*after = entries[len(entries)-1].Position\n"},
			{"sessionhooks/delivery/look.go", "		o.allAt = now.Add(max(idleWait, time.Duration(o.all.seen)*lookCost))\n", "		o.allAt = now.Add(time.Hour)\n"},
		}}, []oracle.Rule{oracle.O1}, func(t *testing.T, bug *mutant, seed uint64) result {
			return run(t, plan{top: bolt(), bug: bug, load: 6 * time.Second, visitors: 40, strikes: only(nodeStrikes(1), "stop for a moment"), patience: 15 * time.Second}, seed)
		}},
		{mutant{"cached cursor", []edit{
			{"sessionhooks/delivery/streams.go", "				(&drive{Stream: s, w: w, tenure: t, feed: following}).run(its, held)\n", "				remembered(s, w, t, following).run(its, held)\n"},
			{"sessionhooks/delivery/streams.go", "// streams are those that there are now", `var remembers sync.Map

func remembered(s *Stream, w *Worker, t *tenure, f *feed) *drive {
	kept, _ := remembers.LoadOrStore(s, &drive{Stream: s})
	d := kept.(*drive)
	d.w, d.tenure, d.feed = w, t, f
	return d
}

// streams are those that there are now`},
			{"sessionhooks/delivery/drive.go", "	if !d.known || row.Version != d.cursor.Version {\n", "	if !d.known {\n"},
			{"sessionhooks/delivery/drive.go", "			d.known = false // read everything anew\n", ""},
			{"sessionhooks/delivery/drive.go", "	if err != nil || !saved {\n		d.known = false\n", "	if err != nil || !saved {\n"},
		}}, []oracle.Rule{oracle.O4, oracle.O2}, loseLeases},
		{mutant{"missing fence", []edit{
			{"federation/store/lease.go", "func (l Lease) Fence() Op { return Check(l.key, l.version) }", `func (l Lease) Fence() Op { return Drop(Key{Partition: l.key.Partition, Kind: "nothing", ID: l.owner}) }`},
			{"federation/store/lease.go", "func (l Lease) Is(rec Record) bool { return rec.Version == l.version }", "func (l Lease) Is(Record) bool { return true }"},
			{"federation/store/lease.go", "Replace(l.key, l.version, []byte(l.owner), next.Expires)", "Put(l.key, []byte(l.owner), next.Expires)"},
		}}, []oracle.Rule{oracle.O4, oracle.O3}, loseLeases},
		{mutant{"reused position", []edit{
			{"federation/store/redisstore/scripts.go", "if not string.find(call('INFO', 'replication'), ARGV[3], 1, true) then return {2, real} end\n", ""},
		}}, []oracle.Rule{oracle.O2}, func(t *testing.T, bug *mutant, seed uint64) result {
			return runStrict(t, strictPlan{top: quietly(sentinel(2), "replication cut, master kill -9 and failover"), bug: bug, load: 20 * time.Second, partitions: 2, storeOnly: true, patience: 10 * time.Second}, seed)
		}},
	}
}

// loseLeases is a round of streams in which nodes lose their leases.
func loseLeases(t *testing.T, bug *mutant, seed uint64) result {
	return runStrict(t, strictPlan{top: single(2), bug: bug, load: 50 * time.Second, partitions: 3, leasesOnly: true, patience: 10 * time.Second}, seed)
}

// TestLeasesAreLost is the round of the two bugs about leases without a bug: what
// finds those must not be found here.
func TestLeasesAreLost(t *testing.T) {
	t.Parallel()
	judge(t, loseLeases(t, nil, seed(t)))
}

// TestBugsFit holds the bugs to the code that they are planted in, every day.
func TestBugsFit(t *testing.T) {
	for _, p := range plantedBugs() {
		if _, err := p.overlay(filepath.Join(t.TempDir(), "overlay")); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
	}
}

// TestPlantedBugs plants each of the six and wants it found.
func TestPlantedBugs(t *testing.T) {
	t.Parallel()
	n := seed(t)
	for _, p := range plantedBugs() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			r := p.run(t, &p.mutant, n)
			for _, v := range r.violations {
				if slices.ContainsFunc(p.rules, func(rule oracle.Rule) bool { return strings.HasPrefix(v, string(rule)) }) {
					t.Logf("found: %.400s", v)
					return
				}
			}
			t.Errorf("the bug was not found by %v; found was %d: %.1000v", p.rules, len(r.violations), r.violations)
		})
	}
}
