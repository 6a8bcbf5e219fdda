package page

import (
	"strings"

	"golang.org/x/text/language"
)

// Lang is a language of a Set. The zero value is the Set's default.
type Lang struct{ index int }

const (
	// maxAsked is how much of what a request says about languages is looked at,
	// and maxTags how many languages of it.
	maxAsked = 256
	maxTags  = 10
)

// Lang is the language for somebody who asks for one: by the parameter
// ui_locales (OpenID Connect Core 1.0 §3.1.2.1), and else by what the browser
// says. What is malformed counts for nothing.
func (s *Set) Lang(uiLocales, acceptLanguage string) Lang {
	var asked []language.Tag
	for word := range strings.FieldsSeq(clip(uiLocales)) {
		if tag, err := language.Parse(word); err == nil && len(asked) < maxTags {
			asked = append(asked, tag)
		}
	}
	if l, ok := s.match(asked); ok {
		return l
	}
	accepted, _, err := language.ParseAcceptLanguage(clip(acceptLanguage))
	if err != nil || len(accepted) > maxTags {
		return Lang{}
	}
	l, _ := s.match(accepted)
	return l
}

func (s *Set) match(asked []language.Tag) (Lang, bool) {
	if len(asked) == 0 {
		return Lang{}, false
	}
	_, index, confidence := s.matcher.Match(asked...)
	if confidence == language.No {
		return Lang{}, false
	}
	return Lang{index}, true
}

// clip cuts at a border between languages.
func clip(text string) string {
	if len(text) <= maxAsked {
		return text
	}
	text = text[:maxAsked]
	if i := strings.LastIndexAny(text, ", "); i >= 0 {
		return text[:i]
	}
	return ""
}
