//go:build e2e

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// drawbridge is a `drawbridge serve` of its own folder, which its relative paths lead into. It may be stopped or killed
// and started again on the same store.
type drawbridge struct {
	// publicURL and managementURL are the two listeners as base URLs, without a trailing slash.
	publicURL, managementURL string
	// configFile may be rewritten, to be read again.
	configFile string

	// client trusts the certificates that the configuration names.
	client *http.Client

	binary  string
	env     map[string]string
	running *process
}

// startDrawbridge builds the program once per run of the tests, starts `serve` on the configuration and returns when
// /readyz says so. The configuration must give both listeners a port (freeAddr); secrets that it takes from the
// environment come from env. When the test is over it ends by SIGTERM, and an exit code other than 0 fails the test.
func startDrawbridge(t *testing.T, configYAML string, env map[string]string) *drawbridge {
	t.Helper()
	binary, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	return startBinary(t, binary, configYAML, env)
}

func startBinary(t *testing.T, binary, configYAML string, env map[string]string) *drawbridge {
	t.Helper()
	var public listener
	var file struct {
		Management listener `yaml:"management"`
	}
	if err := errors.Join(yaml.Unmarshal([]byte(configYAML), &public), yaml.Unmarshal([]byte(configYAML), &file)); err != nil {
		t.Fatalf("read the configuration of this test: %v", err)
	}
	trusted := x509.NewCertPool()
	d := &drawbridge{
		publicURL:     public.base(t, trusted),
		managementURL: file.Management.base(t, trusted),
		configFile:    filepath.Join(t.TempDir(), "drawbridge.yaml"),
		client:        &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}},
		binary:        binary,
		env:           env,
	}
	d.configure(t, configYAML)
	d.start(t)
	return d
}

// listener is what the configuration says of one.
type listener struct {
	Listen string `yaml:"listen"`
	TLS    *struct {
		CertFile string `yaml:"cert_file"`
	} `yaml:"tls"`
}

// base is the listener's base URL; its certificate, if it has one, is trusted from here on.
func (l listener) base(t *testing.T, trusted *x509.CertPool) string {
	t.Helper()
	if l.TLS == nil {
		return "http://" + l.Listen
	}
	pem, err := os.ReadFile(l.TLS.CertFile)
	if err != nil || !trusted.AppendCertsFromPEM(pem) {
		t.Fatalf("read the certificate %s: %v", l.TLS.CertFile, err)
	}
	return "https://" + l.Listen
}

// configure rewrites the configuration file, at once as a careful operator would: a reader finds the old or the new one.
func (d *drawbridge) configure(t *testing.T, configYAML string) {
	t.Helper()
	written := d.configFile + ".new"
	if err := os.WriteFile(written, []byte(configYAML), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(written, d.configFile); err != nil {
		t.Fatal(err)
	}
}

// start runs `serve` on the store as the last run left it, and returns when it is ready.
func (d *drawbridge) start(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(lifetime(t), d.binary, "serve", "--config", d.configFile)
	cmd.Dir = filepath.Dir(d.configFile)
	p := startProcess(t, "drawbridge", cmd, d.env)
	d.running = p
	t.Cleanup(func() {
		if d.running == p {
			d.stop(t)
		}
	})
	if err := d.waitReady(); err != nil {
		t.Fatal(err)
	}
}

// waitReady returns when /readyz answers 200, or an error when the program ends first or patience does.
func (d *drawbridge) waitReady() error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	last := errors.New("not asked yet")
	for {
		select {
		case <-d.running.ended:
			return fmt.Errorf("drawbridge ended before it was ready: %w", d.running.err)
		case <-deadline:
			return fmt.Errorf("drawbridge was not ready within %v: %w", patience, last)
		case <-tick.C:
		}
		answer, err := d.client.Get(d.managementURL + "/readyz")
		if err != nil {
			last = err
			continue
		}
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return nil
		}
		last = fmt.Errorf("readyz answers %s", answer.Status)
	}
}

// stop ends the program by SIGTERM; an exit code other than 0 fails the test.
func (d *drawbridge) stop(t *testing.T) {
	t.Helper()
	p := d.running
	d.running = nil
	if err := p.terminate(); err != nil {
		t.Error(err)
	}
}

// kill ends the program by SIGKILL, in the middle of whatever it does.
func (d *drawbridge) kill() {
	d.running.kill()
	d.running = nil
}

// builtBinary compiles cmd/drawbridge at first use, unless E2E_BINARY names a binary, such as one out of an image. A
// variable, for the file lives as long as the test binary's run.
var builtBinary = sync.OnceValues(func() (string, error) {
	if given := os.Getenv("E2E_BINARY"); given != "" {
		return filepath.Abs(given)
	}
	folder, err := os.MkdirTemp("", "drawbridge-e2e-")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(folder, "drawbridge")
	build := exec.Command("go", "build", "-o", binary, "..")
	if printed, err := build.CombinedOutput(); err != nil {
		return "", errors.Join(fmt.Errorf("build drawbridge: %w\n%s", err, printed), os.RemoveAll(folder))
	}
	binaryFolder = folder
	return binary, nil
})

var binaryFolder string

func removeBinary() {
	if binaryFolder != "" {
		_ = os.RemoveAll(binaryFolder) // the system's temporary folder, and the tests have their verdict
	}
}
