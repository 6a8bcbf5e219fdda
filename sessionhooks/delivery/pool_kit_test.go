package delivery_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// town is a store of many partitions with a tenant in each, and nodes with pools.
type town struct {
	*house
	layout store.Layout
	places []store.Place
	nodes  map[string]*poolNode
}

// poolNode is a node: its pool, and what it has sent.
type poolNode struct {
	receiver
	pool *delivery.Pool
	eng  *faulty
	stop func()
	// skip is how far its monotonic clock is ahead of the others'.
	mu   sync.Mutex
	skip time.Duration
}

func newTown(t *testing.T, partitions int) *town {
	t.Helper()
	bolt, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "store.db"), Now: time.Now, Partitions: partitions})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bolt.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &town{layout: bolt.Layout(), nodes: map[string]*poolNode{}, places: make([]store.Place, partitions)}
	w.house = &house{T: t, bolt: bolt, eng: &faulty{Engine: bolt}, queue: delivery.NewQueue(bolt, nil),
		log: sessionhooks.NewLog(bolt, nil, time.Hour), logs: &lines{}}
	for i, missing := 0, partitions; missing > 0; i++ {
		at := w.layout.Place(fmt.Sprintf("t%d", i))
		if w.places[at.Partition].Tenant == "" {
			w.places[at.Partition] = at
			missing--
		}
	}
	return w
}

// start runs a pool for a node until the test ends or its stop is called.
func (w *town) start(name string, with ...func(*delivery.Options)) *poolNode {
	w.Helper()
	n := &poolNode{eng: &faulty{Engine: w.bolt}}
	began := time.Now()
	o := delivery.Options{
		Engine: n.eng, Queue: delivery.NewQueue(n.eng, nil), Node: name, Log: w.logger(), Senders: map[string]delivery.Sender{"test": n.send},
		Monotonic: func() time.Duration {
			n.mu.Lock()
			defer n.mu.Unlock()
			return time.Since(began) + n.skip
		},
	}
	for _, f := range with {
		f(&o)
	}
	var err error
	if n.pool, err = delivery.NewPool(o, w.layout); err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if err := n.pool.Run(ctx); err != nil {
			w.Errorf("pool: %v", err)
		}
	})
	n.stop = sync.OnceFunc(func() { cancel(); group.Wait() })
	w.Cleanup(n.stop)
	w.nodes[name] = n
	return n
}

// everywhere enqueues so many jobs in each partition, with their events.
func (w *town) everywhere(n int) {
	w.Helper()
	for _, at := range w.places {
		w.at = at
		for range n {
			w.enqueue("crm")
		}
	}
}

// sent is how many arrivals each node has made since the last call, and their sum.
func (w *town) sent() (by map[string]int, sum int) {
	by = map[string]int{}
	for name, n := range w.nodes {
		n.receiver.mu.Lock()
		by[name] = len(n.calls)
		n.calls = nil
		n.receiver.mu.Unlock()
		sum += by[name]
	}
	return by, sum
}

// kill makes a node die: it reaches the store no more, and what it had stands.
func (n *poolNode) kill() {
	dead := func() error { return errDisk }
	n.eng.set(func(f *faulty) {
		f.refuse = func([]store.Op) error { return dead() }
		f.scan, f.read = dead, func(store.Position) error { return dead() }
	})
}
