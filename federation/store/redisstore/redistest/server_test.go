package redistest

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestServerKeepsItsDataThroughKillAndStop(t *testing.T) {
	t.Parallel()
	s := Start(t)
	addr := s.Addr()
	s.Do(t, "SET", "a", "1")
	s.Kill()
	if _, err := s.Try(t.Context(), "PING"); err == nil || s.Running() {
		t.Fatal("a killed server answers")
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		_ = conn.Close()
		t.Fatal("a killed server accepts connections")
	}
	s.Restart(t)
	s.Do(t, "INCR", "a")
	s.Stop()
	if !strings.Contains(s.Log(), "User requested shutdown") {
		t.Fatalf("no clean end:\n%s", s.Log())
	}
	s.Restart(t)
	s.Do(t, "INCR", "a")
	s.Restart(t) // one that runs
	if got := s.Do(t, "GET", "a"); got != "3" || s.Addr() != addr {
		t.Fatalf("a is %v at %s, formerly at %s", got, s.Addr(), addr)
	}
	if got := s.Do(t, "GET", "nothing"); got != nil {
		t.Fatalf("nothing is %v", got)
	}
	if got := s.Client().Get(t.Context(), "a").Val(); got != "3" {
		t.Fatalf("the client sees %q", got)
	}
}

func TestLaterConfigurationWins(t *testing.T) {
	t.Parallel()
	s := Start(t, "appendfsync always", "requirepass first", "requirepass \"second\"\nmaxmemory 64mb")
	for name, want := range map[string]string{"appendfsync": "always", "maxmemory": "67108864", "save": "", "requirepass": "second"} {
		if got := s.Do(t, "CONFIG", "GET", name).([]any)[1]; got != want {
			t.Errorf("%s is %v, not %s", name, got, want)
		}
	}
	s.Do(t, "ACL", "SETUSER", "guest", "on", ">word", "+ping", "+acl|whoami")
	s.Login("guest", "word")
	if got := s.Do(t, "ACL", "WHOAMI"); got != "guest" {
		t.Errorf("logged in as %v", got)
	}
	if _, err := s.Try(t.Context(), "GET", "a"); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
		t.Errorf("GET gave %v", err)
	}
}

func TestPausedServerIsSilentAndGoesOn(t *testing.T) {
	t.Parallel()
	s := Start(t)
	s.Do(t, "SET", "a", "1")
	client := s.Client()
	s.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := client.Ping(ctx).Err(); !timedOut(err) {
		t.Errorf("a paused server says %v", err)
	}
	if _, err := s.Try(t.Context(), "PING"); err == nil {
		t.Error("Try waits for a paused server")
	}
	s.Resume()
	if got := s.Do(t, "GET", "a"); got != "1" {
		t.Errorf("a is %v", got)
	}
	s.Pause()
	s.Stop() // which a paused one has to notice
	if strings.Count(s.Log(), "bye bye") != 1 {
		t.Errorf("no clean end:\n%s", s.Log())
	}
}

func TestTakenPortIsNotTheEnd(t *testing.T) {
	t.Parallel()
	taken := Start(t)
	ports := []int{taken.Port(), taken.Port(), freePort()}
	s := start(t, plan{lines: common, ports: func() int {
		next := ports[0]
		ports = ports[1:]
		return next
	}})
	s.Do(t, "SET", "whose", "mine")
	if s.Port() == taken.Port() || taken.Do(t, "GET", "whose") != nil {
		t.Fatalf("two servers on %s", s.Addr())
	}
}

func TestBadConfigurationIsReported(t *testing.T) {
	t.Parallel()
	program, err := find()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{program: program, dir: t.TempDir(), port: freePort()}
	if err := s.configure(append(common(s.port), "no-such-directive 1")); err != nil {
		t.Fatal(err)
	}
	var refused *startError
	if err := s.launch(); !errors.As(err, &refused) || refused.portTaken() || !strings.Contains(err.Error(), "no-such-directive") {
		t.Fatalf("launch gave %v", err)
	}
}

func TestMissingProgramSaysHowToInstallIt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := find(); err == nil || !strings.Contains(err.Error(), "apt-get install redis-server") {
		t.Fatalf("find gave %v", err)
	}
}

// orphaned, when set, turns the test binary into the process that is killed.
const orphaned = "DRAWBRIDGE_REDISTEST_ORPHANED"

func TestServerDiesWithTheProcessOfItsTest(t *testing.T) {
	t.Parallel()
	if os.Getenv(orphaned) != "" {
		s := Start(t)
		_, _ = os.NewFile(3, "address").WriteString(s.Addr() + "\n")
		select {}
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = read.Close() }()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=2m")
	child.Env = append(os.Environ(), orphaned+"=1", "TMPDIR="+t.TempDir())
	child.ExtraFiles = []*os.File{write}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	addr, err := bufio.NewReader(read).ReadString('\n')
	addr = strings.TrimSpace(addr)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer client.Close()
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	wait(t, func() string {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			return "the server still answers at " + addr
		}
		return ""
	})
}

func TestTLSServerTrustsAndIsTrusted(t *testing.T) {
	t.Parallel()
	s, config := StartTLS(t, "tls-auth-clients yes")
	s.Do(t, "SET", "a", "1")
	s.Restart(t)
	client := redis.NewClient(&redis.Options{Addr: s.Addr(), TLSConfig: config, MaxRetries: -1})
	defer client.Close()
	if got, err := client.Get(t.Context(), "a").Result(); got != "1" || err != nil {
		t.Errorf("a is %q, %v", got, err)
	}
	strangers := map[string]*redis.Options{"without TLS": {}}
	for _, who := range []string{"without the authority", "without a certificate"} {
		strangers[who] = &redis.Options{TLSConfig: config.Clone()}
	}
	strangers["without the authority"].TLSConfig.RootCAs = nil
	strangers["without a certificate"].TLSConfig.Certificates = nil
	for who, o := range strangers {
		o.Addr, o.MaxRetries, o.DialerRetries = s.Addr(), -1, 1
		client := redis.NewClient(o)
		if err := client.Ping(t.Context()).Err(); err == nil {
			t.Errorf("%s: a PONG", who)
		}
		_ = client.Close()
	}
	if pem, err := os.ReadFile(s.CAFile()); err != nil || !strings.Contains(string(pem), "BEGIN CERTIFICATE") {
		t.Errorf("the authority on disk: %v", err)
	}
}
