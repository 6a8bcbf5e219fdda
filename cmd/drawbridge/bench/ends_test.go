//go:build bench

package bench

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

func TestSessionEnds(t *testing.T) {
	engine, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "store.db"), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	e := newEnding(t, engine, 1)
	figures := newTable(t, "Session ends with event, sign-out and delivery, bolt engine")
	var alone, many, least, p50, p99 []float64
	var commits, syncs uint64
	ended := 0
	for range rounds {
		least = append(least, e.puts(4096))
		one := e.begin(200)
		took := e.end(1, one)
		alone = append(alone, middle(took))
		crowded := e.begin(4096)
		before, began := engine.Stats(), time.Now()
		took = e.end(64, crowded)
		many = append(many, float64(len(took))/time.Since(began).Seconds())
		after := engine.Stats()
		commits, syncs = commits+after.Commits-before.Commits, syncs+after.Batches-before.Batches
		p50, p99 = append(p50, middle(took)), append(p99, part(took, 0.99))
		ended += len(one) + len(crowded)
	}
	e.told(ended)
	figures.add("64 writers", "per s", "at least 4000", many...)
	figures.add("64 writers: commits of one record of 600 bytes", "per s", "", least...)
	figures.add("64 writers: ends / commits of one record", "ratio", "", ratios(many, least)...)
	figures.add("64 writers: one end, p50", "ms", "", p50...)
	figures.add("64 writers: one end, p99", "ms", "", p99...)
	figures.add("64 writers: commits per sync", "", "", float64(commits)/float64(syncs))
	figures.add("1 writer: one end, p50", "ms", "", alone...)
}
