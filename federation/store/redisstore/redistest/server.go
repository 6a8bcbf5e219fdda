package redistest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Server is one redis-server. Its methods can be called from any goroutine,
// those that take a testing.TB from the test's own.
type Server struct {
	program, dir string
	port         int
	sentinel     bool
	tls          *tls.Config
	ca           string

	mu             sync.Mutex
	user, password string
	proc           *process
	paused         bool
	client         *redis.Client
}

// Start runs a server that keeps its data in an append-only file, synced every
// second. Lines of configuration are added, and the later one wins; port and
// log are not theirs to change. A requirepass among them is what Do and Client
// log in with.
func Start(t testing.TB, conf ...string) *Server {
	t.Helper()
	return start(t, plan{lines: func(port int) []string { return append(common(port), conf...) }})
}

// Addr is the host and port that the server listens on.
func (s *Server) Addr() string { return loopback(s.port) }

// Port is the port that the server listens on, with TLS or without.
func (s *Server) Port() int { return s.port }

// Log is what the server has written into its log since Start.
func (s *Server) Log() string {
	said, err := os.ReadFile(s.logfile())
	if err != nil {
		return ""
	}
	return string(said)
}

// Kill ends the server as kill -9 does, and waits until it is gone.
func (s *Server) Kill() {
	if proc := s.leave(); proc != nil {
		proc.kill()
	}
}

// Stop lets the server end cleanly, and waits until it has. One that takes too
// long is killed.
func (s *Server) Stop() {
	if proc := s.leave(); proc != nil {
		proc.stop(stopPatience)
	}
}

// leave takes the process out of the server, with the connections to it.
func (s *Server) leave() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	proc := s.proc
	s.proc, s.paused = nil, false
	if s.client != nil {
		_ = s.client.Close()
		s.client = nil
	}
	return proc
}

// end is how a test leaves its server behind.
func (s *Server) end(t testing.TB) {
	s.Kill()
	if t.Failed() {
		said := strings.Split(strings.TrimSpace(s.Log()), "\n")
		t.Logf("redis-server %s said at last:\n%s", s.Addr(), strings.Join(said[max(0, len(said)-20):], "\n"))
	}
}

// Pause stops the server where it is (SIGSTOP): its connections stay open and
// nothing answers.
func (s *Server) Pause() { s.halt(true, syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (s *Server) Resume() { s.halt(false, syscall.SIGCONT) }

func (s *Server) halt(paused bool, sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.signal(sig)
		s.paused = paused
	}
}

// Restart runs the server again, on the same port with the data that is there.
// One that still runs is stopped cleanly before.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop()
	patience := time.Now().Add(startPatience)
	for {
		err := s.launch()
		if err == nil {
			return
		}
		// A port that somebody took meanwhile may come free again.
		var refused *startError
		if !errors.As(err, &refused) || !refused.portTaken() || time.Now().After(patience) {
			t.Fatal(err)
		}
		time.Sleep(pollEvery)
	}
}

// Running says whether the server is there and not paused.
func (s *Server) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc != nil && s.proc.running() && !s.paused
}

// Login is who Do and Client are from now on; without it they are the default
// user.
func (s *Server) Login(user, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user, s.password = user, password
	if s.client != nil {
		_ = s.client.Close()
		s.client = nil
	}
}

// Client is a client of this server that tries everything once and speaks
// RESP2. It is closed by Kill, Stop, Restart and the end of the test; after
// these there is a new one.
func (s *Server) Client() *redis.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil {
		s.client = redis.NewClient(&redis.Options{
			Addr: s.Addr(), Username: s.user, Password: s.password, TLSConfig: s.tls,
			Protocol: 2, MaxRetries: -1, DialerRetries: 1, DisableIdentity: true, ContextTimeoutEnabled: true, ReadTimeout: time.Minute,
		})
	}
	return s.client
}

// Do sends a command and gives its answer: a string, an int64, a []any of
// these, or nil. Any error ends the test.
func (s *Server) Do(t testing.TB, args ...any) any {
	t.Helper()
	// The context of a test is over when its cleanups run; commands are not.
	answer, err := s.Try(context.WithoutCancel(t.Context()), args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return answer
}

// Try is Do with the error as an answer. It does not wait for a server that is
// down or paused.
func (s *Server) Try(ctx context.Context, args ...any) (any, error) {
	if !s.Running() {
		return nil, fmt.Errorf("redistest: %s does not run", s.Addr())
	}
	answer, err := s.Client().Do(ctx, args...).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return answer, err
}
