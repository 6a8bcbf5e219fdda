package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Launch is what Drawbridge is started with.
type Launch struct {
	// Config is the text of its configuration file.
	Config []byte
	// Env looks up the secrets that the file refers to.
	Env func(name string) (value string, set bool)
	// Log is what it must log to: the demo shows its audit lines.
	Log *slog.Logger
}

// Running is a Drawbridge that takes requests.
type Running struct {
	// PublicURL and ManagementURL are its two listeners, without a slash at the
	// end.
	PublicURL, ManagementURL string
	// Done is closed when it has ended, also by itself; nil if nobody can tell.
	Done <-chan struct{}
	// Stop ends it and returns when it is gone, with what went wrong.
	Stop func(context.Context) error
}

// Options say how to demonstrate.
type Options struct {
	// Start starts Drawbridge in this process, listening where its configuration
	// says. The context bounds the start only: it goes on until Stop. An error
	// that is syscall.EADDRINUSE makes the demo choose another port and try
	// again. Required.
	Start func(context.Context, Launch) (*Running, error)
	// Out gets the address to open, or the report of the journey. Required.
	Out io.Writer
	// Once walks the journey without a browser, and ends.
	Once bool
	// Dir is where the store is kept. When empty it is a new folder, removed at
	// the end.
	Dir string
	// Log gets what Drawbridge logs; nil drops it.
	Log *slog.Logger
}

// ErrJourney says that a step of the journey failed; the report says which.
var ErrJourney = errors.New("the journey failed")

// The idle times of sessions: long enough to look at, or to walk through.
const (
	idleInteractive = 20 * time.Second
	idleOnce        = 4 * time.Second
	// patience bounds every wait for something that must happen.
	patience = 15 * time.Second
)

// Run demonstrates until the context ends, or until the journey has been
// walked. Nil is a clean end; ErrJourney is a journey that failed.
func Run(ctx context.Context, o Options) (err error) {
	if o.Start == nil || o.Out == nil {
		return errors.New("demo: needs a Drawbridge to start and somewhere to write to")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "drawbridge-demo-"); err != nil {
			return fmt.Errorf("make a folder for the store: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	}
	s, err := open(ctx, o)
	for try := 0; errors.Is(err, syscall.EADDRINUSE) && try < 3; try++ {
		s, err = open(ctx, o) // somebody took the port that was free a moment ago
	}
	if err != nil {
		return err
	}
	return s.run(ctx)
}

// stage is the demo with all its parts in place.
type stage struct {
	o       Options
	at      places
	doors   []door
	mailman smtpServer
	home    *home
	running *Running
}

// open takes the ports, starts Drawbridge and builds the parts around it.
func open(ctx context.Context, o Options) (*stage, error) {
	s := &stage{o: o}
	err := s.listen()
	if err == nil {
		err = s.build(ctx)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// build makes the parts and starts Drawbridge. The parts are not served yet:
// Drawbridge asks nothing of them before somebody signs in.
func (s *stage) build(ctx context.Context) error {
	shown, err := newPages(s.at.Public, s.at.Provider, s.at.Shop)
	if err != nil {
		return err
	}
	file, err := gateway(s.at)
	if err != nil {
		return err
	}
	known := newSecrets()
	idp, err := newProvider(providerOptions{
		Issuer: s.at.Provider, Client: registration{ID: "drawbridge", Secret: known.corp, RedirectURI: s.at.Public + "/callback/corp"},
		Pages: shown, Now: time.Now,
	})
	if err != nil {
		return err
	}
	s.home = &home{
		at: s.at, config: string(file), pages: shown, idp: idp, hook: newClaimsHook(known.hook, time.Now),
		sink: newSink(known.sink, time.Now), mail: newMailbox(time.Now), audit: newAuditTap(s.o.Log.Handler()),
		shop: newRelyingParty(relyingPartyOptions{
			Issuer: s.at.Public, Self: s.at.Shop, ClientID: "shop", Password: known.shop, Client: newClient(), Now: time.Now,
		}),
	}
	if s.running, err = s.o.Start(ctx, Launch{Config: file, Env: known.lookup, Log: slog.New(s.home.audit)}); err != nil {
		return fmt.Errorf("start Drawbridge: %w", err)
	}
	s.home.platform = newPlatform(s.running.ManagementURL, known.platform, newClient(), time.Now)
	s.mailman.take = s.home.mail.take
	for i, handler := range []http.Handler{idp, s.home.handler(), s.home.hook, s.home.sink} {
		s.doors[i].handler = handler
	}
	return nil
}

// newClient is a client for calls within this machine: no proxy, no waiting.
func newClient() *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute}}
}

// listen takes a free port for each part, and finds one for Drawbridge.
func (s *stage) listen() error {
	s.at = places{Path: filepath.Join(s.o.Dir, "drawbridge.db"), Idle: idleInteractive}
	if s.o.Once {
		s.at.Idle = idleOnce
	}
	for _, address := range []*string{&s.at.Provider, &s.at.Shop, &s.at.Hook, &s.at.Sink} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		s.doors = append(s.doors, door{listener: l})
		*address = "http://" + l.Addr().String()
	}
	mail, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for mails: %w", err)
	}
	s.mailman.listener, s.at.SMTP = mail, mail.Addr().String()
	// Drawbridge must know its own address before it listens: the issuer holds it.
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a port for Drawbridge: %w", err)
	}
	s.at.Listen = free.Addr().String()
	s.at.Public = "http://" + s.at.Listen
	return free.Close()
}

// close gives the ports back.
func (s *stage) close() {
	for _, d := range s.doors {
		_ = d.listener.Close() // closed already after a clean end
	}
	if s.mailman.listener != nil {
		_ = s.mailman.listener.Close()
	}
}

// run serves everything until the context or the journey ends. The parts go
// last: what Drawbridge still has to deliver finds its receiver.
func (s *stage) run(ctx context.Context) error {
	defer s.close()
	parts, closeParts := context.WithCancel(context.WithoutCancel(ctx))
	defer closeParts()
	group, serving := errgroup.WithContext(parts)
	for _, d := range s.doors {
		group.Go(func() error { return d.serve(serving) })
	}
	group.Go(func() error { return s.mailman.run(serving) })
	show, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(serving, stop)() // a part that fails ends the show
	err := s.show(show)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	err = errors.Join(err, s.running.Stop(end))
	closeParts()
	return errors.Join(err, group.Wait())
}

// show is the demonstration itself.
func (s *stage) show(ctx context.Context) error {
	if s.o.Once {
		return newJourney(s).walk(ctx)
	}
	fmt.Fprintf(s.o.Out, "Drawbridge demo: open %s/\nEverything runs in this process; Ctrl-C ends it and leaves nothing behind.\n", s.at.Shop)
	select {
	case <-ctx.Done():
		return nil
	case <-s.running.Done:
		return errors.New("the Drawbridge of this demo has ended by itself")
	}
}
