package store

import (
	"bytes"
	"sync"
)

// memo remembers what the newest values of a table decode to, so that a record
// which is read again soon is not unsealed and decoded again. It is asked with
// the bytes that the engine holds now: whatever wrote them, equal bytes are an
// equal value, so nothing in it can be stale. A nil memo remembers nothing.
type memo[T any] struct {
	mu    sync.Mutex
	known map[Key]known[T]
	// order holds the keys as they came; the oldest makes room for the newest.
	order []Key
	next  int
}

type known[T any] struct {
	raw []byte
	v   T
}

func newMemo[T any](size int) *memo[T] {
	if size <= 0 {
		return nil
	}
	return &memo[T]{known: make(map[Key]known[T], size), order: make([]Key, 0, size)}
}

func (m *memo[T]) get(k Key, raw []byte) (v T, ok bool) {
	if m == nil {
		return v, false
	}
	m.mu.Lock()
	found, ok := m.known[k]
	m.mu.Unlock()
	if !ok || !bytes.Equal(found.raw, raw) {
		return v, false
	}
	return found.v, true
}

func (m *memo[T]) put(k Key, raw []byte, v T) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, here := m.known[k]; !here {
		m.room(k)
	}
	m.known[k] = known[T]{raw: raw, v: v}
}

// room gives k a place in the order, in the stead of the oldest key.
func (m *memo[T]) room(k Key) {
	if len(m.order) < cap(m.order) {
		m.order = append(m.order, k)
		return
	}
	delete(m.known, m.order[m.next])
	m.order[m.next] = k
	m.next = (m.next + 1) % len(m.order)
}
