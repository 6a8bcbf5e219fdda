package redisstore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
)

func TestOpenRefusesOptions(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*redisstore.Options){
		"no address":              func(o *redisstore.Options) { o.Addresses = nil },
		"no clock":                func(o *redisstore.Options) { o.Now = nil },
		"a cluster of sentinels":  func(o *redisstore.Options) { o.MasterName, o.Cluster = "m", true },
		"a database of a cluster": func(o *redisstore.Options) { o.Cluster, o.DB = true, 1 },
		"negative partitions":     func(o *redisstore.Options) { o.Partitions = -1 },
		"too many partitions":     func(o *redisstore.Options) { o.Partitions = 1025 },
		"a prefix with braces":    func(o *redisstore.Options) { o.Prefix = "{a}" },
		"replicas without spool":  func(o *redisstore.Options) { o.Replicas = 1 },
		"negative replicas":       func(o *redisstore.Options) { o.Replicas = -1 },
		"negative timeout":        func(o *redisstore.Options) { o.Timeout = -1 },
		"a spool in no folder":    func(o *redisstore.Options) { o.SpoolPath = filepath.Join(t.TempDir(), "a", "b") },
	} {
		server := "127.0.0.1:1"
		if name == "a spool in no folder" {
			server = redistest.Start(t).Addr()
		}
		o := withClock(hasty(server))
		o.Patience = 50 * time.Millisecond
		spoil(&o)
		if e, err := redisstore.Open(t.Context(), o); err == nil {
			_ = e.Close()
			t.Errorf("%s: is not refused", name)
		} else if errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: is not looked at: %v", name, err)
		}
	}
	o := withClock(hasty("127.0.0.1:1"))
	o.Patience = 50 * time.Millisecond
	if _, err := redisstore.Open(t.Context(), o); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a server that is not there answers %v", err)
	}
}

func TestUnfitServersAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		conf []string
		say  string
	}{
		"memory only": {[]string{"appendonly no", `save ""`}, "memory only"},
		"evicting":    {[]string{"maxmemory-policy allkeys-lru"}, "allkeys-lru"},
		"volatile":    {[]string{"maxmemory-policy volatile-ttl"}, "volatile-ttl"},
	} {
		server := redistest.Start(t, c.conf...)
		o := withClock(hasty(server.Addr()))
		_, err := redisstore.Open(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), c.say) || !strings.Contains(err.Error(), "AllowVolatile") {
			t.Errorf("%s: %v", name, err)
		}
		o.AllowVolatile = true
		open(t, o)
	}
	open(t, hasty(redistest.Start(t, "appendonly no", "save 60 1").Addr()))
}

// TestFitnessWithoutCONFIG: a managed server forbids CONFIG, and INFO must do.
func TestFitnessWithoutCONFIG(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		conf  []string
		rules string
		fit   bool
	}{
		"with a log":      {nil, "-config", true},
		"with snapshots":  {[]string{"appendonly no", "save 60 1"}, "-config", false},
		"evicting":        {[]string{"maxmemory-policy allkeys-lru"}, "-config", false},
		"without INFO":    {nil, "-config -info", false},
		"everything said": {nil, "", true},
	} {
		server := redistest.Start(t, c.conf...)
		rules := append([]any{"ACL", "SETUSER", "bridge", "on", ">secret", "~*", "+@all"}, split(c.rules)...)
		server.Do(t, rules...)
		o := withClock(hasty(server.Addr()))
		o.Username, o.Password, o.Patience = "bridge", "secret", time.Second
		e, err := redisstore.Open(t.Context(), o)
		if (err == nil) != c.fit {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			_ = e.Close()
		}
	}
}

func split(rules string) (words []any) {
	for word := range strings.FieldsSeq(rules) {
		words = append(words, word)
	}
	return words
}

// TestLeastUser: the ACL user that the package doc describes is enough.
func TestLeastUser(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rules, found := strings.Cut(string(doc), "//	ACL SETUSER drawbridge on >password ")
	rules, _, _ = strings.Cut(rules, "\n//\n")
	if !found {
		t.Fatal("the package doc does not describe the user")
	}
	rules = strings.ReplaceAll(rules, "//", "")
	server := redistest.Start(t)
	server.Do(t, append([]any{"ACL", "SETUSER", "drawbridge", "on", ">password"}, split(rules)...)...)
	o := hasty(server.Addr())
	o.Username, o.Password = "drawbridge", "password"
	e := openRunning(t, o)
	at := e.Layout().Place("acme")
	l := newLedger()
	for i := range 3 {
		if err := l.commit(t.Context(), e, at, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.ReadLog(t.Context(), at.Partition, lastPosition(t, e, at.Partition), 1, 10*time.Millisecond); err != nil {
		t.Error(err)
	}
	server.Restart(t)
	server.Do(t, append([]any{"ACL", "SETUSER", "drawbridge", "on", ">password"}, split(rules)...)...)
	eventually(t, "a server that answers", func() bool {
		_, err := e.Commit(t.Context(), store.Check(at.Key("thing", "none"), 0))
		return err == nil
	})
	if err := e.TrimLog(t.Context(), at.Partition, store.Position{Epoch: 1}); err != nil {
		t.Error(err)
	}
	l.verify(t, e)
	if len(l.made) != 3 {
		t.Errorf("%+v", l)
	}
	wrong := withClock(o)
	wrong.Password = "wrong"
	if _, err := redisstore.Open(t.Context(), wrong); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a wrong password answers %v", err)
	}
	if _, err := redisstore.Open(t.Context(), withClock(hasty(server.Addr()))); err != nil {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server, trust := redistest.StartTLS(t)
	o := hasty(server.Addr())
	o.TLS = trust
	e := open(t, o)
	l := newLedger()
	if err := l.commit(t.Context(), e, e.Layout().Place("acme"), "a"); err != nil || !l.made["a"] {
		t.Errorf("%v, %+v", err, l)
	}
	bare := withClock(o)
	bare.TLS, bare.Patience = nil, 100*time.Millisecond
	if _, err := redisstore.Open(t.Context(), bare); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("without TLS: %v", err)
	}
}

func TestLayoutIsFixedAtCreation(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, c := range []struct{ ask, want int }{{3, 3}, {0, 3}, {3, 3}, {1, 0}, {4, 0}} {
		o := withClock(hasty(server.Addr()))
		o.Partitions = c.ask
		e, err := redisstore.Open(t.Context(), o)
		if (err == nil) != (c.want > 0) {
			t.Errorf("a store of 3 partitions opens with %d: %v", c.ask, err)
		}
		if err == nil && e.Layout().Partitions != c.want {
			t.Errorf("asked for %d it has %d", c.ask, e.Layout().Partitions)
		}
	}
	o := hasty(server.Addr())
	o.Prefix, o.Partitions = "other", 0
	if n := open(t, o).Layout().Partitions; n != 16 {
		t.Errorf("a new store has %d partitions", n)
	}
}

func TestMarkersThatAreNotOurs(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for raw, want := range map[string]error{
		"2 2 0123456789abcdef01234567 ready": store.ErrNewer,
		"1 0 0123456789abcdef01234567 ready": nil,
		"1 2 0123 ready":                     nil,
		"hello":                              nil,
		"1 2 0123456789abcdef01234567 ready": store.ErrLost,
	} {
		server.Do(t, "SET", "db:store", raw)
		_, err := redisstore.Open(t.Context(), withClock(hasty(server.Addr())))
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%q answers %v, want %v", raw, err, want)
		}
	}
	// A store whose creation was interrupted is created to the end.
	server.Do(t, "SET", "db:store", "1 2 0123456789abcdef01234567 creating")
	e := open(t, hasty(server.Addr()))
	if said := server.Do(t, "GET", "db:store"); said != "1 2 0123456789abcdef01234567 ready" || e.Layout().Partitions != 2 {
		t.Errorf("the marker is %q", said)
	}
	server.Do(t, "DEL", "db:store")
	if _, err := redisstore.Open(t.Context(), withClock(hasty(server.Addr()))); !errors.Is(err, store.ErrLost) {
		t.Errorf("a store without marker answers %v", err)
	}
}

// TestManyCreateOneStore opens an empty server from many places at once.
func TestManyCreateOneStore(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	const openers = 8
	made := make(chan error, openers)
	for i := range openers {
		go func() {
			o := withClock(hasty(server.Addr()))
			o.Partitions = 0
			e, err := redisstore.Open(t.Context(), o)
			if err == nil {
				_, err = e.Commit(t.Context(), store.Append(0, fmt.Append(nil, i)))
				err = errors.Join(err, e.Close())
			}
			made <- err
		}()
	}
	for range openers {
		if err := <-made; err != nil {
			t.Error(err)
		}
	}
	o := hasty(server.Addr())
	o.Partitions = 0
	if _, events := contents(t, open(t, o)); len(events) != openers {
		t.Errorf("the log holds %v", events)
	}
}

// A command that only looks must not leave a store behind.
func TestAStoreThatMustExistIsNotCreated(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := withClock(hasty(server.Addr()))
	o.MustExist = true
	if _, err := redisstore.Open(t.Context(), o); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an empty server answers %v", err)
	}
	if n := server.Do(t, "DBSIZE"); n != int64(0) {
		t.Errorf("%v keys were made", n)
	}
	for _, must := range []bool{false, true} {
		o.MustExist = must
		e, err := redisstore.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}
