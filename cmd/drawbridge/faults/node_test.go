//go:build faults

package faults

import (
	"errors"
	"fmt"
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

// node is one process of a program, in a folder of its own. It is started again
// at the same addresses and on the same store.
type node struct {
	name, folder, binary string
	args                 []string
	// public and management are host:port.
	public, management string

	mu      sync.Mutex
	cmd     *exec.Cmd
	ended   chan struct{}
	err     error // of Wait; read after ended is closed
	stopped bool  // by SIGSTOP
}

// start runs the process and returns when /readyz says so.
func (n *node) start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	log, err := os.OpenFile(n.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(n.binary, n.args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = n.folder, log, log
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	n.cmd, n.ended, n.stopped, n.err = cmd, ended, false, nil
	go func() {
		n.err = cmd.Wait()
		close(ended)
	}()
	return n.waitReady(cmd, ended)
}

func (n *node) logFile() string { return filepath.Join(n.folder, n.name+".log") }

func (n *node) waitReady(cmd *exec.Cmd, ended chan struct{}) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		select {
		case <-ended:
			return fmt.Errorf("%s ended before it was ready: %w", n.name, n.err)
		default:
		}
		if n.ready() {
			return nil
		}
	}
	_ = cmd.Process.Kill() // an error means that it has ended
	return fmt.Errorf("%s was not ready within %v", n.name, patience)
}

// ready asks /readyz.
func (n *node) ready() bool {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + n.management + "/readyz")
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// running says whether the process is there, also where it is stopped.
func (n *node) running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.alive()
}

func (n *node) alive() bool {
	if n.cmd == nil {
		return false
	}
	select {
	case <-n.ended:
		return false
	default:
		return true
	}
}

// kill ends the process without a chance to tidy up, and returns when it is gone.
func (n *node) kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.alive() {
		_ = n.cmd.Process.Kill() // an error means that it has ended
		<-n.ended
	}
	n.stopped = false
}

// pause stops the process, resume lets it go on.
func (n *node) pause()  { n.signal(syscall.SIGSTOP, true) }
func (n *node) resume() { n.signal(syscall.SIGCONT, false) }

func (n *node) signal(s syscall.Signal, stopped bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.alive() {
		_ = n.cmd.Process.Signal(s) // an error means that it has ended
		n.stopped = stopped
	}
}

// halted says whether the process is stopped by pause.
func (n *node) halted() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stopped
}

// terminate asks the process to end and reports anything but exit code 0.
func (n *node) terminate() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.alive() {
		return fmt.Errorf("%s had ended already: %w", n.name, n.err)
	}
	_ = n.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	select {
	case <-n.ended:
	case <-time.After(patience):
		_ = n.cmd.Process.Kill()
		<-n.ended
		return fmt.Errorf("%s still ran %v after SIGTERM", n.name, patience)
	}
	if n.err != nil {
		return fmt.Errorf("%s after SIGTERM: %w", n.name, n.err)
	}
	return nil
}

func (n *node) pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.alive() {
		return 0
	}
	return n.cmd.Process.Pid
}

// owns says whether the process has the local end of a TCP connection, by what
// Linux shows in /proc.
func (n *node) owns(local string) bool {
	pid := n.pid()
	inode := inodeOf(local)
	if pid == 0 || inode == "" {
		return false
	}
	folder := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(folder, e.Name())); err == nil && to == "socket:["+inode+"]" {
			return true
		}
	}
	return false
}

// inodeOf is the inode of an IPv4 TCP socket by its local address.
func inodeOf(local string) string {
	host, port, err := net.SplitHostPort(local)
	ip := net.ParseIP(host).To4()
	n, err2 := strconv.Atoi(port)
	if err != nil || err2 != nil || ip == nil {
		return ""
	}
	want := fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], n)
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 9 && f[1] == want {
			return f[9]
		}
	}
	return ""
}

// freeAddr is a loopback address that nothing listens on, below the ports that
// the system gives to connections, and none twice.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 200 {
		addr := "127.0.0.1:" + strconv.Itoa(12000+rand.IntN(8000))
		if _, given := givenAddrs.LoadOrStore(addr, true); given {
			continue
		}
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		return addr
	}
	t.Fatal("no free port between 12000 and 20000")
	return ""
}

// givenAddrs are those that freeAddr has returned: their programs may not have
// begun to listen.
var givenAddrs sync.Map

// dieWithParent makes the kernel kill the child when the test process is gone.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

var errSkipped = errors.New("there was nobody to do it to")
