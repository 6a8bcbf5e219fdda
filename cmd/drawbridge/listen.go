package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
)

// listen takes both addresses, so that a taken one is told at once.
func (a *App) listen(cfg config.Config) (err error) {
	if a.listeners.public, err = net.Listen("tcp", cfg.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if a.listeners.management, err = net.Listen("tcp", cfg.Management.Listen); err != nil {
		return fmt.Errorf("management.listen: %w", err)
	}
	if a.tls.public, err = newCertificate(cfg.TLS, a.log); err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	if a.tls.management, err = newCertificate(cfg.Management.TLS, a.log); err != nil {
		return fmt.Errorf("management.tls: %w", err)
	}
	return nil
}

// server has the time-outs of a listener that strangers reach.
func (a *App) server(name string, h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(a.log.With("listener", name).Handler(), slog.LevelDebug),
	}
}

// serve is the loop of a listener, with TLS where there is a certificate.
func serve(s *http.Server, l net.Listener, c *certificate) func(context.Context) error {
	return func(context.Context) error {
		if c != nil {
			s.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"}}
			l = tls.NewListener(l, s.TLSConfig)
		}
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}
}

// certificate is a pair of files that is read again when they change, so that a
// renewed certificate needs no restart. A bad pair leaves the good one in use,
// and is told once.
type certificate struct {
	files config.TLS
	log   *slog.Logger

	mu     sync.Mutex
	pair   *tls.Certificate
	stamp  [2]time.Time // of the files, as they were when last read
	failed bool
	looked time.Time
}

func newCertificate(files *config.TLS, log *slog.Logger) (*certificate, error) {
	if files == nil {
		return nil, nil
	}
	c := &certificate{files: *files, log: log, looked: time.Now()}
	c.stamp = c.times()
	pair, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		return nil, err
	}
	c.pair = &pair
	return c, nil
}

// certificateLook is the least time between two looks at the files.
const certificateLook = 10 * time.Second

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) >= certificateLook {
		c.looked = time.Now()
		c.look()
	}
	return c.pair, nil
}

// look reads the files if they are not those that were read last; an older one
// that was put back counts as well. A pair that is no good is tried again: its
// other half may be on its way.
func (c *certificate) look() {
	now := c.times()
	if now == c.stamp && !c.failed {
		return
	}
	pair, err := tls.LoadX509KeyPair(c.files.CertFile, c.files.KeyFile)
	switch {
	case err == nil:
		c.pair = &pair
		c.log.Info("certificate replaced", "file", c.files.CertFile)
	case !c.failed || now != c.stamp:
		c.log.Error("the new certificate is no good; the one before stays in use", "file", c.files.CertFile, "error", err)
	}
	c.stamp, c.failed = now, err != nil
}

func (c *certificate) times() (at [2]time.Time) {
	for i, name := range []string{c.files.CertFile, c.files.KeyFile} {
		if info, err := os.Stat(name); err == nil {
			at[i] = info.ModTime()
		}
	}
	return at
}
