// Package storetest holds a store engine to what package store promises.
//
// An engine's own test calls Run with a function that opens a fresh, empty
// engine. The cases know nothing of the engine but its contract, so every
// engine passes the same ones: what cannot is not an engine.
//
//	func TestEngine(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Harness { … })
//	}
//
// Cases run in parallel, each over an engine of its own. Nothing in them
// depends on how long something takes.
package storetest

import (
	"os"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Harness is a fresh engine and what a test may do to it from outside.
type Harness struct {
	// Engine is open and empty. The harness closes it when the test ends, in
	// whatever state the test has left it.
	Engine store.Engine
	// Layout is what its data was created with.
	Layout store.Layout
	// Advance moves the engine's clock forward at once, and keeps it there
	// over Reopen.
	Advance func(d time.Duration)
	// Reopen closes the engine, which the test may have done already, and
	// opens another over the same data.
	Reopen func(t *testing.T) store.Engine

	// Location and OpenAt let a process of its own open the engine's data,
	// which the kill -9 case needs (and so do pipes handed to a child, which
	// Windows has not). Without OpenAt there is no such case. The process is
	// the test binary again, told by its environment to run only this suite.
	// OpenAt is called while Engine is closed, and its engine is not the
	// harness's to close.
	Location string
	OpenAt   func(location string) (store.Engine, error)
}

// Opener makes the harness of one case and cleans up after it through t.
type Opener func(t *testing.T) Harness

type testCase struct {
	name string
	run  func(f *fixture)
}

func cases() []testCase {
	return []testCase{
		{"commits are all or nothing", refusedCommitsLeaveNothing},
		{"operations judge versions", operationsJudgeVersions},
		{"checks fence writes", checksFenceWrites},
		{"put and drop ask nothing", putAndDropAskNothing},
		{"malformed commits are refused", malformedCommitsAreRefused},
		{"an ended context writes nothing", endedContextWritesNothing},
		{"versions only grow", versionsOnlyGrow},
		{"no update is lost", noUpdateIsLost},
		{"a code is redeemed once", codeIsRedeemedOnce},
		{"log order is commit order", logOrderIsCommitOrder},
		{"expiry holds on read", expiryHoldsOnRead},
		{"expired records can be created again", expiredRecordsCanBeCreatedAgain},
		{"expiry can be moved", expiryCanBeMoved},
		{"several records are read at once", severalAreReadAtOnce},
		{"scans are in order", scansAreInOrder},
		{"scans stay in their place", scansStayInTheirPlace},
		{"the log resumes anywhere", logResumesAnywhere},
		{"waiting reads wake", waitingReadsWake},
		{"waiting reads end", waitingReadsEnd},
		{"the log is trimmed", logIsTrimmed},
		{"positions are never used again", positionsAreNeverUsedAgain},
		{"leases exclude and fence", leasesExcludeAndFence},
		{"marks are remembered", marksAreRemembered},
		{"tables keep types", tablesKeepTypes},
		{"values are bytes", valuesAreBytes},
		{"values are copies", valuesAreCopies},
		{"everything survives reopening", everythingSurvivesReopening},
		{"partitions are apart", partitionsAreApart},
		{"a closed engine says so", closedEngineSaysSo},
		{"closing waits for commits", closingWaitsForCommits},
		{"a model agrees", modelAgrees},
	}
}

// Run runs every case over engines that open makes.
func Run(t *testing.T, open Opener) {
	if location := os.Getenv(childLocation); location != "" {
		runChild(t, open(t), location)
		return
	}
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(newFixture(t, open(t)))
		})
	}
	if h := open(t); h.OpenAt != nil {
		t.Run("kill -9 leaves all or nothing", func(t *testing.T) { killLeavesAllOrNothing(t, h) })
	}
}
