//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// keycloakPatience bounds the wait for Keycloak, which takes its time while other tests run.
const keycloakPatience = 4 * time.Minute

// keycloakAdmin and keycloakPassword open Keycloak's administration.
const (
	keycloakAdmin    = "admin"
	keycloakPassword = "admin-password-of-the-tests"
)

// keycloakProgram is the one Keycloak of a run of the tests: it takes long to start, and realms keep tests apart.
type keycloakProgram struct {
	url    string
	alive  io.Closer // the standard input of what keeps it running
	cmd    *exec.Cmd
	output *output
	// up returns when it can be used; the first that asks waits with the others.
	up func() error
}

// runningKeycloak starts Keycloak at first use and does not wait for it. A variable, for it lives as long as the test
// binary's run.
var runningKeycloak = sync.OnceValues(startKeycloak)

// startedKeycloak is what TestMain ends; nil where no test has asked for one.
var startedKeycloak *keycloakProgram

func startKeycloak() (*keycloakProgram, error) {
	home, err := keycloakHome()
	if err != nil {
		return nil, err
	}
	addr, err := unusedAddr()
	management, otherErr := unusedAddr()
	if err := errors.Join(err, otherErr); err != nil {
		return nil, err
	}
	_, port, _ := strings.Cut(addr, ":")
	_, managementPort, _ := strings.Cut(management, ":")
	// The shell ends Keycloak when its standard input closes: also when this process is gone in a way that tidies nothing up.
	args := []string{
		"-c", `"$@" </dev/null & read -r end; kill -KILL $!; wait`, "keycloak",
		"nice", "-n", "10", "java", "-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Duser.language=en",
		"--add-opens=java.base/java.util=ALL-UNNAMED", "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED", "--add-opens=java.base/java.security=ALL-UNNAMED",
		"-Dkc.home.dir=" + home, "-Djboss.server.config.dir=" + filepath.Join(home, "conf"), "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
		"-Dpicocli.disable.closures=true", "-cp", filepath.Join(home, "lib", "quarkus-run.jar"), "io.quarkus.bootstrap.runner.QuarkusEntryPoint",
		"start", "--optimized", "--cache=local", "--hostname-strict=false",
		"--http-enabled=true", "--http-host=127.0.0.1", "--http-port=" + port, "--http-management-port=" + managementPort,
	}
	k := &keycloakProgram{url: "http://" + addr, cmd: exec.Command("sh", args...), output: &output{}}
	k.cmd.Stdout, k.cmd.Stderr = k.output, k.output
	k.cmd.Env = append(os.Environ(), "KC_BOOTSTRAP_ADMIN_USERNAME="+keycloakAdmin, "KC_BOOTSTRAP_ADMIN_PASSWORD="+keycloakPassword)
	if k.alive, err = k.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := k.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start Keycloak: %w", err)
	}
	k.up = sync.OnceValue(func() error { return k.waitReady("http://" + management + "/health/ready") })
	startedKeycloak = k
	return k, nil
}

// keycloakHome is where .ci/deps has unpacked the version that keycloak.sha256 names.
func keycloakHome() (string, error) {
	pinned, err := os.ReadFile("keycloak.sha256")
	if err != nil {
		return "", err
	}
	_, archive, _ := strings.Cut(strings.TrimSpace(string(pinned)), "  ")
	version := strings.TrimSuffix(strings.TrimPrefix(archive, "keycloak-quarkus-dist-"), ".zip")
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	home := filepath.Join(cache, "drawbridge", "keycloak-"+version)
	if _, err := os.Stat(filepath.Join(home, ".ready")); err != nil {
		return "", fmt.Errorf("find Keycloak (make deps fetches it): %w", err)
	}
	return home, nil
}

func (k *keycloakProgram) waitReady(health string) error {
	client := &http.Client{Timeout: 5 * time.Second}
	for deadline := time.Now().Add(keycloakPatience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		answer, err := client.Get(health)
		if err != nil {
			continue
		}
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("keycloak was not ready within %v: %s", keycloakPatience, k.output)
}

// stopKeycloak ends it where there is one.
func stopKeycloak() {
	if startedKeycloak == nil {
		return
	}
	_ = startedKeycloak.alive.Close() // an error means that it has ended
	_ = startedKeycloak.cmd.Wait()    // it is killed, which is no exit code to judge
}
