package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
)

type serveCommand struct {
	Config string `short:"c" required:"" placeholder:"FILE" help:"The configuration file."`
}

// gcPercent is how much the heap grows between collections. The live heap is a
// few megabytes and a login allocates a hundredth of that, so the default
// collects all the time: measured, a fifth of a login's CPU.
const gcPercent = 400

// Run serves until it is told to stop.
func (c serveCommand) Run(ctx context.Context) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	watcher := &reloader{}
	w := config.NewWatcher(config.WatchOptions{
		Path: c.Config, Options: reach(), Trigger: reload, Apply: watcher.apply,
	})
	cfg, problems := w.Load()
	if err := problems.Err(); err != nil {
		return err
	}
	logger := newLogger(os.Stderr, cfg.Log)
	app, err := New(cfg, logger)
	if err != nil {
		return err
	}
	watcher.app = app
	var group sync.WaitGroup
	watch, stop := context.WithCancel(ctx)
	group.Go(func() {
		if err := w.Run(watch); err != nil {
			logger.ErrorContext(ctx, "the configuration is no longer watched", "error", err)
		}
	})
	err = app.Run(ctx)
	stop()
	group.Wait()
	return err
}

// reach is what the configuration may read beside itself.
func reach() config.Options {
	return config.Options{Env: os.LookupEnv, ReadFile: readFile}
}

// mostRead is how much of a file is read, in bytes: more than any may have.
const mostRead = 2 << 20

// readFile reads a file that an operator named. What stands there may be
// replaced at any time, so it is never waited for: a pipe that nobody writes to
// is empty, and a device without end is too large.
func readFile(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	_ = f.SetReadDeadline(time.Now().Add(10 * time.Second)) // pipes have deadlines; files need none
	return io.ReadAll(io.LimitReader(f, mostRead))
}

// newLogger writes what the configuration says. Durations are milliseconds, and
// their names say so.
func newLogger(w io.Writer, o config.Log) *slog.Logger {
	level := slog.LevelInfo
	if err := level.UnmarshalText([]byte(o.Level)); err != nil {
		level = slog.LevelInfo // the configuration was checked
	}
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: milliseconds}
	if o.Format == "text" {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

func milliseconds(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() != slog.KindDuration {
		return a
	}
	return slog.Float64(a.Key+"_ms", float64(a.Value.Duration().Microseconds())/1000)
}
