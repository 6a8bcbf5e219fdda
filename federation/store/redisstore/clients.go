package redisstore

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// servers is the one Redis, the master behind the sentinels, or the cluster.
// go-redis tries nothing again by itself: when that is safe is decided here. It
// follows redirections only where the cluster's client itself is asked to read.
type servers struct {
	single  *redis.Client
	cluster *redis.ClusterClient
}

// newServers makes clients whose answers may take as long as given, over at
// most so many connections to each server.
func newServers(o Options, answer time.Duration, connections int) servers {
	switch {
	case o.clustered():
		return servers{cluster: redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: o.Addresses, Username: o.Username, Password: o.Password, TLSConfig: o.TLS,
			Protocol: 2, MaxRetries: -1, ContextTimeoutEnabled: true,
			DialTimeout: o.Timeout, DialerRetries: 1, ReadTimeout: answer, WriteTimeout: o.Timeout, PoolTimeout: o.Timeout,
			PoolSize: connections, DisableIdentity: true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})}
	case o.MasterName != "":
		return servers{single: redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: o.MasterName, SentinelAddrs: o.Addresses,
			SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword,
			Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLS,
			Protocol: 2, MaxRetries: -1, ContextTimeoutEnabled: true,
			DialTimeout: o.Timeout, DialerRetries: 1, ReadTimeout: answer, WriteTimeout: o.Timeout, PoolTimeout: o.Timeout,
			PoolSize: connections, DisableIdentity: true,
		})}
	}
	return servers{single: redis.NewClient(&redis.Options{
		Addr: o.Addresses[0], Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLS,
		Protocol: 2, MaxRetries: -1, ContextTimeoutEnabled: true,
		DialTimeout: o.Timeout, DialerRetries: 1, ReadTimeout: answer, WriteTimeout: o.Timeout, PoolTimeout: o.Timeout,
		PoolSize: connections, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})}
}

// owner is the client of the server that the key lives on.
func (s servers) owner(ctx context.Context, key string) (*redis.Client, error) {
	if s.single != nil {
		return s.single, nil
	}
	return s.cluster.MasterForKey(ctx, key)
}

// masters calls do for every server that holds data, one after the other.
func (s servers) masters(ctx context.Context, do func(context.Context, *redis.Client) error) error {
	if s.single != nil {
		return do(ctx, s.single)
	}
	return s.cluster.ForEachMaster(ctx, do)
}

// moved is called when a server said that a key lives elsewhere.
func (s servers) moved(ctx context.Context) {
	if s.cluster != nil {
		s.cluster.ReloadState(ctx)
	}
}

func (s servers) close() error {
	if s.single != nil {
		return s.single.Close()
	}
	return s.cluster.Close()
}
