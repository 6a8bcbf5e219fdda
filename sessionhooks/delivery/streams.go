package delivery

import (
	"context"
	"sync"
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
	running := map[string]driven{}
	for live.Err() == nil {
		wanted := w.streams()
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
				(&drive{Stream: s, w: w, tenure: t}).run(its, held)
			})
		}
		rest(live, idleWait)
	}
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
