package notice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/person"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

const issuer = "https://idp.example"

// house is receivers over one real store, with an upstream that tests script:
// what a token says is the token itself, `sub sid jti`.
type house struct {
	t     testing.TB
	eng   store.Engine
	org   federation.Tenant
	layer store.Layout
	slow  <-chan struct{} // what tokens of "slow" wait for
	sess  *session.Manager
	pers  *person.Manager

	mu      sync.Mutex
	ahead   time.Duration
	down    error
	none    bool
	reads   int
	results map[Result]int
	log     bytes.Buffer
}

func open(t testing.TB, partitions int) *house {
	t.Helper()
	h := &house{t: t, results: map[Result]int{}}
	eng, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "store.db"), Now: h.now, Partitions: partitions})
	must(t, err)
	t.Cleanup(func() { must(t, eng.Close()) })
	h.eng, h.layer = eng, store.Layout{Partitions: partitions}
	h.org = federation.Tenant{ID: "default", Issuer: "https://login.example", Place: h.layer.Place("default")}
	if partitions > 1 {
		h.org.Spread = h.layer
	}
	h.sess, err = session.New(session.Options{Engine: eng, Layout: h.layer, Policy: func(federation.Tenant) session.Policy {
		return session.Policy{Idle: 48 * time.Hour, Max: 72 * time.Hour}
	}})
	must(t, err)
	h.pers, err = person.New(person.Options{Engine: eng, Layout: h.layer, EndSessions: func(context.Context, federation.Tenant, string, federation.Cause, federation.Request) error {
		return nil
	}})
	must(t, err)
	return h
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(h.ahead)
}

func (h *house) advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ahead += d
}

// set changes the world.
func (h *house) set(down error, none bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down, h.none = down, none
}

// Write is the log.
func (h *house) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.Write(p)
}

func (h *house) read(ctx context.Context, token string, received time.Time) (federation.LogoutNotice, error) {
	if h.slow != nil && strings.HasPrefix(token, "slow ") {
		select {
		case <-h.slow:
		case <-ctx.Done():
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reads++
	if h.down != nil {
		return federation.LogoutNotice{}, h.down
	}
	part := strings.Split(token, " ")
	if len(part) != 3 {
		return federation.LogoutNotice{}, federation.Fail(federation.InvalidRequest, "no")
	}
	return federation.LogoutNotice{Upstream: "corp", Issuer: issuer, Subject: part[0], SID: part[1], ID: part[2], Issued: received}, nil
}

func (h *house) upstream() federation.Upstream {
	return federation.Upstream{ID: "corp", Tenant: "default", Issuer: issuer, ReadLogout: h.read}
}

func (h *house) registry() *federation.Registry {
	var all []federation.Upstream
	h.mu.Lock()
	if !h.none {
		all = append(all, h.upstream())
	}
	h.mu.Unlock()
	r, err := federation.NewRegistry([]federation.Tenant{h.org}, all, nil)
	must(h.t, err)
	return r
}

// node is one receiver.
func (h *house) node(sealer *store.Sealer) *Receiver {
	h.t.Helper()
	r, err := New(Options{
		Engine: h.eng, Layout: h.layer, Sealer: sealer, Registry: h.registry, Persons: h.pers, Sessions: h.sess, Log: slog.New(slog.NewTextHandler(h, nil)), Now: h.now,
		Observe: func(_ string, _ Channel, r Result) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.results[r]++
		},
	})
	must(h.t, err)
	return r
}

// begin signs somebody in, with a session of the upstream's or without.
func (h *house) begin(subject, sid string) string {
	h.t.Helper()
	l := federation.Login{Upstream: "corp", Issuer: issuer, Subject: subject, SID: sid, Issued: h.now().Add(-time.Second)}
	known, err := h.pers.Resolve(h.t.Context(), h.org, l)
	must(h.t, err)
	id := h.sess.NewID().For(h.org, known.Person.ID)
	_, err = store.Update(h.t.Context(), h.eng, func(ctx context.Context) ([]store.Op, error) {
		p, ops, err := h.pers.PlanSignIn(ctx, h.org, h.upstream(), known, l, federation.Request{})
		if err != nil {
			return nil, err
		}
		_, more, err := h.sess.PlanBegin(ctx, h.org, session.Begin{ID: id, Person: p, Login: l})
		return append(ops, more...), err
	})
	must(h.t, err)
	return id.Session
}

func (h *house) live(sid string) bool {
	h.t.Helper()
	_, err := h.sess.Live(h.t.Context(), h.org, sid)
	if err != nil && !errors.Is(err, session.ErrNotFound) {
		h.t.Fatal(err)
	}
	return err == nil
}

func (h *house) said(text string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Contains(h.log.String(), text)
}

// keeps is how many tokens are kept.
func (h *house) keeps() int {
	h.t.Helper()
	n := 0
	for p := range h.layer.Partitions {
		recs, err := h.eng.Scan(h.t.Context(), store.Range{Partition: store.Partition(p), Kind: "notice.kept", Limit: 2 * most})
		must(h.t, err)
		n += len(recs)
	}
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func code(err error) federation.Code {
	if e, ok := errors.AsType[*federation.Error](err); ok {
		return e.Code
	}
	return ""
}

func away() error {
	return federation.Fail(federation.TemporarilyUnavailable, "away").Because(errors.New("no keys"))
}

func (h *house) tell(r *Receiver, token string) error {
	return r.Token(h.t.Context(), h.org, h.upstream(), token, federation.Request{ID: "r1"})
}

func TestWhatIsKeptIsCarriedOut(t *testing.T) {
	for _, partitions := range []int{1, 8} {
		t.Run(fmt.Sprint(partitions), func(t *testing.T) {
			h := open(t, partitions)
			r := h.node(nil)
			one, all := h.begin("ada", "s1"), h.begin("bob", "")
			h.set(away(), false)
			for _, token := range []string{"ada s1 j1", "bob  j2", "ada s1 j1", "forged"} {
				if err := h.tell(r, token); code(err) != federation.TemporarilyUnavailable {
					t.Fatalf("%v", err)
				}
			}
			if h.keeps() != 3 || !h.live(one) || !h.live(all) {
				t.Fatalf("%d are kept", h.keeps())
			}
			must(t, r.Again(t.Context())) // nothing is due yet
			h.advance(every)
			if err := r.Again(t.Context()); err == nil || h.keeps() != 3 {
				t.Fatalf("%v, %d are kept", err, h.keeps())
			}
			h.set(nil, false)
			must(t, r.Again(t.Context())) // nor again
			if h.keeps() != 3 {
				t.Error("tried again at once")
			}
			h.advance(slowest)
			must(t, r.Again(t.Context()))
			if h.keeps() != 0 || h.live(one) || h.live(all) || h.results[Ended] != 2 || h.results[Refused] != 1 || h.results[Kept] != 4 {
				t.Errorf("%d are kept; %v", h.keeps(), h.results)
			}
			must(t, h.tell(r, "ada s1 j1"))
			if h.results[Repeated] != 1 || !h.said("request_id=r1") || h.said("ada s1") {
				t.Errorf("%v", h.results)
			}
		})
	}
}

// TestWhatIsKeptComesToAnEnd after a day, or with its upstream.
func TestWhatIsKeptComesToAnEnd(t *testing.T) {
	for name, end := range map[string]func(h *house) Result{
		"a day":       func(h *house) Result { h.advance(keepFor); return GivenUp },
		"no upstream": func(h *house) Result { h.set(nil, true); h.advance(every); return Refused },
		"not to be taken": func(h *house) Result {
			h.set(federation.Fail(federation.InvalidRequest, "no"), false)
			h.advance(every)
			return Refused
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, 1)
			r := h.node(nil)
			sid := h.begin("ada", "s1")
			h.set(away(), false)
			if err := h.tell(r, "ada s1 j1"); err == nil {
				t.Fatal("it was carried out")
			}
			want := end(h)
			must(t, r.Again(t.Context()))
			if h.keeps() != 0 || h.results[want] != 1 || !h.live(sid) {
				t.Errorf("%d are kept; %v", h.keeps(), h.results)
			}
		})
	}
}

// TestOnlySoManyAreKept, whoever made them.
func TestOnlySoManyAreKept(t *testing.T) {
	h := open(t, 1)
	r := h.node(nil)
	own := h.org.Place.Own()
	for n := 0; n < most; n += 200 {
		var ops []store.Op
		for i := range 200 {
			ops = append(ops, r.kept.Create(own, fmt.Sprintf("default/corp/%d", n+i), kept{Tenant: "default", Upstream: "corp"}, time.Time{}))
		}
		_, err := h.eng.Commit(t.Context(), ops...)
		must(t, err)
	}
	h.set(away(), false)
	scans := &counting{Engine: h.eng}
	r.kept = store.NewTable[kept](scans, store.TableOptions{Kind: "notice.kept", Schema: 1})
	if err := h.tell(r, "ada s1 j1"); code(err) != federation.TemporarilyUnavailable || h.keeps() != most || h.results[Failed] != 1 || !h.said("level=ERROR") {
		t.Errorf("%v; %d are kept; %v", err, h.keeps(), h.results)
	}
	for i := range 50 {
		if err := h.tell(r, fmt.Sprintf("eve s1 j%d", i)); code(err) != federation.TemporarilyUnavailable {
			t.Fatal(err)
		}
	}
	if n := scans.n.Load(); n != 1 {
		t.Errorf("strangers had all that is kept read %d times", n)
	}
	_, err := h.eng.Commit(t.Context(), r.kept.Drop(own, "default/corp/7"))
	must(t, err)
	h.advance(every)
	if err := h.tell(r, "ada s1 j1"); err == nil || h.keeps() != most || h.results[Kept] != 1 {
		t.Errorf("%v; %d are kept", err, h.keeps())
	}
}

// counting counts what is scanned.
type counting struct {
	store.Engine
	n atomic.Int64
}

func (c *counting) Scan(ctx context.Context, r store.Range) ([]store.Record, error) {
	c.n.Add(1)
	return c.Engine.Scan(ctx, r)
}

// TestWhatIsSlowKeepsNothingElseFromItsEnd: tokens whose keys are waited for, as
// strangers can make them, stand before one that can be carried out.
func TestWhatIsSlowKeepsNothingElseFromItsEnd(t *testing.T) {
	h := open(t, 1)
	r := h.node(nil)
	sid := h.begin("ada", "s1")
	last := digest("ada s1 j1")
	h.set(away(), false)
	if err := h.tell(r, "ada s1 j1"); err == nil {
		t.Fatal("it was carried out")
	}
	for i, n := 0, 0; n < abreast/2; i++ {
		token := fmt.Sprintf("slow s1 j%d", i)
		if digest(token) > last {
			continue
		}
		if err := h.tell(r, token); err == nil {
			t.Fatal("it was carried out")
		}
		n++
	}
	h.set(nil, false)
	h.advance(every)
	ctx, cancel := context.WithCancel(t.Context())
	h.slow = ctx.Done()
	done := make(chan error)
	go func() { done <- r.Again(t.Context()) }()
	for began := time.Now(); h.live(sid) && time.Since(began) < patience/2; {
		time.Sleep(10 * time.Millisecond)
	}
	if h.live(sid) {
		t.Error("it waits behind what is slow")
	}
	cancel()
	must(t, <-done)
}

// TestOneNodeTriesAtATime what is kept, and another goes on when it dies.
func TestOneNodeTriesAtATime(t *testing.T) {
	h := open(t, 1)
	nodes := []*Receiver{h.node(nil), h.node(nil), h.node(nil)}
	sid := h.begin("ada", "s1")
	h.set(away(), false)
	if err := h.tell(nodes[0], "ada s1 j1"); err == nil {
		t.Fatal("it was carried out")
	}
	h.set(nil, false)
	h.advance(every)
	before := h.reads
	var all sync.WaitGroup
	for _, r := range nodes {
		for range 5 {
			all.Go(func() {
				if err := r.Again(t.Context()); err != nil {
					t.Errorf("%v", err)
				}
			})
		}
	}
	all.Wait()
	if h.reads-before != 1 || h.live(sid) || h.keeps() != 0 {
		t.Errorf("%d tries, %d are kept", h.reads-before, h.keeps())
	}

	sid = h.begin("ada", "s2")
	h.set(away(), false)
	if err := h.tell(nodes[0], "ada s2 j2"); err == nil {
		t.Fatal("it was carried out")
	}
	h.set(nil, false)
	h.advance(every)
	rows, err := nodes[0].kept.Scan(t.Context(), h.org.Place.Own(), "", "", 10)
	must(t, err)
	k := rows[0].Value
	k.Next = h.now().Add(claimed) // and then the node died
	_, err = h.eng.Commit(t.Context(), nodes[0].kept.Replace(rows[0].Place, rows[0].ID, k, rows[0].Version, time.Time{}))
	must(t, err)
	must(t, nodes[1].Again(t.Context()))
	if !h.live(sid) {
		t.Error("two nodes at one token")
	}
	h.advance(claimed)
	must(t, nodes[1].Again(t.Context()))
	if h.live(sid) || h.keeps() != 0 {
		t.Error("nobody went on")
	}
}

func TestKeptTokensAreSealed(t *testing.T) {
	h := open(t, 1)
	sealer, err := store.NewSealer([]store.SealingKey{{ID: "k1", Key: bytes.Repeat([]byte{7}, 32)}})
	must(t, err)
	r := h.node(sealer)
	h.set(away(), false)
	if err := h.tell(r, "ada s1 secret-jti"); err == nil {
		t.Fatal("it was carried out")
	}
	recs, err := h.eng.Scan(t.Context(), store.Range{Kind: "notice.kept", Limit: 10})
	must(t, err)
	if len(recs) != 1 || bytes.Contains(recs[0].Value, []byte("secret-jti")) || strings.Contains(recs[0].Key.ID, "ada") {
		t.Errorf("%d records, in the clear", len(recs))
	}
}

// TestTheSameAtOnce is carried out, whoever is first; of two tokens with one jti
// the second is refused.
func TestTheSameAtOnce(t *testing.T) {
	h := open(t, 1)
	r := h.node(nil)
	sid := h.begin("ada", "s1")
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := h.tell(r, "ada s1 j1"); err != nil {
				t.Errorf("%v", err)
			}
		})
	}
	all.Wait()
	if h.live(sid) || h.results[Ended] < 1 {
		t.Errorf("%v", h.results)
	}
	other := h.begin("bob", "s2")
	if err := h.tell(r, "bob s2 j1"); code(err) != federation.InvalidRequest || !h.live(other) {
		t.Errorf("%v", err)
	}
	h.advance(remembered)
	must(t, h.tell(r, "bob s2 j1"))
}

// TestWhoHangsUp does not keep the logout from being carried out.
func TestWhoHangsUp(t *testing.T) {
	h := open(t, 8)
	r := h.node(nil)
	sid := h.begin("ada", "s1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, r.Token(ctx, h.org, h.upstream(), "ada s1 j1", federation.Request{}))
	if h.live(sid) {
		t.Error("the session lives on")
	}
	sid = h.begin("ada", "s2")
	must(t, r.Frame(ctx, h.org, h.upstream(), "s2", federation.Request{}))
	if h.live(sid) {
		t.Error("the session lives on")
	}
}

func TestRunComesToAnEnd(t *testing.T) {
	h := open(t, 4)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, h.node(nil).Run(ctx))
}

func TestAReceiverIsWhole(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("a receiver of nothing")
	}
}
