package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/demo"
)

// TestTheDemoWalksTheWholeJourney is the main job end to end, in this process:
// sign-in, hook, guard, Users operations, mails, timeouts and webhooks.
func TestTheDemoWalksTheWholeJourney(t *testing.T) {
	var report bytes.Buffer
	if err := demo.Run(t.Context(), demo.Options{Start: startForDemo, Out: &report, Once: true, Dir: t.TempDir()}); err != nil {
		t.Fatalf("%v\n%s", err, report.String())
	}
	if n := strings.Count(report.String(), "ok "); n < 20 || strings.Contains(report.String(), "FAIL") {
		t.Errorf("%d steps:\n%s", n, report.String())
	}
}
