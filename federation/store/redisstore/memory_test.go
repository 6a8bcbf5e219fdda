package redisstore_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
)

// serverInfo is one number of INFO.
func serverInfo(t testing.TB, s *redistest.Server, section, field string) float64 {
	t.Helper()
	for line := range strings.Lines(fmt.Sprint(s.Do(t, "INFO", section))) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), field+":"); ok {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("INFO %s does not tell %s", section, field)
	return 0
}

// shape makes keys and values as long, and in such an order, as those that the
// program writes: handles begin with the second that they were made in, so that
// what lives and dies together lies together, and go on at random.
type shape struct {
	at     store.Place
	now    time.Time
	random *rand.ChaCha8
}

func (s shape) value(n int) []byte {
	b := make([]byte, n)
	_, _ = s.random.Read(b)
	return b
}

// handle is one of number i, of some hundreds in a second.
func (s shape) handle(i, length int) string {
	return "f-" + fmt.Sprintf("%05x", i/200) + base64.RawURLEncoding.EncodeToString(s.value(36))[:length-7]
}

// event is a UUID of version 7.
func (s shape) event(i int) string {
	return fmt.Sprintf("01a1fbe5-%04x-7%03x-9769-%x", i>>12&0xffff, i&0xfff, s.value(6))
}

// liveSession is what is kept of a session that is signed in: the session with
// its places in two indexes, and its refresh family; then what comes and goes
// with it, the newest access token and the spent code.
func (s shape) liveSession(i int, scale float64) (lasting, passing []store.Op) {
	id, grant, person := s.handle(i, 32), s.handle(i, 48), fmt.Sprintf("01a1fbe5-%x-7dda-9769-%x", s.value(2), s.value(6))
	due, hour := s.now.Add(30*time.Minute+time.Duration(i)*5*time.Millisecond), s.now.Add(time.Hour)
	value := func(n float64) []byte { return s.value(int(n * scale)) }
	lasting = []store.Op{
		store.Create(s.at.Key("session", id), value(2380), time.Time{}),
		store.Create(s.at.Key("session.person", person+"/"+id), s.value(4), time.Time{}),
		store.Create(s.at.Own().Key("session.due", store.DueID(due, s.at.Tenant+"/"+id)), s.value(4), time.Time{}),
		store.Create(s.at.Key("token.family", grant), value(920), hour),
	}
	passing = []store.Op{
		store.Create(s.at.Key("token.access", grant), value(690), hour),
		store.Create(s.at.Key("token.code", grant), value(370), hour),
	}
	return lasting, passing
}

// TestMemoryOfASession: what a live session takes of Redis' memory.
func TestMemoryOfASession(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "activedefrag no")
	e := open(t, redisstore.Options{Addresses: []string{server.Addr()}})
	now, err := e.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	shape := shape{at: e.Layout().Place("default"), now: now, random: rand.NewChaCha8([32]byte{})}
	const sessions, step = 10_000, 200
	used := serverInfo(t, server, "memory", "used_memory")
	per := func() float64 {
		// Less what is on its way to the log of commands.
		took := serverInfo(t, server, "memory", "used_memory") - serverInfo(t, server, "memory", "mem_aof_buffer") - used
		return took / sessions
	}
	var passing []store.Op
	for i := 0; i < sessions; i += step {
		var ops []store.Op
		for j := range step {
			last, pass := shape.liveSession(i+j, 1)
			ops, passing = append(ops, last...), append(passing, pass...)
		}
		if _, err := e.Commit(t.Context(), ops...); err != nil {
			t.Fatal(err)
		}
	}
	lasting := per()
	for ops := range slices.Chunk(passing, 2*step) {
		if _, err := e.Commit(t.Context(), ops...); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("a session with its indexes and its refresh family takes %.0f bytes; with access token and spent code %.0f", lasting, per())
	if lasting > 5000 {
		t.Errorf("a session takes %.0f bytes of Redis memory, more than 5000", lasting)
	}
}
