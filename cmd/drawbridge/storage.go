package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/edge"
	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore"
)

// storage is a store engine with what only its owner does.
type storage interface {
	store.Engine
	Layout() store.Layout
	// Run does the engine's upkeep until the context ends.
	Run(ctx context.Context) error
}

// openTime bounds opening the store.
const openTime = 30 * time.Second

// openStorage opens the engine that the file names.
func openStorage(cfg config.Config, log *slog.Logger) (storage, error) {
	if cfg.Store.Engine == "bolt" {
		eng, err := boltstore.Open(boltstore.Options{Path: cfg.Store.Path, Partitions: cfg.Store.Partitions, Now: time.Now})
		if err != nil {
			return nil, err
		}
		return eng, nil
	}
	options, err := redisOptions(cfg.Store, log)
	if err != nil {
		return nil, err
	}
	redis.SetLogger(clientLog{log}) // the library has one for the whole process, and it is standard error
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	eng, err := redisstore.Open(ctx, options)
	if err != nil {
		return nil, err
	}
	return eng, nil
}

// clientLog takes what the Redis client says of its connections: the engine
// tells what matters of it.
type clientLog struct{ log *slog.Logger }

// Printf implements the client's logger.
func (l clientLog) Printf(ctx context.Context, format string, v ...any) {
	l.log.DebugContext(ctx, "redis client", "said", fmt.Sprintf(format, v...))
}

func redisOptions(s config.Store, log *slog.Logger) (redisstore.Options, error) {
	trust, err := storeTLS(s.TLS)
	return redisstore.Options{
		Addresses: s.Addresses, MasterName: s.MasterName, Cluster: s.Cluster, DB: s.DB, Prefix: s.Prefix, Partitions: s.Partitions,
		Username: s.Username, Password: s.Password.Reveal(),
		SentinelUsername: s.SentinelUsername, SentinelPassword: s.SentinelPassword.Reveal(),
		TLS: trust, Replicas: s.Replicas, ReplicaTimeout: s.ReplicaTimeout, SpoolPath: s.Spool,
		AllowVolatile: s.AllowVolatile, Timeout: s.Timeout, Now: time.Now, Log: log,
	}, err
}

// storeTLS reads the files of the store's TLS section.
func storeTLS(s *config.StoreTLS) (*tls.Config, error) {
	if s == nil {
		return nil, nil
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.ServerName}
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, fmt.Errorf("store.tls.ca_file: %w", err)
		}
		if trust.RootCAs = x509.NewCertPool(); !trust.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("store.tls.ca_file: %s holds no certificate", s.CAFile)
		}
	}
	if s.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("store.tls.cert_file: %w", err)
		}
		trust.Certificates = []tls.Certificate{pair}
	}
	return trust, nil
}

// storeFigures are the numbers that an engine has for the metrics.
func storeFigures(s storage) edge.StoreFigures {
	switch eng := s.(type) {
	case *boltstore.Engine:
		return edge.StoreFigures{
			Commits: func() uint64 { return eng.Stats().Commits }, Batches: func() uint64 { return eng.Stats().Batches },
			Failures: func() uint64 { return eng.Stats().Failures }, Bytes: func() int64 { return eng.Stats().FileBytes },
		}
	case *redisstore.Engine:
		return edge.StoreFigures{
			Commits: func() uint64 { return eng.Stats().Commits }, Batches: func() uint64 { return eng.Stats().Batches },
			Failures: func() uint64 { return eng.Stats().Failures }, Unknown: func() uint64 { return eng.Stats().Unknown },
			Epochs: func() uint64 { return eng.Stats().Epochs }, Unsafe: func() uint64 { return eng.Stats().Unsafe },
			Replayed: func() uint64 { return eng.Stats().Replayed }, Superseded: func() uint64 { return eng.Stats().Superseded },
			Spooled: func() int { return eng.Stats().Spooled }, Lost: func() bool { return eng.Stats().Lost },
		}
	}
	return edge.StoreFigures{}
}

// readiness is that the store answers. Of a bolt store also that its file is
// still the one that was opened: what is written to a file that somebody
// removed is lost.
func (a *App) readiness(cfg config.Config) (*edge.Health, error) {
	same := func() error { return nil }
	if cfg.Store.Engine == "bolt" {
		opened, err := os.Stat(cfg.Store.Path)
		if err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		same = func() error {
			if now, err := os.Stat(cfg.Store.Path); err != nil || !os.SameFile(opened, now) {
				return errors.New("the store's file was removed or replaced")
			}
			return nil
		}
	}
	return &edge.Health{Ready: func(ctx context.Context) error {
		if err := same(); err != nil {
			return err
		}
		// No such record: what is asked for is an answer of the store itself.
		_, err := a.engine.Get(ctx, store.Place{}.Key("readiness", "probe"))
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	}}, nil
}

// freeLeases takes the leases of dead processes away, where there can be no
// other process: one opens the file of a bolt store, and it holds none yet.
func freeLeases(ctx context.Context, eng storage) error {
	if _, alone := eng.(*boltstore.Engine); !alone {
		return nil
	}
	for p := range eng.Layout().Partitions {
		if err := store.FreeLeases(ctx, eng, store.Partition(p)); err != nil {
			return fmt.Errorf("free leases: %w", err)
		}
	}
	return nil
}
