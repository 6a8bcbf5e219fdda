//go:build bench

package bench

import (
	"os"
	"testing"
	"time"
)

// TestFootprint measures what the program takes before anybody has come, and after many have.
func TestFootprint(t *testing.T) {
	figures := newTable(t, "Size, memory and start")
	binary, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	others := startParties(t)
	home := newHouse(t, others.configure)
	home.start(t).stop(t) // makes the keys

	const starts = 15
	var ready, idle []float64
	for i := range starts {
		d := home.start(t)
		ready = append(ready, milliseconds(d.ready))
		if i < 3 {
			time.Sleep(time.Second) // idle is what comes after starting
			idle = append(idle, memoryOf(t, d.pid(), "VmRSS"))
		}
		d.stop(t)
	}
	d := home.start(t)
	p := newParty(t, d, "shop", "RS256")
	crowd(t, browsers, 3000, func(i int) error {
		_, err := p.login(t, userOf(i))
		return err
	})
	busy, anonymous := memoryOf(t, d.pid(), "VmRSS"), memoryOf(t, d.pid(), "RssAnon")
	if live := d.metric(t, "drawbridge_sessions_live"); live != 3000 {
		t.Errorf("3000 logins left %v sessions", live)
	}
	d.stop(t)
	var again []float64
	for range starts {
		d := home.start(t)
		again = append(again, milliseconds(d.ready))
		if live := d.metric(t, "drawbridge_sessions_live"); live != 3000 {
			t.Errorf("%v of 3000 sessions are there after a restart", live)
		}
		d.stop(t)
	}
	const megabyte = 1 << 20
	figures.add("stripped binary", "MB", "below 45", float64(info.Size())/megabyte)
	figures.add("resident memory, idle", "MB", "below 45", idle...)
	figures.add("resident memory after 3000 logins", "MB", "60", busy)
	figures.add("of it not the binary or the store's file", "MB", "", anonymous)
	figures.add("start with keys present, to the first 200 of /readyz", "ms", "below 150", ready...)
	figures.add("the same with 3000 sessions in the store", "ms", "", again...)
}
