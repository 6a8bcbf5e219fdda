package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore"
)

// openServer opens a store that has a server of its own: one that must be there,
// unless partitions is what it is created with. A command waits for no
// replicas, and leaves the spools to the nodes that they belong to.
func openServer(ctx context.Context, cfg config.Config, partitions int) (movable, error) {
	if cfg.Store.Engine != "redis" {
		return nil, fmt.Errorf("store.engine is %q, which has no server", cfg.Store.Engine)
	}
	o, err := redisOptions(cfg.Store, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return nil, err
	}
	o.Replicas, o.SpoolPath = 0, ""
	if o.MustExist = partitions == 0; partitions != 0 {
		o.Partitions = partitions
	}
	return redisstore.Open(ctx, o)
}
