package delivery

import (
	"context"
	"errors"
	"sync"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// driven is a stream that runs, and how to end it.
type driven struct {
	stream *Stream
	end    context.CancelFunc
	ended  chan struct{}
}

// drive runs the streams there are, as they come and go, while live lasts.
func (w *Worker) drive(live, held context.Context, t *tenure) {
	var group sync.WaitGroup
	defer group.Wait()
	following := newFeed(w.o.Engine, w.o.Partition)
	group.Go(func() { following.run(live, w.o.Engine) })
	running := map[string]driven{}
	var changes store.Version
	for live.Err() == nil {
		wanted := w.streams()
		if now, ok := w.changes(live); ok && now != changes {
			changes = now
			for _, d := range running {
				d.stream.ring()
			}
		}
		for name, d := range running {
			if d.stream == wanted[name] {
				continue
			}
			// One that takes this one's place waits for its last attempt.
			d.end()
			select {
			case <-d.ended:
				delete(running, name)
			default:
			}
		}
		for name, s := range wanted {
			if _, runs := running[name]; runs {
				continue
			}
			its, end := context.WithCancel(live)
			d := driven{stream: s, end: end, ended: make(chan struct{})}
			running[name] = d
			group.Go(func() {
				defer close(d.ended)
				defer end()
				(&drive{Stream: s, w: w, tenure: t, feed: following}).run(its, held)
			})
		}
		rest(live, idleWait)
	}
}

// changes is the version of the mark that is left when a cursor is changed, on
// whatever node. It is one read for all streams.
func (w *Worker) changes(ctx context.Context) (store.Version, bool) {
	row, err := cursorTable(w.o.Engine).Get(ctx, store.Place{Partition: w.o.Partition}, changedID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, false
	}
	return row.Version, true
}

// streams are those that there are now, by the name of their record.
func (w *Worker) streams() map[string]*Stream {
	all := map[string]*Stream{}
	for _, s := range w.o.Streams() {
		if s.o.Place.Partition == w.o.Partition {
			all[s.o.Place.Tenant+"/"+s.o.Name] = s
		}
	}
	return all
}
