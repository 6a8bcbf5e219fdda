package limit

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	// FlushMost is how many counters the store is told of at once.
	FlushMost = 1000
	// flushCommit is how many of them share a commit.
	flushCommit = 200
	// flushEvery is how often that is, patience how long one time may take.
	flushEvery = time.Second
	patience   = 5 * time.Second
	// slack is how much longer than its window a record is kept: the clocks of
	// nodes and of the store differ.
	slack = 10 * time.Second
	// longest is the length of a name that is kept as it is.
	longest = 64
)

// told is a counter in the store: what each node has counted.
type told struct {
	Nodes map[string]int `json:"nodes"`
}

func table(eng store.Engine) *store.Table[told] {
	return store.NewTable[told](eng, store.TableOptions{Kind: "limit", Schema: 1})
}

// Run tells the store and learns from it, until ctx ends.
func (l *Limiter) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		once, cancel := context.WithTimeout(ctx, patience)
		err := l.Flush(once)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !failing:
			l.o.Log.WarnContext(ctx, "limits are counted by this node alone", "error", err)
		case err == nil && failing:
			l.o.Log.InfoContext(ctx, "limits are counted together again")
		}
		failing = err != nil
	}
}

// Flush tells the store of what came near its limit since the last time, and
// learns what other nodes told of the same. What could not be told is told the
// next time.
func (l *Limiter) Flush(ctx context.Context) error {
	var failed error
	for at, news := range l.news() {
		for some := range slices.Chunk(news, flushCommit) {
			if err := l.tell(ctx, at, some); err != nil {
				failed = errors.Join(failed, err)
				l.again(some)
			}
		}
	}
	return failed
}

// news is what a flush has to tell of a counter, and what it learns.
type news struct {
	key       key
	ends      int64
	here      int
	elsewhere int
}

// id is the name of the counter's record. Those that end together stand together.
func (n news) id() string {
	sum := sha256.Sum256([]byte(n.key.what + "\x00" + n.key.per.String() + "\x00" + n.key.who))
	return store.DueID(time.Unix(0, n.ends), base64.RawURLEncoding.EncodeToString(sum[:16]))
}

// news takes what is hot, by the place where it is kept.
func (l *Limiter) news() map[store.Place][]news {
	now := l.o.Now().UnixNano()
	l.mu.Lock()
	defer l.mu.Unlock()
	all, n := map[store.Place][]news{}, 0
	for k := range l.hot {
		if n == FlushMost {
			break
		}
		delete(l.hot, k)
		if c := l.counters[k]; c.ends > now {
			all[k.at] = append(all[k.at], news{key: k, ends: c.ends, here: c.here})
			n++
		}
	}
	return all
}

// again puts back what could not be told.
func (l *Limiter) again(some []news) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range some {
		if c := l.counters[n.key]; c != nil && c.ends == n.ends {
			l.hot[n.key] = struct{}{}
		}
	}
}

// tell makes one commit, and keeps what the others have counted.
func (l *Limiter) tell(ctx context.Context, at store.Place, some []news) error {
	keys := make([]store.Key, len(some))
	for i, n := range some {
		keys[i] = l.table.Key(at, n.id())
	}
	_, err := store.Update(ctx, l.o.Engine, func(ctx context.Context) ([]store.Op, error) {
		recs, err := l.o.Engine.GetAll(ctx, keys...)
		if err != nil {
			return nil, err
		}
		ops := make([]store.Op, len(some))
		for i, rec := range recs {
			if ops[i], err = l.write(at, &some[i], rec); err != nil {
				return nil, err
			}
		}
		return ops, nil
	})
	if err != nil && !errors.Is(err, store.ErrUnsafe) { // which is kept, and nothing depends on it
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range some {
		if c := l.counters[n.key]; c != nil && c.ends == n.ends {
			c.elsewhere = n.elsewhere
		}
	}
	return nil
}

// write puts this node's number beside those of the others, and adds these up.
func (l *Limiter) write(at store.Place, n *news, rec store.Record) (store.Op, error) {
	expires := time.Unix(0, n.ends).Add(slack)
	row, err := l.table.Row(rec)
	if errors.Is(err, store.ErrNotFound) {
		n.elsewhere = 0
		return l.table.Create(at, n.id(), told{Nodes: map[string]int{l.node: n.here}}, expires), nil
	}
	if err != nil {
		return store.Op{}, err
	}
	n.elsewhere = 0
	nodes := map[string]int{l.node: n.here}
	for node, count := range row.Value.Nodes {
		if node != l.node {
			nodes[node] = count
			n.elsewhere += count
		}
	}
	return l.table.Replace(at, n.id(), told{Nodes: nodes}, row.Version, expires), nil
}

// bounded is a name that takes little room.
func bounded(who string) string {
	if len(who) <= longest {
		return who
	}
	sum := sha256.Sum256([]byte(who))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
