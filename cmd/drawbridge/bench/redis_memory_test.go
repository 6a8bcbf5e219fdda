//go:build bench

package bench

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestRedisMemory measures what Redis keeps of a session that has signed in by the whole way, of somebody who has been
// there before.
func TestRedisMemory(t *testing.T) {
	others := startParties(t)
	server := startRedis(t, "activedefrag no")
	d := newHouse(t, others.configureOn("{engine: redis, addresses: [\""+server.Addr()+"\"]}")).start(t)
	p := newParty(t, d, "mobile-es256", "ES256")
	figures := newTable(t, "Memory of Redis per live session with refresh token, by whole logins")
	login := func(i int) error {
		got, err := p.signIn(t, userOf(i))
		if err == nil && got.RefreshToken == "" {
			err = fmt.Errorf("the login of %s gave no refresh token", userOf(i))
		}
		return err
	}
	crowd(t, browsers, 1000, login) // everybody has been here once
	const sessions = 6000
	before, was := server.memory(t), server.kinds(t)
	began := time.Now()
	crowd(t, browsers, sessions, login)
	took := time.Since(began)
	fresh, is := (server.memory(t)-before)/sessions, server.kinds(t)
	live := func() float64 { return (server.memory(t) - before) / sessions }
	server.forget(t, "token.code", was["token.code"], is["token.code"])
	spent := live()
	for _, kind := range []string{"token.access", "event_data"} {
		server.forget(t, kind, was[kind], is[kind])
	}
	for _, key := range is["log"].keys {
		server.Do(t, "XTRIM", key, "MAXLEN", "=", 0)
	}
	figures.add("session, its places in indexes, and refresh family", "bytes", "at most 5000", live())
	figures.add("the same with access token, two events and their data", "bytes", "", spent)
	figures.add("the same with the spent code, which is kept for a while", "bytes", "", fresh)
	rest := fresh
	for _, kind := range slices.Sorted(maps.Keys(is)) {
		grew := float64(is[kind].bytes-was[kind].bytes) / sessions
		if rest -= grew; grew >= 1 {
			figures.add(fmt.Sprintf("  of it %s, %.2f keys", kind, float64(len(is[kind].keys)-len(was[kind].keys))/sessions), "bytes", "", grew)
		}
	}
	figures.add("  of it tables of keys and of expiries", "bytes", "", rest)
	figures.add("logins meanwhile", "per s", "", sessions/took.Seconds())
}

// kept are the keys of one kind and what they take.
type kept struct {
	keys  []string
	bytes int64
}

// kinds are all keys by the kind of their records, indexes among them.
func (s served) kinds(t *testing.T) map[string]kept {
	t.Helper()
	all, client := map[string]kept{}, s.Client()
	for cursor, last := uint64(0), false; !last; last = cursor == 0 {
		keys, next, err := client.Scan(t.Context(), cursor, "", 1000).Result()
		if err != nil {
			t.Fatal(err)
		}
		cursor = next
		sizes, err := client.Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
			for _, key := range keys {
				pipe.MemoryUsage(t.Context(), key, 0)
			}
			return nil
		})
		if err != nil && err != redis.Nil { //nolint:errorlint // go-redis returns it as it is
			t.Fatal(err)
		}
		for i, key := range keys {
			size, ok := sizes[i].(*redis.IntCmd)
			if !ok {
				t.Fatalf("%s has the size %v", key, sizes[i])
			}
			name := family(key)
			k := all[name]
			all[name] = kept{keys: append(k.keys, key), bytes: k.bytes + size.Val()}
		}
	}
	return all
}

// family is the kind of a record or of an index, or what else a key is.
func family(key string) string {
	if _, kind, ok := strings.Cut(key, "}\x00i"); ok {
		return kind
	}
	switch kind := kindOf(key); {
	case kind != "":
		return kind
	case strings.HasSuffix(key, "}l"):
		return "log"
	}
	return "upkeep"
}

// forget removes the records that came, as their expiry will.
func (s served) forget(t *testing.T, kind string, was, is kept) {
	t.Helper()
	here := map[string]bool{}
	for _, key := range was.keys {
		here[key] = true
	}
	for keys := range slices.Chunk(is.keys, 1000) {
		_, err := s.Client().Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
			for _, key := range keys {
				tag, id, ok := strings.Cut(key, "}"+string(byte(len(kind)))+kind)
				if ok && !here[key] {
					pipe.Del(t.Context(), key)
					pipe.ZRem(t.Context(), tag+"}\x00i"+kind, id)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
