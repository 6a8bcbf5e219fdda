//go:build faults

// Package faults injects faults into real binaries and judges what came of it.
//
// A round runs one to four nodes of the program over one store, behind a
// balancer, between stand-ins for an upstream and for webhook receivers that
// live in the test process, where the program cannot reach them. Visitors sign
// in, refresh, are looked up, sign out, are signed out, or just leave; faults
// strike from a seeded schedule and at named points; a journal, fsynced, keeps
// what was acknowledged, what may have happened, what arrived and what was done
// to whom. When the faults are over and the program has had its time, package
// oracle judges the journal by its ten rules.
//
// `make faults` runs it. The environment: SEED (chosen and printed when absent; it
// settles which faults come in which order, not what the machine makes of them),
// FAULTS_LOAD (how long a round is under load, 70s), FAULTS_KEEP (a folder that
// keeps journals and logs also where nothing failed), FAULTS_RACE (when set, the
// binaries are built with the race detector).
//
// # What is checked how
//
// Session webhooks are independent: each session is one event, known by the name
// of its user, which is never used twice, so that a session whose sign-in was
// not answered is known too. Its terminal events are read from the store's own
// log when the nodes have stopped, so that O7 does not depend on deliveries. O9
// compares what the management API shows of every delivery with what arrived,
// O10 deletes users while their webhooks are still to be delivered.
//
// Strict webhooks are not configurable yet; the streams that they will be made
// of are run by processes of their own (folder streamer) over the same store. O2,
// O3 and O8 are about those.
//
// A reader of the test's own follows the log of Redis from the beginning: what a
// failover takes away, and a position that is given again, show only to somebody
// who was there before.
//
// Beside the ten rules a round fails where a request had no clear answer without
// a fault to explain it, where a code is redeemed twice or not at all, where the
// answer of a refresh is worth nothing, where a clean stop does not end with exit
// code 0, and where a node logs a panic.
//
// # Planted bugs
//
// TestPlantedBugs builds the program with one bug at a time (go build -overlay
// with changed copies of source files; nothing is changed in place) and fails
// unless the oracle finds it, by the rule that the bug is about. A source that
// has changed so that a bug does not fit any more fails the test too: plant it
// anew.
//
// # Limits
//
// Power cuts are not among the faults: a kill leaves the page cache. Clocks are
// not stepped: the processes take theirs from the machine; the engines' and the
// sessions' own tests inject one. Leases are those of the program, half a minute:
// a node is stopped for two of them once in a round, beside the other faults. A
// fault explains a repetition for two seconds after it, since the machine may be
// busy, and rounds leave some time between faults so that this is not all of it.
package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	code := m.Run()
	builds.remove()
	os.Exit(code)
}

// patience bounds every wait for a process to become ready or to end.
const patience = 30 * time.Second

// seed is that of the whole run: SEED, or a new one.
func seed(t *testing.T) uint64 {
	t.Helper()
	n, err := chosenSeed()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// chosenSeed chooses once and says what it chose.
var chosenSeed = sync.OnceValues(func() (uint64, error) {
	text := os.Getenv("SEED")
	n, err := strconv.ParseUint(text, 10, 64)
	switch {
	case text == "":
		n = rand.Uint64N(1_000_000)
	case err != nil:
		return 0, fmt.Errorf("SEED is %q, want a number", text)
	}
	fmt.Printf("SEED=%d\n", n)
	return n, nil
})

// chance is the randomness of one part of a run, so that parts do not disturb
// each other's.
func chance(seed uint64, part string) *rand.Rand {
	sum := uint64(14695981039346656037) // FNV-1a
	for _, b := range []byte(part) {
		sum = (sum ^ uint64(b)) * 1099511628211
	}
	return rand.New(rand.NewPCG(seed, sum))
}

// loadTime is how long a round is under load.
func loadTime(t *testing.T, otherwise time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv("FAULTS_LOAD")
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("FAULTS_LOAD is %q, want a duration", text)
	}
	return d
}

// upTo is a duration below d.
func upTo(rnd *rand.Rand, d time.Duration) time.Duration { return time.Duration(rnd.Int64N(int64(d))) }
