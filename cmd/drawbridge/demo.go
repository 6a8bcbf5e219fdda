package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/demo"
	"github.com/drawbridge-id/drawbridge/config"
)

type demoCommand struct {
	Once    bool `help:"Walk the journey without a browser, report each step, and exit 0 or 1."`
	Verbose bool `help:"Also show what Drawbridge logs."`
}

// Run shows everything in one process: a provider, a relying party, a hook, a
// receiver and a mail box around a whole Drawbridge.
func (c demoCommand) Run(ctx context.Context) error {
	logs := io.Discard
	if c.Verbose {
		logs = os.Stderr
	}
	return demo.Run(ctx, demo.Options{
		Start: startForDemo, Out: os.Stdout, Once: c.Once, Log: slog.New(slog.NewTextHandler(logs, nil)),
	})
}

// startForDemo starts a Drawbridge in this process.
func startForDemo(_ context.Context, l demo.Launch) (*demo.Running, error) {
	cfg, problems := config.Load("demo.yaml", l.Config, config.Options{Env: l.Env})
	if err := problems.Err(); err != nil {
		return nil, err
	}
	app, err := New(cfg, l.Log)
	if err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	var ended error
	go func() { // joined by Stop
		ended = app.Run(run)
		close(done)
	}()
	return &demo.Running{
		PublicURL: "http://" + app.PublicAddr(), ManagementURL: "http://" + app.ManagementAddr(), Done: done,
		Stop: func(ctx context.Context) error {
			stop()
			select {
			case <-done:
				return ended
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}, nil
}
