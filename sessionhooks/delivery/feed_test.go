package delivery_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// counted is an engine that counts what is read.
type counted struct {
	store.Engine
	gets, logs atomic.Int32
}

func (c *counted) Get(ctx context.Context, k store.Key) (store.Record, error) {
	c.gets.Add(1)
	return c.Engine.Get(ctx, k)
}

func (c *counted) ReadLog(ctx context.Context, p store.Partition, after store.Position, n int, wait time.Duration) ([]store.Entry, error) {
	c.logs.Add(1)
	return c.Engine.ReadLog(ctx, p, after, n, wait)
}

// Streams that have nothing to do cost nothing each, and neither does an event
// that they do not want.
func TestManyIdleStreamsCostLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 300
		h := newHouse(t)
		eng := &counted{Engine: h.bolt}
		h.eng.Engine = eng
		k := &sink{T: t}
		var streams []*delivery.Stream
		for i := range many {
			s := h.stream(&sink{T: t}, func(o *delivery.StreamOptions) { o.Name = fmt.Sprintf("s%d", i) })
			if i == many/2 {
				s = h.stream(k)
			}
			if i == many/3 {
				h.do(s.Stop(context.Background(), "manual"))
			}
			streams = append(streams, s)
		}
		h.happen("X", 10)
		h.drive("n1", streams...)
		time.Sleep(3 * time.Minute) // each has its cursor written
		eng.gets.Store(0)
		eng.logs.Store(0)
		h.happen("X", 5)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if gets, logs := eng.gets.Load(), eng.logs.Load(); gets > 20+many || logs > 20 {
			t.Errorf("%d records and %d stretches of the log were read in twenty seconds", gets, logs)
		}
		began := time.Now()
		h.happen(wanted, 1)
		time.Sleep(soon)
		synctest.Wait()
		if k.count() != 1 || time.Since(began) > time.Second {
			t.Errorf("%d arrivals", k.count())
		}
	})
}
