//go:build faults

package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/oracle"
)

// TestRollingRestart replaces three nodes one after another while users sign in:
// none of them notices.
func TestRollingRestart(t *testing.T) {
	n := seed(t)
	h := open(t, single(3), nil, n)
	h.receiver.calm()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var users sync.WaitGroup
	var logins, failed atomic.Int64
	for u := range 16 {
		users.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				user := fmt.Sprintf("%s-%d-%d", h.load.prefix, u, i)
				if err := h.oneLogin(user); err != nil {
					failed.Add(1)
					t.Errorf("%s of %s: %v", time.Now().UTC().Format("15:04:05.000"), user, err)
				}
				logins.Add(1)
				pause(ctx, 20*time.Millisecond)
			}
		})
	}
	more := func(n int64) { // so many logins later
		for goal, deadline := logins.Load()+n, time.Now().Add(patience); logins.Load() < goal && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond) // a poll
		}
	}
	for _, one := range h.nodes {
		more(100)
		if err := one.terminate(); err != nil {
			t.Error(err)
		}
		more(100)
		if err := one.start(); err != nil {
			t.Error(err)
		}
		fmt.Printf("rolling restart: %s was replaced after %d logins\n", one.name, logins.Load())
	}
	more(100)
	cancel()
	users.Wait()
	h.settle(patience)
	h.readLogs()
	told := h.journal.told()
	for _, s := range h.journal.sessions {
		if !told[[2]string{hookAll, s.ID}] {
			t.Errorf("the end of %s was not delivered", s.ID)
		}
	}
	for _, wrong := range h.journal.wrong {
		t.Error(wrong)
	}
	fmt.Printf("rolling restart, seed %d: %d logins, %d failed\n", n, logins.Load(), failed.Load())
}

// oneLogin is a whole journey, from which nothing may be missing.
func (h *house) oneLogin(user string) error {
	b := h.client.newBrowser()
	back, g, _, err := b.authorize(user, nil)
	if err != nil {
		return fmt.Errorf("authorize: %w", err)
	}
	began := time.Now()
	if g.code, err = b.callback(back); err != nil {
		return fmt.Errorf("callback: %w", err)
	}
	h.journal.lived(oracle.Session{ID: user, Certain: true, Began: oracle.Span{From: began, To: time.Now()}})
	got, err := h.client.redeem(g)
	if err != nil {
		return fmt.Errorf("redeem: %w", err)
	}
	if got, err = h.client.refresh(got.Refresh); err != nil {
		return fmt.Errorf("refresh: %w", err)
	}
	if status, err := h.client.userinfo(got.Access); err != nil || status != 200 {
		return fmt.Errorf("userinfo answers %d: %w", status, err)
	}
	if gone, status, err := b.signOut(got.ID); err != nil || !gone {
		return fmt.Errorf("the sign-out answers %d: %w", status, err)
	}
	return nil
}

// TestShortRound is a round for every day: one node over a file, and two over
// one Redis.
func TestShortRound(t *testing.T) {
	n := seed(t)
	early := nodeStrikes(2)[0]
	early.weight = 0
	beside := append(only(nodeStrikes(2), "terminate", "stop for a moment"), early)
	for _, p := range []plan{
		{top: bolt(), load: loadTime(t, 14*time.Second), visitors: 40},
		{top: single(2), load: loadTime(t, 16*time.Second), visitors: 40, strikes: beside},
	} {
		t.Run(p.top.name, func(t *testing.T) {
			t.Parallel() // they wait most of the time
			judge(t, run(t, p, n))
		})
	}
}

// TestFlushAll empties the store under the nodes: that must be loud, and nothing
// may be begun anew as if it were nothing.
func TestFlushAll(t *testing.T) {
	n := seed(t)
	h := open(t, single(2), nil, n)
	server := h.stage.redis.servers()[0]
	for i := range 20 {
		if err := h.oneLogin(fmt.Sprintf("%s-%d", h.load.prefix, i)); err != nil {
			t.Fatal(err)
		}
	}
	server.Do(t, "FLUSHALL")
	for _, one := range h.nodes {
		for deadline := time.Now().Add(patience); one.ready(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s is ready %v after its store was emptied", one.name, patience)
			}
		}
		if !one.running() {
			t.Errorf("%s ended", one.name)
		}
	}
	h.public.always()
	for i := range 4 {
		if err := h.oneLogin(fmt.Sprintf("%s-late-%d", h.load.prefix, i)); err == nil {
			t.Error("a login went well on a store that is lost")
		}
	}
	if kept := server.Do(t, "DBSIZE"); kept != int64(0) {
		t.Errorf("%v keys were made in the empty store: %v", kept, server.Do(t, "KEYS", "*"))
	}
	for _, one := range h.nodes {
		if !slices.ContainsFunc(h.said(one), func(line string) bool {
			return strings.Contains(line, "log_lost") || strings.Contains(line, "lost its log")
		}) {
			t.Errorf("%s does not say that its store has lost its log", one.name)
		}
		if !strings.Contains(h.metrics(one), "log_lost") && !strings.Contains(h.metrics(one), "store_lost") {
			t.Errorf("the metrics of %s do not tell", one.name)
		}
	}
}
