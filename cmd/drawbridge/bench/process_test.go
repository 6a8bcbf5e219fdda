//go:build bench

package bench

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for a process to become ready or to end.
const patience = 30 * time.Second

// drawbridge is one run of the released binary, in a folder of its own.
type drawbridge struct {
	cmd *exec.Cmd
	// public and management are the base URLs of the listeners.
	public, management string
	// ready is the time from the start of the process to the first 200 of /readyz.
	ready time.Duration
	ended chan struct{}
	err   error // of Wait; read after ended is closed
}

// house is a configuration and a store on which the binary can be started again.
type house struct {
	folder, public, management string
}

// newHouse writes the configuration. It is given the public and the management address.
func newHouse(t *testing.T, configure func(public, management string) string) house {
	t.Helper()
	h := house{folder: t.TempDir(), public: freeAddr(t), management: freeAddr(t)}
	if err := os.WriteFile(filepath.Join(h.folder, "drawbridge.yaml"), []byte(configure(h.public, h.management)), 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

// start runs the binary until it is ready. It is stopped when the test is over, if not before.
func (h house) start(t *testing.T) *drawbridge {
	t.Helper()
	binary, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(h.folder, "drawbridge.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // the child has its own
	d := &drawbridge{public: "http://" + h.public, management: "http://" + h.management, ended: make(chan struct{})}
	d.cmd = exec.Command(binary, "serve", "--config", "drawbridge.yaml")
	d.cmd.Dir, d.cmd.Stderr = h.folder, log
	began := time.Now()
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.ended)
		d.err = d.cmd.Wait()
	}()
	t.Cleanup(func() { d.stop(t) })
	err = d.waitReady()
	d.ready = time.Since(began)
	if err != nil {
		said, _ := os.ReadFile(log.Name())
		t.Fatalf("%v:\n%s", err, said)
	}
	return d
}

func (d *drawbridge) waitReady() error {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		select {
		case <-d.ended:
			return fmt.Errorf("drawbridge ended before it was ready: %w", d.err)
		default:
		}
		answer, err := client.Get(d.management + "/readyz")
		if err != nil {
			continue
		}
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("drawbridge was not ready within %v", patience)
}

// stop ends the process by SIGTERM; an exit code other than 0 fails the test.
func (d *drawbridge) stop(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	select {
	case <-d.ended:
	case <-time.After(patience):
		t.Errorf("drawbridge still ran %v after SIGTERM", patience)
		_ = d.cmd.Process.Kill() // an error means that it has ended
		<-d.ended
	}
	if d.err != nil {
		t.Errorf("drawbridge ended: %v", d.err)
	}
}

func (d *drawbridge) pid() int { return d.cmd.Process.Pid }

// metric is a counter of /metrics without labels.
func (d *drawbridge) metric(t *testing.T, name string) float64 {
	t.Helper()
	answer, err := (&http.Client{Timeout: patience}).Get(d.management + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	t.Fatalf("/metrics has no %s", name)
	return 0
}

// cpuOf is the processor time that a process has used, all its threads together, to the tick of 10 ms (proc(5)).
func cpuOf(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	text := string(stat)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // from the third field on
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// memoryOf is a figure of /proc/<pid>/status in MB: VmRSS is what is resident, RssAnon what of it is no file.
func memoryOf(t *testing.T, pid int, name string) float64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), name+":")
	kilobytes, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes / 1024
}

// freeAddr is a loopback address that nothing listens on, below the ports that the system gives to connections.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(10000)))
		if err != nil {
			continue
		}
		defer listener.Close()
		return listener.Addr().String()
	}
	t.Fatal("no free port")
	return ""
}

// builtBinary compiles cmd/drawbridge at first use, as a release is. A variable, for the file lives as long as the run.
var builtBinary = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "drawbridge-bench-")
	if err != nil {
		return "", err
	}
	binaryFolder = folder
	binary := filepath.Join(folder, "drawbridge")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if printed, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build drawbridge: %w\n%s", err, printed)
	}
	return binary, nil
})

var binaryFolder string

func removeBinary() {
	if binaryFolder != "" {
		_ = os.RemoveAll(binaryFolder) // the system's temporary folder, and the figures are out
	}
}

// drain reads a body to its end, so that its connection is used again.
func drain(body io.ReadCloser) error {
	_, err := io.Copy(io.Discard, body)
	return errors.Join(err, body.Close())
}
