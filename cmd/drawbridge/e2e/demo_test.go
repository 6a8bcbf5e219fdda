//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// stop is what demo-walk.mjs found on one page of the demo.
type stop struct {
	URL, Title, Heading, Text string
	// Overflows says that the page is wider than the window.
	Overflows                    bool
	Who, Subject, Session, State string
	Refreshed, Notice, Idle      string
	Verdicts, Minted, Got        map[string]string
	Guard                        []string
	Asked                        struct{ ID, Email, Customer string }
	Call                         struct{ Status, Answer string }
	Deliveries                   []struct{ Event, Session string }
	Letters                      []struct{ To, Link string }
	Counts                       struct{ Webhooks, Mail string }
	Audit                        []string
	Visit                        struct {
		Subject  string            `json:"subject"`
		Session  string            `json:"session"`
		Upstream map[string]any    `json:"upstream"`
		Verdicts map[string]string `json:"verdicts"`
	}
}

// answer is what the call on top of the Users page was answered with.
func (s stop) answer(t *testing.T) (user struct {
	ID            string `json:"id"`
	Email         string `json:"email"`
	EmailVerified bool   `json:"email_verified"`
}) {
	t.Helper()
	if err := json.Unmarshal([]byte(s.Call.Answer), &user); err != nil {
		t.Errorf("%s: the answer shown is %q: %v", s.URL, s.Call.Answer, err)
	}
	return user
}

// ended are the events that the page shows for a session, empty if there are none.
func (s stop) ended(session string) string {
	var events []string
	for _, d := range s.Deliveries {
		if d.Session == session {
			events = append(events, d.Event)
		}
	}
	return strings.Join(events, " ")
}

func TestSomebodyWalksThroughTheDemoInChromium(t *testing.T) {
	stops := walkTheDemo(t)
	t.Run("every page", func(t *testing.T) { everyPage(t, stops) })
	t.Run("claims", func(t *testing.T) { claimsAreShown(t, stops) })
	t.Run("refresh", func(t *testing.T) { tokensAreRefreshed(t, stops) })
	t.Run("users", func(t *testing.T) { operationsAnswer(t, stops) })
	t.Run("mail", func(t *testing.T) { mailsArrive(t, stops) })
	t.Run("webhooks", func(t *testing.T) { endingsAreTold(t, stops) })
	t.Run("behind", func(t *testing.T) { demoIsOpenAboutItself(t, stops) })
}

// walkTheDemo runs the demo as somebody at a terminal does, takes Chromium through it, and ends it. What the pages
// complain about, and what the demo leaves behind, fails the test.
func walkTheDemo(t *testing.T) map[string]stop {
	t.Helper()
	left := t.TempDir()
	p := demo(t, map[string]string{"TMPDIR": left})
	shots := t.TempDir()
	if folder := os.Getenv("SCREENSHOTS"); folder != "" {
		shots = filepath.Join(folder, t.Name())
	}
	var got struct {
		Stops    map[string]stop
		Problems []string
	}
	if err := runNode(t, "demo-walk.mjs", map[string]string{"START": demoAddress(t, p), "SCREENSHOTS": shots}, &got); err != nil {
		t.Fatal(err)
	}
	for _, problem := range got.Problems {
		t.Errorf("inside a page: %s", problem)
	}
	if err := p.terminate(); err != nil {
		t.Error(err)
	}
	if files, err := os.ReadDir(left); err != nil || len(files) > 0 {
		t.Errorf("the demo left %v behind: %v", files, err)
	}
	if pictures, err := filepath.Glob(filepath.Join(shots, "*.png")); err != nil || len(pictures) < len(got.Stops) {
		t.Errorf("%d pictures of %d pages: %v", len(pictures), len(got.Stops), err)
	}
	return got.Stops
}

// demo starts `drawbridge demo`.
func demo(t *testing.T, env map[string]string, flags ...string) *process {
	t.Helper()
	binary, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(lifetime(t), binary, append([]string{"demo"}, flags...)...)
	cmd.Dir = t.TempDir()
	return startProcess(t, "drawbridge demo", cmd, env)
}

// demoAddress waits until the demo says where to open it.
func demoAddress(t *testing.T, p *process) string {
	t.Helper()
	said := regexp.MustCompile(`(?m)^Drawbridge demo: open (http://127\.0\.0\.1:\d+/)$`)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		if found := said.FindStringSubmatch(p.output.String()); found != nil {
			return found[1]
		}
		select {
		case <-p.ended:
			t.Fatalf("the demo ended before it said where to open it: %v", p.err)
		case <-deadline:
			t.Fatalf("the demo did not say where to open it within %v", patience)
		case <-tick.C:
		}
	}
}

func everyPage(t *testing.T, stops map[string]stop) {
	for _, name := range slices.Sorted(maps.Keys(stops)) {
		s := stops[name]
		if s.Title == "" || s.Heading == "" {
			t.Errorf("%s has the title %q and the heading %q", name, s.Title, s.Heading)
		}
		if s.Overflows {
			t.Errorf("%s is wider than the window", name)
		}
		for _, broken := range []string{"ZgotmplZ", "<no value>", "%!"} { // a template or a format that went wrong
			if strings.Contains(s.Text, broken) {
				t.Errorf("%s says %q: %s", name, broken, s.Text)
			}
		}
	}
	shop, provider := origin(stops["start"]), origin(stops["alice-login"])
	if provider == shop || !strings.HasPrefix(stops["alice-login"].URL, provider+"/authorize?") || stops["alice-login"].Heading != "Who are you?" {
		t.Errorf("signing in leads to %s: %s", stops["alice-login"].URL, stops["alice-login"].Heading)
	}
	for _, name := range []string{"alice", "bob", "carol", "signed-out"} {
		if at := stops[name].URL; at != shop+"/" {
			t.Errorf("%s ends at %s, not at the shop", name, at)
		}
	}
}

// origin is the scheme, host and port of the page's address.
func origin(s stop) string {
	return regexp.MustCompile(`^https?://[^/]*`).FindString(s.URL)
}

func claimsAreShown(t *testing.T, stops map[string]stop) {
	alice := stops["alice"]
	if alice.Who != "Signed in as Alice Liddell" || alice.State != "live" || alice.Subject == "" || alice.Session == "" {
		t.Errorf("%s: %q, session %q is %q", alice.Subject, alice.Who, alice.Session, alice.State)
	}
	for claim, verdict := range map[string]string{
		"sub": "refused", "group_permissions": "refused", "urn:onegini.com:oidc:tier": "withheld",
		"loyalty": "added", "department": "changed", "birthdate": "filtered", "email": "passed",
	} {
		if alice.Verdicts[claim] != verdict {
			t.Errorf("%s is shown as %q, want %q", claim, alice.Verdicts[claim], verdict)
		}
	}
	for claim, value := range map[string]string{
		"sub": `"` + alice.Subject + `"`, "group_permissions": "", "urn:onegini.com:oidc:tier": "", "loyalty": `"gold"`, "birthdate": "",
	} {
		if alice.Got[claim] != value {
			t.Errorf("the shop got %s as %s, want %s", claim, alice.Got[claim], value)
		}
	}
	if alice.Subject == alice.Visit.Upstream["sub"] {
		t.Errorf("sub is the provider's: %s", alice.Subject)
	}
	for _, claim := range []string{"iss", "aud", "exp", "sid", "nonce"} {
		if alice.Minted[claim] != "minted" {
			t.Errorf("%s is shown as %q, want minted", claim, alice.Minted[claim])
		}
	}
	if !slices.Equal(alice.Guard, []string{"group_permissions", "sub"}) {
		t.Errorf("the guard refused %q", alice.Guard)
	}
	shown := maps.Clone(alice.Verdicts)
	maps.Copy(shown, alice.Minted)
	if alice.Visit.Subject != alice.Subject || alice.Visit.Session != alice.Session || !maps.Equal(alice.Visit.Verdicts, shown) {
		t.Errorf("programs are told %+v, people %v", alice.Visit, shown)
	}
}

func tokensAreRefreshed(t *testing.T, stops map[string]stop) {
	before, after := stops["alice"], stops["alice-refreshed"]
	if after.Refreshed != "1" || !strings.HasPrefix(after.Notice, "New tokens") {
		t.Errorf("refreshed %s×: %q", after.Refreshed, after.Notice)
	}
	if after.Subject != before.Subject || after.Session != before.Session || !maps.Equal(after.Verdicts, before.Verdicts) {
		t.Errorf("refreshing made %s in session %s of %s in session %s", after.Subject, after.Session, before.Subject, before.Session)
	}
	if dead := stops["killed-and-refreshed"]; !strings.Contains(dead.Notice, "invalid_grant") || dead.State != "DESTROY" {
		t.Errorf("refreshing after the kill: the session is %q: %q", dead.State, dead.Notice)
	}
}

func operationsAnswer(t *testing.T, stops map[string]stop) {
	for _, want := range []struct{ stop, status string }{
		{"bob-get-by-id", "200"}, {"bob-get-by-email", "200"}, {"bob-get-by-customer", "200"}, {"bob-verification-mail", "202"},
		{"bob-confirmed-get-by-id", "200"}, {"bob-confirmed-verification-mail", "204"}, {"bob-reset-mail", "202"},
		{"carol-unverified", "200"}, {"carol-mark-verified", "204"}, {"carol-verified", "200"}, {"carol-delete", "204"}, {"carol-deleted", "404"},
	} {
		if got := stops[want.stop].Call.Status; got != want.status {
			t.Errorf("%s was answered with %s, want %s: %s", want.stop, got, want.status, stops[want.stop].Call.Answer)
		}
	}
	for user, at := range map[string]string{"bob": "bob@corp.example", "carol": "carol@elsewhere.example"} {
		asked := stops["users-"+user].Asked
		if asked.ID != stops[user].Subject || asked.Email != at || asked.Customer == "" {
			t.Errorf("the page asks about %+v, not about %s", asked, user)
		}
	}
	for _, want := range []struct {
		stop, user string
		verified   bool
	}{
		{"bob-get-by-id", "bob", false}, {"bob-get-by-email", "bob", false}, {"bob-get-by-customer", "bob", false},
		{"bob-confirmed-get-by-id", "bob", true}, {"carol-unverified", "carol", false}, {"carol-verified", "carol", true},
	} {
		got, asked := stops[want.stop].answer(t), stops["users-"+want.user].Asked
		if got.ID != asked.ID || got.Email != asked.Email || got.EmailVerified != want.verified {
			t.Errorf("%s: %+v", want.stop, got)
		}
	}
}

func mailsArrive(t *testing.T, stops map[string]stop) {
	bridge, provider := origin(stops["verification-link"]), origin(stops["alice-login"])
	verification, reset := stops["mail-verification"].Letters, stops["mail-reset"].Letters // the newest first
	if len(verification) != 1 || verification[0].To != "bob@corp.example" || verification[0].Link != stops["verification-link"].URL {
		t.Errorf("the mail box holds %+v after the verification mail", verification)
	}
	if len(reset) != 2 || reset[0].To != "bob@corp.example" || reset[0].Link != provider+"/reset" {
		t.Errorf("the mail box holds %+v after the reset mail", reset)
	}
	for _, want := range []struct{ stop, at, says string }{
		{"verification-link", bridge + "/email-verification?", "bob@corp.example"},
		{"verification-confirmed", bridge + "/email-verification", "Your e-mail address is confirmed."},
		{"reset-link", provider + "/reset", "Set a new password"},
	} {
		if s := stops[want.stop]; !strings.HasPrefix(s.URL, want.at) || !strings.Contains(s.Text, want.says) {
			t.Errorf("%s came to %s, want %s that says %q: %s", want.stop, s.URL, want.at, want.says, s.Text)
		}
	}
	if bridge == provider || bridge == origin(stops["start"]) {
		t.Errorf("the verification link leads to %s", bridge)
	}
}

func endingsAreTold(t *testing.T, stops map[string]stop) {
	for _, want := range []struct{ stop, of, event string }{
		{"webhook-logout", "alice", "LOGOUT"}, {"webhook-destroy", "alice-again", "DESTROY"},
		{"webhook-deleted", "carol", "DESTROY"}, {"webhook-idle-timeout", "alice-idle", "IDLE_TIMEOUT"},
	} {
		if got := stops[want.stop].ended(stops[want.of].Session); got != want.event {
			t.Errorf("%s: told that the session ended with %q, want %s", want.stop, got, want.event)
		}
	}
	if s := stops["signed-out"]; s.Who != "" || !strings.HasPrefix(s.Notice, "You are signed out") {
		t.Errorf("after signing out: %q, %q", s.Who, s.Notice)
	}
	if s := stops["killed-at-the-shop"]; s.State != "DESTROY" || s.Who != "The session of Alice Liddell has ended" {
		t.Errorf("after the kill: %q, %q", s.State, s.Who)
	}
	waiting, ended := stops["idle-waiting"], stops["idle-ended"]
	if waiting.Idle != "waiting" || waiting.ended(stops["alice-idle"].Session) != "" || ended.Idle != "IDLE_TIMEOUT" {
		t.Errorf("left alone, the session is %q and then %q", waiting.Idle, ended.Idle)
	}
	if s := stops["idle-at-the-shop"]; s.State != "IDLE_TIMEOUT" {
		t.Errorf("after it idled out, the shop says %q", s.State)
	}
	// Alice twice, Bob when Carol took his browser, Carol, Alice: one event each.
	if s := stops["configuration"]; s.Counts.Webhooks != "5" || s.Counts.Mail != "2" {
		t.Errorf("in the end there are %s deliveries and %s letters", s.Counts.Webhooks, s.Counts.Mail)
	}
}

func demoIsOpenAboutItself(t *testing.T, stops map[string]stop) {
	if !slices.Contains(stops["audit"].Audit, "claim refused") {
		t.Errorf("the audit trail does not tell of refused claims: %q", stops["audit"].Audit)
	}
	if text := stops["configuration"].Text; !strings.Contains(text, "issuer: "+origin(stops["verification-link"])) {
		t.Errorf("the configuration does not name the issuer: %s", text)
	}
}

func TestTheDemoWalksItselfOnce(t *testing.T) {
	left := t.TempDir()
	p := demo(t, map[string]string{"TMPDIR": left}, "--once")
	<-p.ended
	if p.err != nil {
		t.Errorf("ended with %v", p.err)
	}
	lines := 0
	for line := range bytes.Lines([]byte(p.output.String())) {
		lines++
		if !bytes.HasPrefix(line, []byte("ok ")) {
			t.Errorf("line %d: %s", lines, line)
		}
	}
	if lines < 20 {
		t.Errorf("only %d steps: %s", lines, p.output)
	}
	if files, err := os.ReadDir(left); err != nil || len(files) > 0 {
		t.Errorf("the demo left %v behind: %v", files, err)
	}
}
