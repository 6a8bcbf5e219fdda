package redistest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// The kernels in use give outgoing connections ports from 32768 up.
	lowestPort, highestPort = 12000, 32000

	portAttempts  = 20
	pollEvery     = 5 * time.Millisecond
	startPatience = 30 * time.Second
	stopPatience  = 5 * time.Second
)

// plan is what distinguishes one server from another before it runs.
type plan struct {
	// lines are the configuration after the common part; they are asked for
	// again with another port when the port was taken.
	lines    func(port int) []string
	sentinel bool
	tls      *tls.Config
	ports    func() int // freePort when nil
}

// start runs a server and waits until it is ready.
func start(t testing.TB, p plan) *Server {
	t.Helper()
	program, err := find()
	if err != nil {
		t.Fatal(err)
	}
	if p.ports == nil {
		p.ports = freePort
	}
	s := &Server{program: program, dir: t.TempDir(), sentinel: p.sentinel, tls: p.tls}
	t.Cleanup(func() { s.end(t) })
	for range portAttempts {
		s.port = p.ports()
		lines := p.lines(s.port)
		s.password = setting(lines, "requirepass")
		if err := s.configure(lines); err != nil {
			t.Fatal(err)
		}
		var refused *startError
		err := s.launch()
		if err == nil {
			return s
		}
		if !errors.As(err, &refused) || !refused.portTaken() {
			t.Fatal(err)
		}
	}
	t.Fatalf("redistest: no free port in %d attempts", portAttempts)
	return nil
}

// find is where the program is, or an error that says how to install it.
func find() (string, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return "", fmt.Errorf("redistest: redis-server is not installed; on Debian: apt-get install redis-server (%w)", err)
	}
	return program, nil
}

// freePort is a loopback port that nobody listens on. Somebody may before the
// server does; the server then ends, and start tries another.
func freePort() int {
	for {
		port := lowestPort + rand.N(highestPort-lowestPort)
		l, err := net.Listen("tcp", loopback(port))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// common is the configuration of a server that keeps data.
func common(port int) []string {
	return []string{
		"port " + strconv.Itoa(port),
		`save ""`,
		"appendonly yes",
		"appendfsync everysec",
		"auto-aof-rewrite-percentage 0",
		"enable-debug-command local",
		"repl-diskless-sync-delay 0",
		"repl-ping-replica-period 1",
		"shutdown-timeout 1",
	}
}

// setting is the last value of a directive, without quotes.
func setting(lines []string, directive string) string {
	value := ""
	for line := range strings.Lines(strings.Join(lines, "\n")) {
		if name, rest, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.EqualFold(name, directive) {
			value = strings.Trim(strings.TrimSpace(rest), `"'`)
		}
	}
	return value
}

func (s *Server) configure(lines []string) error {
	own := []string{
		"bind 127.0.0.1", "protected-mode no", "daemonize no", `logfile ""`, "loglevel notice",
		"dir " + strconv.Quote(s.dir),
	}
	return os.WriteFile(s.conf(), []byte(strings.Join(append(own, lines...), "\n")+"\n"), 0o600)
}

func (s *Server) conf() string    { return filepath.Join(s.dir, "redis.conf") }
func (s *Server) logfile() string { return filepath.Join(s.dir, "redis.log") }

// startError is a server that ended before it was ready.
type startError struct{ log string }

func (e *startError) Error() string { return "redistest: redis-server does not start:\n" + e.log }

func (e *startError) portTaken() bool { return strings.Contains(e.log, "Failed listening on port") }

// launch runs the program with what configure wrote, and waits until it is
// ready. What it wrote into its log is the error when it ends before that.
func (s *Server) launch() error {
	log, err := os.OpenFile(s.logfile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	before := len(s.Log())
	args, ready := []string{s.conf()}, "Ready to accept connections"
	if s.sentinel {
		args, ready = append(args, "--sentinel"), "Sentinel ID is"
	}
	cmd := exec.Command(s.program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, log, log
	proc, err := spawn(cmd)
	if err != nil {
		return err
	}
	patience := time.After(startPatience)
	for !strings.Contains(s.Log()[before:], ready) {
		select {
		case <-proc.exited:
			return &startError{s.Log()[before:]}
		case <-patience:
			proc.kill()
			return fmt.Errorf("redistest: redis-server is not ready after %v:\n%s", startPatience, s.Log()[before:])
		case <-time.After(pollEvery):
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc, s.paused = proc, false
	return nil
}
