package redisstore_test

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
	"github.com/drawbridge-id/drawbridge/federation/store/storetest"
)

// skew is how far a test has moved an engine's clock ahead.
type skew struct{ offset atomic.Int64 }

func (s *skew) get() time.Duration { return time.Duration(s.offset.Load()) }

func (s *skew) advance(d time.Duration) { s.offset.Add(int64(d)) }

func open(t testing.TB, o redisstore.Options) *redisstore.Engine {
	t.Helper()
	if o.Now == nil {
		o.Now = time.Now
	}
	e, err := redisstore.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

func TestSuite(t *testing.T) {
	t.Parallel()
	addresses := parentAddresses()
	if addresses == nil {
		addresses = []string{redistest.Start(t).Addr()}
	}
	runSuite(t, "one partition", redisstore.Options{Addresses: addresses, Partitions: 1})
	runSuite(t, "several partitions", redisstore.Options{Addresses: addresses})
}

func TestSuiteOverACluster(t *testing.T) {
	t.Parallel()
	addresses := parentAddresses()
	if addresses == nil {
		addresses = redistest.StartCluster(t, 3, 0).Addrs()
	}
	runSuite(t, "three masters", redisstore.Options{Addresses: addresses})
}

// parentAddresses are the servers of the test that has started this process to
// be killed: it needs none of its own.
func parentAddresses() []string {
	location := os.Getenv("DRAWBRIDGE_STORETEST_LOCATION")
	if location == "" {
		return nil
	}
	addresses, _, _ := strings.Cut(location, " ")
	return strings.Split(addresses, ",")
}

// runSuite gives every case a store of its own on the same servers.
func runSuite(t *testing.T, name string, o redisstore.Options) {
	var stores atomic.Int64
	t.Run(name, func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) storetest.Harness {
			o := o
			o.Prefix = strconv.Itoa(o.Partitions) + "." + strconv.FormatInt(stores.Add(1), 10)
			return harness(t, o)
		})
	})
}

// harness opens an engine and runs its upkeep until it is closed.
func harness(t *testing.T, o redisstore.Options) storetest.Harness {
	s := &skew{}
	o.Skew = s.get
	e := openRunning(t, o)
	return storetest.Harness{
		Engine:  e,
		Layout:  e.Layout(),
		Advance: s.advance,
		Reopen: func(t *testing.T) store.Engine {
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			e = openRunning(t, o)
			return e
		},
		Location: strings.Join(o.Addresses, ",") + " " + o.Prefix,
		OpenAt: func(location string) (store.Engine, error) {
			addresses, prefix, _ := strings.Cut(location, " ")
			o := o
			o.Addresses, o.Prefix, o.Now = strings.Split(addresses, ","), prefix, time.Now
			return redisstore.Open(context.Background(), o)
		},
	}
}

func openRunning(t *testing.T, o redisstore.Options) *redisstore.Engine {
	e := open(t, o)
	ran := make(chan error, 1)
	go func() { ran <- e.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-ran; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return e
}
