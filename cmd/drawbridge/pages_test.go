package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/config"
)

// TestMessagesOfTheOperator: what is wrong with a folder of messages is found
// by a check, and what is merely missing is told.
func TestMessagesOfTheOperator(t *testing.T) {
	for name, tc := range map[string]struct {
		files  map[string]string
		locale string
		folder string
		want   []string // of problems
		told   string
	}{
		"none":              {},
		"an override":       {files: map[string]string{"de.yaml": "logout.title: Ausloggen?"}, locale: "de"},
		"a new language":    {files: map[string]string{"nl.yaml": "logout.title: Uitloggen?"}, locale: "nl", told: "pages: nl has no message for account.signed_in, "},
		"unknown key":       {files: map[string]string{"de.yaml": "logout.tittle: x\nchoose.title: y"}, want: []string{"pages.messages: de.yaml: choose.title: the placeholder {client} is missing", "pages.messages: de.yaml: logout.tittle: is not a message of any page"}},
		"not YAML":          {files: map[string]string{"de.yaml": "a: [b"}, want: []string{"pages.messages: de.yaml: must be a map"}},
		"no such folder":    {folder: "nowhere", want: []string{"pages.messages: the folder cannot be read"}},
		"a file":            {files: map[string]string{"de.yaml": ""}, folder: "de.yaml", want: []string{"pages.messages: "}},
		"no such language":  {locale: "nl", want: []string{"pages.default_locale: there are no messages in this language"}},
		"a wrong file name": {files: map[string]string{"readme.txt": ""}, want: []string{"pages.messages: readme.txt: must be named after a language"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range tc.files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cfg := config.Config{Issuer: "http://127.0.0.1:8080", Tenants: []config.Tenant{{ID: "default", Issuer: "http://127.0.0.1:8080"}}}
			cfg.Pages.DefaultLocale = tc.locale
			if tc.files != nil || tc.folder != "" {
				cfg.Pages.Messages = filepath.Join(dir, tc.folder)
			}
			built, wrong := checker(slog.New(slog.DiscardHandler)).build(cfg, nil)
			if len(wrong) != len(tc.want) {
				t.Fatalf("problems: %q", wrong)
			}
			for i, want := range tc.want {
				if !strings.HasPrefix(wrong[i].String(), want) || strings.Contains(wrong[i].String(), dir) {
					t.Errorf("%q, want %q", wrong[i], want)
				}
			}
			if len(tc.want) > 0 {
				return
			}
			if tc.locale != "" && built.pages.Languages()[0] != tc.locale {
				t.Errorf("the default is %q", built.pages.Languages())
			}
			if told := built.untranslated(); len(told) > 0 != (tc.told != "") || tc.told != "" && !slices.ContainsFunc(told, func(s string) bool { return strings.HasPrefix(s, tc.told) }) {
				t.Errorf("told %q", told)
			}
		})
	}
}
