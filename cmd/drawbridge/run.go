package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// drainTime bounds how long requests and deliveries under way may take to
	// finish.
	drainTime = 20 * time.Second
	// lastWork is how much of it workers may need for what they have begun: an
	// attempt of 15 s, and to give their leases back to the other nodes.
	lastWork = 17 * time.Second
)

// Run serves until the context ends, and then lets what is under way finish:
// first balancers are told, while everything is served still; then no more
// requests, then no more work (though slow requests do not keep workers from
// their end within drainTime), then the store is closed. Nil is a clean end.
func (a *App) Run(ctx context.Context) error {
	defer a.close()
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	var workers sync.WaitGroup
	failed := make(chan error, 16) // more than there are, so that none waits to tell
	run := func(name string, f func(context.Context) error) {
		workers.Go(func() {
			if err := f(work); err != nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	run("store", a.engine.Run)
	run("keys", a.keys.Run)
	run("sessions", a.sessions.Run)
	run("persons", a.persons.Run)
	run("notices", a.notices.Run)
	run("limits", a.limiter.Run)
	run("delivery", a.worker.Run)
	run("events", a.trimEvents)
	run("nodes", a.nodes.Run)
	public := a.server("public", a.publicHandler())
	management := a.server("management", a.managementRouter())
	run("public listener", serve(public, a.listeners.public, a.tls.public))
	run("management listener", serve(management, a.listeners.management, a.tls.management))
	a.log.InfoContext(ctx, "serving", "public", a.PublicAddr(), "management", a.ManagementAddr(), "version", version)
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		a.log.ErrorContext(ctx, "stopping after a failure", "error", err)
	}
	a.health.Drain()
	if err == nil {
		a.sayGoodbye()
	}
	a.drain.Begin()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	defer time.AfterFunc(drainTime-lastWork, stopWork).Stop()
	err = errors.Join(err, a.finish(end, "public", public), a.finish(end, "management", management))
	stopWork()
	workers.Wait()
	close(failed)
	for late := range failed {
		err = errors.Join(err, late)
	}
	a.log.InfoContext(ctx, "stopped")
	return err
}

// sayGoodbye goes on serving, on connections that are each used up with their
// next answer, until a balancer must have seen that this node is not ready any
// more: what it sends to a closed listener, or on a kept connection in the moment
// in which it is closed, is lost.
func (a *App) sayGoodbye() {
	delay := a.live.Load().cfg.ShutdownDelay
	a.log.Info("stopping", "delay", delay)
	time.Sleep(delay) // a second signal ends the process
}

// finish lets the requests under way end, and cuts off those that take longer
// than the drain: a client that never finishes its request is no failure.
func (a *App) finish(ctx context.Context, listener string, s *http.Server) error {
	err := s.Shutdown(ctx)
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	a.log.WarnContext(ctx, "requests that did not end were cut off", "listener", listener)
	return s.Close()
}
