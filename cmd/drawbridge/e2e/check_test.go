//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// runDrawbridge runs a command of the program to its end.
func runDrawbridge(t *testing.T, args ...string) (stdout, stderr string, exit int) {
	t.Helper()
	binary, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(lifetime(t), binary, args...)
	cmd.Env = append(os.Environ(), variables(worldEnv())...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // the exit code says it
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestCheckPrintsTheCallbacksOfAGoodFile(t *testing.T) {
	out, errs, exit := runDrawbridge(t, "check", "--config", "../../../config/examples/gateway.yaml")
	if exit != 0 || !strings.Contains(out, "http://127.0.0.1:8080/callback/corp") {
		t.Errorf("exit %d\n%s%s", exit, out, errs)
	}
	if strings.Contains(out+errs, shopSecret) {
		t.Error("a secret was printed")
	}
}

func TestCheckReportsEveryProblemOfABadFile(t *testing.T) {
	good, err := os.ReadFile("../../../config/examples/gateway.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// Each replaces a text of the good file; the problem is at its marked column of the line with `bad`.
	problems := []struct{ good, bad, at, want string }{
		{"engine: bolt", "engine: bold", "bold", "store.engine: "},
		{"listen: 127.0.0.1:8081", "listn: 127.0.0.1:8081", "listn", "management.listn: unknown key; did you mean listen?"},
		{"client_secret: \"${env:SHOP_SECRET}\"", "client_secret: \"${env:NOT_SET}\"", "\"${env:NOT_SET}", "clients[0].client_secret: "},
		{"consent: skip", "consent: sometimes", "sometimes", "clients[0].consent: "},
		{"upstreams: [corp]", "upstreams: [crop]", "crop", "clients[0].upstreams[0]: "},
		{"idle_timeout: 30m", "idle_timeout: 30", "30", "session.idle_timeout: "},
	}
	text := string(good)
	for _, p := range problems {
		if strings.Count(text, p.good) != 1 {
			t.Fatalf("%q is not there exactly once", p.good)
		}
		text = strings.Replace(text, p.good, p.bad, 1)
	}
	file := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, exit := runDrawbridge(t, "check", "--config", file)
	if exit != 1 || out != "" {
		t.Errorf("exit %d with %q on standard output", exit, out)
	}
	for _, p := range problems {
		if want := fmt.Sprintf("%s:%s: %s", file, position(text, p.bad, p.at), p.want); !strings.Contains(errs, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if n := strings.Count(errs, file+":"); n != len(problems) {
		t.Errorf("%d problems are reported, want %d:\n%s", n, len(problems), errs)
	}
	if out, errs, exit := runDrawbridge(t, "serve", "--config", file); exit != 1 || !strings.Contains(errs, "store.engine") {
		t.Errorf("serve with the bad file: exit %d\n%s%s", exit, out, errs)
	}
}

// position is the line and the column of a mark within the first line that has the text.
func position(file, text, mark string) string {
	before, _, _ := strings.Cut(file, text)
	line := strings.Count(before, "\n") + 1
	column := len(before) - strings.LastIndex(before, "\n") + strings.Index(text, mark)
	return fmt.Sprintf("%d:%d", line, column)
}

func TestCheckReportsWhatOnlyBuildingShows(t *testing.T) {
	good, err := os.ReadFile("../../../config/examples/gateway.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(good), "${OidcSid}", "${NoSuchProperty}", 1)
	text = strings.Replace(text, "      hook: enrich\n", "      hook: enrich\n      examples:\n        - {claims: {sub: x, dept: sales}, expect: {department: board}}\n", 1)
	file := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, errs, exit := runDrawbridge(t, "check", "--config", file)
	if exit != 1 {
		t.Errorf("exit %d", exit)
	}
	for _, want := range []string{
		fmt.Sprintf("%s:%s: session_webhooks[0].body: ", file, position(text, "    body: '", "'")),
		fmt.Sprintf("%s:%s: clients[0].claims.examples[0]: ", file, position(text, "        - {claims:", "{claims:")),
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("it does not say %q:\n%s", want, errs)
		}
	}
}
