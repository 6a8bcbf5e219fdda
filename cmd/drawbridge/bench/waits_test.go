//go:build bench

package bench

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestNobodyWaitsForOthers shows that nothing is held over an outside call.
func TestNobodyWaitsForOthers(t *testing.T) {
	others := startParties(t)
	d := newHouse(t, others.configure).start(t)
	figures := newTable(t, "Nothing is held over an outside call")
	refreshes(t, d, figures)
	neighbours(t, d, figures)
}

// refreshes has clients refresh through a hook that takes its time.
func refreshes(t *testing.T, d *drawbridge, figures *table) {
	p := newParty(t, d, "patient", "ES256")
	have := make([]tokens, browsers)
	crowd(t, browsers, browsers, func(i int) (err error) {
		have[i], err = p.login(t, userOf(i))
		return err
	})
	const each = 40
	var rate, p50 []float64
	for range 3 {
		one := make([][]time.Duration, browsers)
		began := time.Now()
		crowd(t, browsers, browsers, func(i int) (err error) {
			for range each {
				start := time.Now()
				if have[i], err = p.refresh(t, have[i]); err != nil {
					return err
				}
				one[i] = append(one[i], time.Since(start))
			}
			return nil
		})
		rate = append(rate, browsers*each/time.Since(began).Seconds())
		var all []time.Duration
		for _, some := range one {
			all = append(all, some...)
		}
		p50 = append(p50, middle(all))
	}
	figures.add(fmt.Sprintf("refreshes of %d clients, hook of %v (at best %d)", browsers, slowHook, browsers*time.Second/slowHook), "per s", "at least 300", rate...)
	figures.add("one refresh, p50", "ms", "", p50...)
}

// neighbours has users sign in at a quick upstream while others sign in at a slow one, and while they do not.
func neighbours(t *testing.T, d *drawbridge, figures *table) {
	quick, slow := newParty(t, d, "shop-es256", "ES256"), newParty(t, d, "remote", "ES256")
	visits := func() float64 {
		return middle(crowd(t, 4, 400, func(i int) error {
			_, err := quick.login(t, userOf(i))
			return err
		}))
	}
	visits()
	var alone, together []float64
	var beside atomic.Int64
	for range rounds {
		alone = append(alone, visits())
		together = append(together, besides(t, slow, &beside, visits))
	}
	if beside.Load() == 0 {
		t.Error("nobody signed in at the slow upstream")
	}
	figures.add("login of 4 browsers at a quick upstream, p50", "ms", "", alone...)
	figures.add(fmt.Sprintf("the same beside %d at one whose token endpoint takes %v, p50", browsers, slowUpstream), "ms", "", together...)
	figures.add("beside / alone", "ratio", "about 1", ratios(together, alone)...)
}

// besides takes a figure while users sign in at another party, again and again, and counts how often they do.
func besides(t *testing.T, party *party, done *atomic.Int64, figure func() float64) float64 {
	var group sync.WaitGroup
	var over atomic.Bool
	defer group.Wait()
	defer over.Store(true)
	for n := range browsers {
		group.Go(func() {
			for !over.Load() {
				if _, err := party.login(t, userOf(n)); err != nil {
					t.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	return figure()
}
