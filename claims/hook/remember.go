package hook

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
)

// Deed is what a hook did in one answer, so that it can be done again to claims
// derived anew.
type Deed struct {
	At        time.Time  `json:"at"`
	Refused   bool       `json:"refused,omitempty"`   // it answered 403, so nothing before it is good any more
	Unchanged bool       `json:"unchanged,omitempty"` // it answered 204
	Left      []string   `json:"left,omitempty"`      // names that it repeated as they were
	Wrote     claims.Set `json:"wrote,omitempty"`     // what it changed or introduced
}

// Remember keeps the last good deed by a key that stands for tenant, hook,
// client, upstream, user, scopes and context. A deed is personal data.
type Remember interface {
	// Load returns the deed saved last; false is "there is none".
	Load(ctx context.Context, key string) (Deed, bool, error)
	Save(ctx context.Context, key string, d Deed) error
}

// deed tells what an answer did to the claims that the hook was shown.
func deed(at time.Time, shown claims.Set, answer claims.Answer) Deed {
	out := Deed{At: at, Unchanged: answer.Unchanged, Wrote: claims.Set{}}
	if answer.Unchanged {
		return out
	}
	for name, value := range answer.Claims {
		if had, ok := shown[name]; ok && claims.Repeats(had, value) {
			out.Left = append(out.Left, name)
		} else {
			out.Wrote[name] = value
		}
	}
	slices.Sort(out.Left)
	return out
}

// again does the deed to the claims of today.
func (d Deed) again(have claims.Set) claims.Answer {
	if d.Unchanged {
		return claims.Answer{Unchanged: true}
	}
	out := make(claims.Set, len(d.Left)+len(d.Wrote))
	for _, name := range d.Left {
		if value, ok := have[name]; ok {
			out[name] = value
		}
	}
	maps.Copy(out, d.Wrote)
	return claims.Answer{Claims: out}
}

// key hides who it is about, since a store's keys are seen more often than its
// values. JSON keeps ["a","b"] and ["a,b"] apart.
func key(hook string, in claims.Input) (string, error) {
	scopes := slices.Clone(in.Scopes)
	slices.Sort(scopes)
	data, err := json.Marshal([]any{hook, in.Tenant, in.Client, in.Upstream, in.User, slices.Compact(scopes), in.Context})
	if err != nil {
		return "", fmt.Errorf("derive key of last good answer: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// Memory is a Remember for one node: it forgets what was used longest ago when
// it is full, and everything on restart.
type Memory struct {
	entries, bytes int
	mu             sync.Mutex
	held           int
	order          *list.List // of *kept, the most recent first
	byKey          map[string]*list.Element
}

type kept struct {
	key  string
	data []byte // encoded, which measures it and shares nothing with anybody
}

// NewMemory makes a Memory of at most so many entries and bytes; 0 stands for
// 10,000 entries and 32 MiB.
func NewMemory(entries, bytes int) *Memory {
	if entries <= 0 {
		entries = 10_000
	}
	if bytes <= 0 {
		bytes = 32 << 20
	}
	return &Memory{entries: entries, bytes: bytes, order: list.New(), byKey: make(map[string]*list.Element)}
}

// Load implements Remember.
func (m *Memory) Load(_ context.Context, key string) (Deed, bool, error) {
	m.mu.Lock()
	element, ok := m.byKey[key]
	if !ok {
		m.mu.Unlock()
		return Deed{}, false, nil
	}
	m.order.MoveToFront(element)
	data := element.Value.(*kept).data
	m.mu.Unlock()
	var d Deed
	if err := json.Unmarshal(data, &d); err != nil {
		return Deed{}, false, fmt.Errorf("read last good answer: %w", err)
	}
	return d, true, nil
}

// Save implements Remember.
func (m *Memory) Save(_ context.Context, key string, d Deed) error {
	data, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("keep last good answer: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.byKey[key]; ok {
		m.drop(old)
	}
	m.byKey[key] = m.order.PushFront(&kept{key, data})
	m.held += len(data)
	for m.order.Len() > m.entries || m.held > m.bytes {
		m.drop(m.order.Back())
	}
	return nil
}

func (m *Memory) drop(element *list.Element) {
	entry := m.order.Remove(element).(*kept)
	delete(m.byKey, entry.key)
	m.held -= len(entry.data)
}
