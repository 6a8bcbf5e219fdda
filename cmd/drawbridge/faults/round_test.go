//go:build faults

package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/oracle"
)

// plan is what a round does.
type plan struct {
	top      topology
	bug      *mutant
	load     time.Duration
	visitors int
	// strikes are the faults of nodes; nil are all that there are. Those of the
	// store come beside them.
	strikes []strike
	// patience is how long is waited for the last deliveries; 0 is as long as a
	// dead worker's lease and a second attempt may take.
	patience time.Duration
}

// result is what came of a round.
type result struct {
	faults     map[string]int
	violations []string
	ledger     oracle.Ledger
	calls      int64
}

// run runs a round and judges it.
func run(t *testing.T, p plan, seed uint64) result {
	t.Helper()
	h := open(t, p.top, p.bug, seed)
	if h.stage.redis != nil {
		h.stage.redis.follow(t)
	}
	strikes := p.strikes
	if strikes == nil {
		strikes = nodeStrikes(p.top.nodes)
	}
	strikes = slices.Concat(strikes, h.stage.strikes)
	ctx, cancel := context.WithTimeout(t.Context(), p.load)
	defer cancel()
	until := time.Now().Add(p.load)
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		h.load.run(ctx, p.visitors, func(n int) *rand.Rand { return chance(seed, fmt.Sprint("visitor ", n)) })
	}()
	r := result{}
	r.faults = h.strikes(ctx, strikes, chance(seed, "strikes"), until)
	<-loaded
	h.receiver.disarm()
	h.receiver.calm()
	h.settle(p.patience)
	recorded := h.attempts()
	for _, n := range h.nodes {
		if err := n.terminate(); err != nil {
			h.journal.fail("at the end: %v", err)
		}
	}
	h.readLogs()
	r.ledger = h.ledger(h.stage.read(t, h.nodes[0].folder), recorded)
	for _, v := range oracle.Judge(r.ledger) {
		r.violations = append(r.violations, v.String())
	}
	r.violations = append(append(r.violations, h.journal.wrong...), h.journal.unexplained()...)
	r.calls = h.load.calls.Load()
	report(p, seed, h, r)
	return r
}

// report prints what there was, and what is wrong.
func report(p plan, seed uint64, h *house, r result) {
	var b strings.Builder
	total := 0
	for _, kind := range slices.Sorted(maps.Keys(r.faults)) {
		fmt.Fprintf(&b, " %d × %s,", r.faults[kind], kind)
		total += r.faults[kind]
	}
	bug := ""
	if p.bug != nil {
		bug = " with the bug " + p.bug.name
	}
	fmt.Printf("round %s%s, seed %d: %d faults (%s), %d requests of which %d had no clear answer, %d sessions, %d events, %d arrivals, %d erasures: %d violations\n",
		p.top.name, bug, seed, total, strings.Trim(b.String(), " ,"), r.calls, len(h.journal.lost), len(r.ledger.Sessions), len(r.ledger.Events), len(r.ledger.Arrivals), len(r.ledger.Erasures), len(r.violations))
}

// settle waits until everything has ended and everybody has been told, or for as
// long as that may take: a dead worker's lease, and a second attempt.
func (h *house) settle(limit time.Duration) {
	if limit == 0 {
		limit = maxTime + 60*time.Second
	}
	deadline := time.Now().Add(limit)
	quiet := 0
	for quiet < 2 && time.Now().Before(deadline) {
		time.Sleep(250 * time.Millisecond) // a poll
		if h.untold() == 0 && h.pending(hookAll) == 0 && h.pending(hookSome) == 0 {
			quiet++
		} else {
			quiet = 0
		}
	}
}

// untold is how many sessions that began have not been told of.
func (h *house) untold() int {
	served := h.journal.told()
	h.journal.mu.Lock()
	defer h.journal.mu.Unlock()
	n := 0
	for _, s := range h.journal.sessions {
		// What is left of the forgotten has no name.
		if s.Certain && !served[[2]string{hookAll, s.ID}] && !strings.HasSuffix(s.ID, forgottenSuffix) {
			n++
		}
	}
	return n
}

// shown is a delivery as the management API shows it.
type shown struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Webhook  string `json:"webhook"`
	Session  string `json:"session"`
	Attempts []struct {
		Status int `json:"status"`
	} `json:"attempts"`
}

type shownPage struct {
	Items []shown `json:"items"`
	Next  string  `json:"next"`
}

// pending is how many deliveries of a webhook wait, 1 standing for any number;
// -1 where nobody answers.
func (h *house) pending(webhook string) int {
	page, err := h.page("/v1/session-webhooks/" + webhook + "/deliveries?state=pending&limit=1")
	if err != nil {
		return -1
	}
	if page.Next != "" {
		return 1
	}
	return len(page.Items)
}

func (h *house) page(path string) (page shownPage, err error) {
	r, err := h.client.platform(http.MethodGet, path)
	if err == nil && r.status != http.StatusOK {
		err = fmt.Errorf("%s answers %d", path, r.status)
	}
	if err != nil {
		return page, err
	}
	return page, json.Unmarshal(r.body, &page)
}

// attempts are all that the program shows of its deliveries, by session.
func (h *house) attempts() (all []shown) {
	for _, webhook := range []string{hookAll, hookSome} {
		for next := ""; ; {
			path := "/v1/session-webhooks/" + webhook + "/deliveries?limit=100"
			if next != "" {
				path += "&after=" + next
			}
			page, err := h.page(path)
			if err != nil {
				h.journal.fail("the deliveries are not shown: %v", err)
				break
			}
			all = append(all, page.Items...)
			if next = page.Next; next == "" {
				break
			}
		}
	}
	return all
}

// readLogs looks for what a program must never log.
func (h *house) readLogs() {
	for _, n := range h.nodes {
		said, err := os.ReadFile(n.logFile())
		if err != nil {
			h.journal.fail("%v", err)
			continue
		}
		for line := range strings.Lines(string(said)) {
			for _, word := range []string{"panic", "DATA RACE", "fatal error"} {
				if strings.Contains(line, word) {
					h.journal.fail("%s logs: %.300s", n.name, line)
				}
			}
		}
	}
}

// judge fails the test where a round broke a promise.
func judge(t *testing.T, r result) {
	t.Helper()
	for i, v := range r.violations {
		if i == 20 {
			t.Errorf("and %d more", len(r.violations)-i)
			break
		}
		t.Error(v)
	}
	if len(r.faults) == 0 || len(r.ledger.Arrivals) == 0 {
		t.Errorf("nothing happened: faults %v, %d arrivals", r.faults, len(r.ledger.Arrivals))
	}
}

// topologies are the stores that a round is run over.
func topologies() []topology { return []topology{bolt(), single(3), sentinel(2), cluster(3)} }

// TestRound is whole journeys over each store.
func TestRound(t *testing.T) {
	t.Parallel()
	n := seed(t)
	for _, top := range topologies() {
		t.Run(top.name, func(t *testing.T) {
			t.Parallel() // they wait most of the time
			judge(t, run(t, plan{top: top, load: loadTime(t, 70*time.Second), visitors: 80}, n))
		})
	}
}
