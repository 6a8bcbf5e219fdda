package redisstore

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"
)

// Options say which Redis to use and how. Addresses and Now are required; every
// other field has a default that suits production.
type Options struct {
	// Addresses are host:port: one server, or some servers of a cluster, or the
	// sentinels where MasterName is set.
	Addresses []string
	// MasterName is the name that the sentinels know the master under.
	MasterName string
	// Cluster says that a single address is one of a cluster's. Several
	// addresses without MasterName are always a cluster's.
	Cluster bool
	// Username and Password are those of an ACL user; see the package doc for
	// what it must be allowed.
	Username, Password string
	// SentinelUsername and SentinelPassword are for the sentinels themselves.
	SentinelUsername, SentinelPassword string
	// TLS, when not nil, is used towards servers and sentinels alike.
	TLS *tls.Config
	// DB is the number of the database; a cluster has only 0.
	DB int
	// Prefix begins every key, so that several stores may share one server.
	// Letters, digits, dot, dash and underscore, at most 32. Default "db".
	Prefix string
	// Partitions is the number that a new store is created with (default 16, at
	// most 1,024). For a store that is there it must be the same number, or 0.
	Partitions int
	// MustExist refuses a server without a store; else one is created there.
	MustExist bool
	// Replicas is how many replicas must have a commit before it is answered
	// with success. 0 is none.
	Replicas int
	// ReplicaTimeout is how long to wait for them. Default 300 ms.
	ReplicaTimeout time.Duration
	// SpoolPath is the file that keeps commits until enough replicas have them.
	// Required where Replicas is above 0, and each process needs its own.
	SpoolPath string
	// AllowVolatile permits servers that keep everything in memory only, or
	// that evict keys when memory is short. What they forget is lost.
	AllowVolatile bool
	// Timeout bounds connecting, and waiting for one answer. Default 2 s.
	Timeout time.Duration
	// Patience is how long a call is tried again while the servers do not
	// answer, or say that they cannot for now. Default 5 s.
	Patience time.Duration
	// Connections is the greatest number to each server, beside those that wait
	// for log entries. Default 64.
	Connections int
	// Now is the local clock, read for durations only; deadlines are judged by
	// the time of the servers.
	Now func() time.Time
	// Skew is added to the servers' time everywhere. It is for tests, and may
	// only grow. Nil is none.
	Skew func() time.Duration
	// Log hears what an operator should know. Nil is silence.
	Log *slog.Logger
}

const maxPartitions = 1024

func (o Options) withDefaults() (Options, error) {
	setDefault(&o.Prefix, "db")
	setDefault(&o.ReplicaTimeout, 300*time.Millisecond)
	setDefault(&o.Timeout, 2*time.Second)
	setDefault(&o.Patience, 5*time.Second)
	setDefault(&o.Connections, 64)
	if o.Skew == nil {
		o.Skew = func() time.Duration { return 0 }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case len(o.Addresses) == 0 || o.Now == nil:
		return o, errors.New("store: a Redis engine needs addresses and a clock")
	case o.MasterName != "" && o.Cluster:
		return o, errors.New("store: Redis is reached through sentinels or as a cluster, not both")
	case o.clustered() && o.DB != 0:
		return o, errors.New("store: a Redis cluster has no database but 0")
	case o.Partitions < 0 || o.Partitions > maxPartitions:
		return o, fmt.Errorf("store: %d partitions are not between 1 and %d", o.Partitions, maxPartitions)
	case !regexp.MustCompile(`^[A-Za-z0-9._-]{1,32}$`).MatchString(o.Prefix):
		return o, fmt.Errorf("store: key prefix %q is not 1 to 32 letters, digits, dots, dashes, underscores", o.Prefix)
	case o.DB < 0 || o.Replicas < 0 || o.ReplicaTimeout < time.Millisecond || o.Timeout < 0 || o.Patience < 0 || o.Connections < 0:
		return o, errors.New("store: a negative option of the Redis engine")
	case o.Replicas > 0 && o.SpoolPath == "":
		return o, errors.New("store: waiting for replicas needs a spool file")
	}
	return o, nil
}

func (o Options) clustered() bool {
	return o.MasterName == "" && (o.Cluster || len(o.Addresses) > 1)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
