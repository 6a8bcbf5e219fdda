package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation/op/page"
)

// maxNamed is how many missing messages are listed of one language.
const maxNamed = 5

// buildPages makes the pages in every language, with the operator's own
// messages, which are read again with every configuration.
func (b *builder) buildPages(cfg config.Config, r *revision) []problem {
	var folder fs.FS
	if cfg.Pages.Messages != "" {
		folder = os.DirFS(cfg.Pages.Messages)
	}
	var err error
	r.pages, err = page.New(page.Options{Messages: folder, Default: cfg.Pages.DefaultLocale})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, page.ErrNoLanguage):
		return []problem{{"pages.default_locale", "there are no messages in this language"}}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return []problem{{"pages.messages", "the folder cannot be read"}}
	}
	var wrong []problem
	for text := range strings.SplitSeq(err.Error(), "\n") {
		wrong = append(wrong, problem{"pages.messages", text})
	}
	return wrong
}

// untranslated says what each language has no message for: no reason to refuse
// a configuration, since English has it.
func (r *revision) untranslated() []string {
	var all []string
	missing := r.pages.Missing()
	for _, language := range slices.Sorted(maps.Keys(missing)) {
		keys := missing[language]
		text := fmt.Sprintf("pages: %s has no message for %s", language, strings.Join(keys[:min(len(keys), maxNamed)], ", "))
		if more := len(keys) - maxNamed; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		all = append(all, text+"; they are in English")
	}
	return all
}
