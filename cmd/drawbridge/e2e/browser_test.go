//go:build e2e

package e2e

import (
	"image/png"
	"os"
	"strings"
	"testing"
)

func TestChromiumSignsInAndIsPhotographed(t *testing.T) {
	provider, party := pair(t, nil, nil)
	env := map[string]string{"START": party.url + "/", "UNTIL": party.url + "/callback", "LOGIN": "bob"}
	if os.Getenv("SCREENSHOTS") == "" {
		env["SCREENSHOTS"] = t.TempDir()
	}
	var got struct {
		URL         string   `json:"url"`
		Result      signedIn `json:"result"`
		Screenshots []string `json:"screenshots"`
		Problems    []string `json:"problems"`
	}
	if err := runNode(t, "browser-login.mjs", env, &got); err != nil {
		t.Fatal(err)
	}
	if got.Result.Claims["sub"] != "u-1002" || got.Result.Claims["iss"] != provider.url {
		t.Errorf("signed in as %v", got.Result.Claims)
	}
	if len(got.Problems) > 0 {
		t.Errorf("problems inside the pages: %q", got.Problems)
	}
	if len(got.Screenshots) != 3 {
		t.Errorf("%d screenshots, want login, consent and result: %q", len(got.Screenshots), got.Screenshots)
	}
	for _, path := range got.Screenshots {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.DecodeConfig(file)
		if err != nil || picture.Width != 1200 {
			t.Errorf("%s: %v, %d pixels wide", path, err, picture.Width)
		}
		_ = file.Close()
	}
}

func TestScreenshotsStayOutOfTheRepository(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, "browser-login.mjs", nodeCommand(t, "browser-login.mjs"), map[string]string{
		"START": "http://127.0.0.1:1/", "UNTIL": "http://127.0.0.1:1/", "SCREENSHOTS": here + "/shots",
	})
	<-p.ended
	if p.err == nil || !strings.Contains(p.output.String(), "must not be inside the repository") {
		t.Errorf("ended with %v: %s", p.err, p.output)
	}
}
