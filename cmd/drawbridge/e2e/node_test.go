//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"net"
	"os/exec"
	"testing"
	"time"
)

// program is one of the Node programs of this folder, running.
type program struct {
	*process
	// url is where it listens, without a trailing slash.
	url string
	// ready holds everything its ready line said.
	ready map[string]any
}

// startNode starts a program of this folder that keeps running and returns when it is ready. It ends with the test, by
// its standard input closing; an exit code other than 0 fails the test.
func startNode(t *testing.T, script string, env map[string]string) *program {
	t.Helper()
	cmd := nodeCommand(t, script)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said := &readyLine{line: make(chan []byte, 1)}
	cmd.Stdout = said
	p := startProcess(t, script, cmd, env)
	t.Cleanup(func() {
		_ = stdin.Close() // an error means that the program has ended
		select {
		case <-p.ended:
			if p.err != nil {
				t.Errorf("%s ended with: %v", script, p.err)
			}
		case <-time.After(patience):
			t.Errorf("%s still ran %v after its standard input closed", script, patience)
		}
	})
	started := &program{process: p}
	select {
	case line := <-said.line:
		if err := json.Unmarshal(line, &started.ready); err != nil {
			t.Fatalf("ready line of %s: %v: %s", script, err, line)
		}
	case <-p.ended:
		t.Fatalf("%s ended before it was ready: %v", script, p.err)
	case <-time.After(patience):
		t.Fatalf("%s was not ready within %v", script, patience)
	}
	started.url, _ = started.ready["url"].(string)
	return started
}

// readyLine is a program's standard output: it hands over the first line that says ready, and drops the others, for what
// a program logs goes to standard error.
type readyLine struct {
	begun []byte
	said  bool
	line  chan []byte
}

func (r *readyLine) Write(p []byte) (int, error) {
	if r.said {
		return len(p), nil
	}
	r.begun = append(r.begun, p...)
	for {
		line, rest, whole := bytes.Cut(r.begun, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		if bytes.HasPrefix(line, []byte(`{"ready":`)) {
			r.said = true
			r.line <- bytes.Clone(line)
			return len(p), nil
		}
		r.begun = rest
	}
}

// runNode runs a program of this folder to its end and decodes the JSON line it prints. The returned error is the
// program's own exit; a line that is missing or not JSON fails the test.
func runNode(t *testing.T, script string, env map[string]string, into any) error {
	t.Helper()
	var stdout bytes.Buffer
	cmd := nodeCommand(t, script)
	cmd.Stdout = &stdout
	p := startProcess(t, script, cmd, env)
	<-p.ended
	if err := json.Unmarshal(stdout.Bytes(), into); err != nil {
		t.Fatalf("%s printed no JSON (%v, exit %v): %s", script, err, p.err, stdout.String())
	}
	return p.err
}

func nodeCommand(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("find node (make deps says how to install it): %v", err)
	}
	return exec.CommandContext(lifetime(t), path, script)
}

// portOf is the port of a host:port address, for a program's PORT variable.
func portOf(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}
