package bridge

import (
	"context"
	"sync"
	"time"
)

// sequence lets one holder of a key through at a time. A key that nobody holds
// or waits for takes no room.
type sequence struct {
	mu    sync.Mutex
	turns map[string]*turn
}

// turn is a key that somebody cares about: free has one value while nobody
// holds it, and users counts the holder and those who wait.
type turn struct {
	free  chan struct{}
	users int
}

// enter waits at most so long for the key. The answer gives it back and must be
// called once. KindConcurrent when the wait was in vain.
func (s *sequence) enter(ctx context.Context, key string, wait time.Duration) (leave func(), err error) {
	t := s.join(key)
	leave = func() { t.free <- struct{}{}; s.part(key, t) }
	select {
	case <-t.free: // before the clock is looked at, so that a free key is always had
		return leave, nil
	default:
	}
	patience := time.NewTimer(wait)
	defer patience.Stop()
	select {
	case <-t.free:
		return leave, nil
	case <-patience.C:
		err = Fail(KindConcurrent).After(time.Second)
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.part(key, t)
	return nil, err
}

func (s *sequence) join(key string) *turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.turns[key]
	if t == nil {
		if s.turns == nil {
			s.turns = make(map[string]*turn)
		}
		t = &turn{free: make(chan struct{}, 1)}
		t.free <- struct{}{}
		s.turns[key] = t
	}
	t.users++
	return t
}

func (s *sequence) part(key string, t *turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(s.turns, key)
	}
}

// size is how many keys somebody cares about.
func (s *sequence) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.turns)
}
