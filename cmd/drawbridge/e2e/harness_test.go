//go:build e2e

// Package e2e holds Drawbridge against programs that its authors did not write: panva's oidc-provider as a foreign
// OpenID Provider and Keycloak as another, openid-client, oauth4webapi and express-openid-connect as foreign relying
// parties, Chromium as the browser, and receivers for hooks, webhooks and mail.
//
// It owns the programs in this folder (one Node program per foreign part, each described at its top) and the harness that
// runs them. The harness promises that a program is ready when its start function returns, that it is gone when the test
// is over, and that its output is in the log of a test that failed. It refuses to skip: where a part is missing the test
// fails, and `make deps` says what to install. Keycloak takes long to start and is one for all tests: each makes a realm
// of its own there, and runs when the tests that wait for nothing are done.
//
// Tests here live behind the build tag e2e because they need Node and Chromium; `make e2e` runs them. The environment
// makes them longer or repeats them: E2E_LOGINS (sign-ins of the load test, 100), E2E_KILLS and E2E_SEED (how often the
// program is killed, 4, and the moments), SCREENSHOTS (a folder that keeps the pictures), E2E_BINARY (a binary that is
// tested instead of the source).
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for a program to become ready or to end.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(standInVariable) != "" {
		os.Exit(standIn(os.Args[1:]))
	}
	code := m.Run()
	stopKeycloak()
	removeBinary()
	os.Exit(code)
}

// process is a child of the test: its output is kept, and it has ended when the test is over.
type process struct {
	name   string
	cmd    *exec.Cmd
	output *output
	ended  chan struct{}
	err    error // of Wait; read after ended is closed
}

// startProcess starts cmd. Its environment is the test's own with env on top. Whatever is still running when the test is
// over is killed, so a program that must end well is ended by whoever started it.
func startProcess(t *testing.T, name string, cmd *exec.Cmd, env map[string]string) *process {
	t.Helper()
	out := &output{}
	if cmd.Stdout == nil {
		cmd.Stdout = out
	}
	cmd.Stderr = out
	cmd.Env = append(os.Environ(), variables(env)...)
	cmd.WaitDelay = 5 * time.Second
	p := &process{name: name, cmd: cmd, output: out, ended: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("output of %s:\n%s", name, out)
		}
	})
	go func() {
		defer close(p.ended)
		p.err = cmd.Wait()
	}()
	return p
}

// terminate asks the process to end with SIGTERM and reports anything but exit code 0 within patience.
func (p *process) terminate() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.kill()
		return fmt.Errorf("%s still ran %v after SIGTERM", p.name, patience)
	}
	if p.err != nil {
		return fmt.Errorf("%s after SIGTERM: %w", p.name, p.err)
	}
	return nil
}

// kill ends the process without a chance to tidy up, and returns when it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // an error means that it has ended
	<-p.ended
}

// lifetime ends a little before the test binary's own deadline, so that its children never outlive it.
func lifetime(t *testing.T) context.Context {
	deadline, ok := t.Deadline()
	if !ok {
		return context.Background()
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline.Add(-5*time.Second))
	t.Cleanup(cancel)
	return ctx
}

// freeAddr returns a loopback address that nothing listens on, and no address twice. Its port lies below the range that
// the system hands out by itself, so that no connection takes it before its program does.
func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := unusedAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func unusedAddr() (string, error) {
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+rand.IntN(12000)))
		if _, given := givenAddrs.LoadOrStore(addr, true); given {
			continue
		}
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		return addr, listener.Close()
	}
	return "", errors.New("no free port between 20000 and 32000")
}

// givenAddrs are those that freeAddr has returned: their programs may not have begun to listen.
var givenAddrs sync.Map

func variables(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// output collects what a process prints; both of its streams may write at once.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
