package redisstore_test

import (
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

// liveSession is what is kept of a session that is signed in, with ids and
// values as long as those that sign-in and token endpoint write: the session
// with its places in two indexes, and its refresh family; then what comes and
// goes with it, the newest access token and the spent code.
func liveSession(at store.Place, i int, now time.Time) (lasting, passing []store.Op) {
	const handle = "f-ExW4yJEFbp_GgDIHQU85IKGptMlGIY"
	id := fmt.Sprintf("%s%08x", handle[:24], i)
	grant := fmt.Sprintf("%sIOELRlw59s24Az%010x", handle[:24], i)
	person := fmt.Sprintf("01a1fbe5-%04x-7dda-9769-%012x", i%65536, i)
	idle, hour := now.Add(30*time.Minute), now.Add(time.Hour)
	random := rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)})
	value := func(n int) []byte {
		b := make([]byte, n)
		_, _ = random.Read(b)
		return b
	}
	lasting = []store.Op{
		store.Create(at.Key("session", id), value(2380), time.Time{}),
		store.Create(at.Key("session.person", person+"/"+id), value(4), time.Time{}),
		store.Create(at.Own().Key("session.due", store.DueID(idle, at.Tenant+"/"+id)), value(4), time.Time{}),
		store.Create(at.Key("token.family", grant), value(920), hour),
	}
	passing = []store.Op{
		store.Create(at.Key("token.access", grant), value(690), hour),
		store.Create(at.Key("token.code", grant), value(370), hour),
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
	at := e.Layout().Place("default")
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
			last, pass := liveSession(at, i+j, now)
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
