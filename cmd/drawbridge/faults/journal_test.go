//go:build faults

package faults

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/oracle"
)

// journal is the ledger while it is written: in memory to be judged, and line by
// line in a file that is synced, so that a run that dies leaves its evidence.
type journal struct {
	mu       sync.Mutex
	arrivals []oracle.Arrival
	faults   []oracle.Fault
	sessions []oracle.Session
	events   []oracle.Event
	controls []oracle.Control
	erasures []oracle.Erasure
	lost     []lostCall
	// sids and subs are the users of sessions and persons.
	sids, subs map[string]string
	// wrong is what is wrong in itself, whatever else happened.
	wrong []string

	lines chan any
	done  chan struct{}
}

// line is one line of the file.
type line struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"`
	What any       `json:"what"`
}

func openJournal(t *testing.T, folder string) *journal {
	t.Helper()
	file, err := os.Create(filepath.Join(folder, "journal.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	j := &journal{sids: map[string]string{}, subs: map[string]string{}, lines: make(chan any, 4096), done: make(chan struct{})}
	go j.write(file)
	t.Cleanup(func() {
		close(j.lines)
		<-j.done
	})
	return j
}

// write syncs what has gathered, again and again.
func (j *journal) write(file *os.File) {
	defer close(j.done)
	defer file.Close()
	buffered := bufio.NewWriter(file)
	encoder := json.NewEncoder(buffered)
	for first := range j.lines {
		_ = encoder.Encode(first) // a full disk would show in the sync below
		for len(j.lines) > 0 {
			_ = encoder.Encode(<-j.lines)
		}
		_ = buffered.Flush()
		if err := file.Sync(); err != nil {
			fmt.Fprintln(os.Stderr, "the journal is not kept:", err)
		}
	}
}

func note[T any](j *journal, all *[]T, kind string, what T) {
	j.mu.Lock()
	*all = append(*all, what)
	j.mu.Unlock()
	j.lines <- line{time.Now(), kind, what}
}

func (j *journal) arrived(a oracle.Arrival)    { note(j, &j.arrivals, "arrival", a) }
func (j *journal) struck(f oracle.Fault)       { note(j, &j.faults, "fault", f) }
func (j *journal) lived(s oracle.Session)      { note(j, &j.sessions, "session", s) }
func (j *journal) happened(e oracle.Event)     { note(j, &j.events, "event", e) }
func (j *journal) erased(e oracle.Erasure)     { note(j, &j.erasures, "erasure", e) }
func (j *journal) controlled(c oracle.Control) { note(j, &j.controls, "control", c) }
func (j *journal) fail(format string, a ...any) {
	note(j, &j.wrong, "wrong", fmt.Sprintf(format, a...))
}

func (j *journal) unanswered(c lostCall) { note(j, &j.lost, "unanswered", c) }

// lostCall is a request that had no answer, or one that leaves open what came of it.
type lostCall struct {
	Span      oracle.Span
	What, Why string
}

// unexplained are the lost calls that no fault explains.
func (j *journal) unexplained() (all []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range j.lost {
		if !slices.ContainsFunc(j.faults, func(f oracle.Fault) bool {
			return c.Span.Overlaps(oracle.Span{From: f.Span.From, To: f.Span.To.Add(recovery)})
		}) {
			all = append(all, fmt.Sprintf("unanswered without a fault: %s at %s: %s", c.What, c.Span.From.UTC().Format("15:04:05.000"), c.Why))
		}
	}
	return all
}

// acknowledged writes down at once what the program has said, before the visitor
// goes on: the session's own entry comes when its story is over.
func (j *journal) acknowledged(session, what string) {
	j.lines <- line{time.Now(), "acknowledged", session + " " + what}
}

// known remembers whose session and person it is that tokens are about.
func (j *journal) known(user string, t tokens) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sids[t.sid], j.subs[t.sub] = user, user
}

// told counts the arrivals that were answered with 2xx, by webhook and event.
func (j *journal) told() map[[2]string]bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := map[[2]string]bool{}
	for _, a := range j.arrivals {
		if a.Status/100 == 2 && !a.Answered.IsZero() {
			all[[2]string{a.Webhook, a.Event}] = true
		}
	}
	return all
}
