//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/goccy/go-yaml"
)

// standInVariable makes the test binary behave like `drawbridge serve`, so that the harness is tested for what it must
// notice: a program that ends before it is ready, that ends badly, that leaves its store behind. Its value is the exit
// code after SIGTERM, or "broken" for a program that does not start.
const standInVariable = "DRAWBRIDGE_E2E_STANDIN"

func standIn(args []string) int {
	how := os.Getenv(standInVariable)
	if how == "broken" || len(args) != 3 || args[0] != "serve" || args[1] != "--config" {
		fmt.Fprintln(os.Stderr, "line 1: nothing here is right")
		return 1
	}
	content, err := os.ReadFile(args[2])
	var file struct {
		Management struct {
			Listen string `yaml:"listen"`
		} `yaml:"management"`
	}
	if err := errors.Join(err, yaml.Unmarshal(content, &file)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// The store: one byte for each start.
	store, err := os.OpenFile("starts", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer store.Close()
	_, _ = store.WriteString("x")

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var asked atomic.Int32
	server := &http.Server{Addr: file.Management.Listen, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) < 3 || r.URL.Path != "/readyz" {
			http.Error(w, "starting", http.StatusServiceUnavailable)
		}
	})}
	go func() {
		<-ctx.Done()
		_ = server.Shutdown(context.Background())
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if how == "0" {
		return 0
	}
	return 3
}

func standInConfig(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("listen: %s\nmanagement:\n  listen: %s\n", freeAddr(t), freeAddr(t))
}

func TestHarnessStopsKillsAndRestarts(t *testing.T) {
	d := startBinary(t, os.Args[0], standInConfig(t), map[string]string{standInVariable: "0"})
	d.stop(t)
	d.start(t)
	d.kill()
	d.start(t)
	starts, err := os.ReadFile(filepath.Join(filepath.Dir(d.configFile), "starts"))
	if err != nil || string(starts) != "xxx" {
		t.Errorf("the store says %q (%v), want three starts in one folder", starts, err)
	}
}

func TestHarnessNoticesABadExit(t *testing.T) {
	d := startBinary(t, os.Args[0], standInConfig(t), map[string]string{standInVariable: "3"})
	p := d.running
	d.running = nil // taken out of the harness's hands: its own check would fail this test
	if err := p.terminate(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("exit code 3 after SIGTERM gave %v", err)
	}
}

func TestHarnessNoticesAProgramThatDoesNotStart(t *testing.T) {
	p := startProcess(t, "drawbridge", exec.CommandContext(lifetime(t), os.Args[0], "serve"), map[string]string{standInVariable: "broken"})
	d := &drawbridge{managementURL: "http://" + freeAddr(t), client: http.DefaultClient, running: p}
	if err := d.waitReady(); err == nil || !strings.Contains(err.Error(), "ended before it was ready: exit status 1") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(p.output.String(), "nothing here is right") {
		t.Errorf("its output was lost: %q", p.output)
	}
}

func TestProgramsEndOnSIGTERM(t *testing.T) {
	for _, script := range []string{"provider.mjs", "rp-openid-client.mjs", "hook.mjs", "sink.mjs", "smtp.mjs"} {
		if err := startNode(t, script, nil).terminate(); err != nil {
			t.Error(err)
		}
	}
}
