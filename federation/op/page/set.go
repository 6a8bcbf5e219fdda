package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

//go:embed templates messages style.css
var files embed.FS

// Options are what a Set is made of; none is required.
type Options struct {
	// Messages is a folder of further messages, or nil.
	Messages fs.FS
	// Default is the language of who asks for none that there is; English if
	// empty.
	Default string
}

// ErrNoLanguage says that the default language is none of those there are.
var ErrNoLanguage = errors.New("page: there are no messages in")

// Set is all pages in all languages. It never changes.
type Set struct {
	// tags are the languages, the default first; pages are as many.
	tags    []language.Tag
	pages   []map[string]*template.Template
	matcher language.Matcher
	missing map[string][]string
	// style is the source expression of the style sheet.
	style string
}

// The scripts of all pages. The policy of a page lets its own run and no other,
// and without it there is a button.
const (
	// submitScript posts the form as soon as it is there.
	submitScript = "document.forms[0].submit()"
	// onwardScript does not wait for a relying party that hangs.
	onwardScript = "setTimeout(function(){location.replace(document.getElementById('onward').href)},5000)"
)

// New reads the messages and makes the pages. What is wrong with a folder of
// messages is told as Problems, joined.
func New(o Options) (*Set, error) {
	words, err := builtIn()
	if err != nil {
		return nil, err
	}
	if o.Messages != nil {
		if err := words.read(o.Messages); err != nil {
			return nil, err
		}
	}
	first := language.English
	if o.Default != "" {
		if first, err = language.Parse(o.Default); err != nil || words[first] == nil {
			return nil, fmt.Errorf("%w %q", ErrNoLanguage, o.Default)
		}
	}
	s := &Set{tags: []language.Tag{first}, missing: map[string][]string{}}
	for _, tag := range slices.SortedFunc(maps.Keys(words), func(a, b language.Tag) int { return strings.Compare(a.String(), b.String()) }) {
		if keys := words.missing(tag); len(keys) > 0 {
			s.missing[tag.String()] = keys
		}
		if tag != first {
			s.tags = append(s.tags, tag)
		}
	}
	s.matcher = language.NewMatcher(s.tags)
	style, err := files.ReadFile("style.css")
	if err != nil {
		return nil, err
	}
	s.style = sourceHash(style)
	for _, tag := range s.tags {
		made, err := render(words.in(tag), style)
		if err != nil {
			return nil, err
		}
		s.pages = append(s.pages, made)
	}
	return s, nil
}

// builtIn are the languages that come with the program, English first: the
// others are held to it.
func builtIn() (catalogue, error) {
	folder, err := fs.Sub(files, "messages")
	if err != nil {
		return nil, err
	}
	c := catalogue{}
	return c, errors.Join(c.readFile(folder, source+".yaml"), c.read(folder))
}

// in are the words of one language.
func (c catalogue) in(tag language.Tag) words {
	w := words{tag: tag, own: c[tag], rest: c[language.English], texts: map[string]string{}}
	for key, m := range w.rest {
		if strings.HasPrefix(key, "told.") {
			w.texts[m[0]] = key
		}
	}
	return w
}

// render parses every page in one language.
func render(w words, style []byte) (map[string]*template.Template, error) {
	base, err := template.New("layout.html").Funcs(template.FuncMap{
		"t": w.text, "strong": func(id, text string) template.HTML { return element("strong", id, text) },
		"code":  func(id, text string) template.HTML { return element("code", id, text) },
		"span":  func(id, text string) template.HTML { return element("span", id, text) },
		"scope": w.scope, "claim": w.claim, "described": w.described, "lang": w.tag.String, "dir": w.direction,
		"style": func() template.CSS { return template.CSS(style) }, "submit": func() template.JS { return submitScript },
		"onward": func() template.JS { return onwardScript },
	}).ParseFS(files, "templates/layout.html")
	if err != nil {
		return nil, fmt.Errorf("parse layout: %w", err)
	}
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	all := map[string]*template.Template{}
	for _, file := range names {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" {
			continue
		}
		one, err := base.Clone()
		if err != nil {
			return nil, err
		}
		if all[name], err = one.ParseFS(files, file); err != nil {
			return nil, fmt.Errorf("parse page %s: %w", name, err)
		}
	}
	return all, nil
}

// direction is how the language is written.
func (w words) direction() string {
	switch script, _ := w.tag.Script(); script.String() {
	case "Arab", "Hebr", "Thaa", "Syrc", "Nkoo", "Adlm":
		return "rtl"
	}
	return "ltr"
}

// sourceHash is the source expression that lets an inline text count (Content
// Security Policy Level 3 §2.3.1).
func sourceHash(text []byte) string {
	sum := sha256.Sum256(text)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Languages are those there are, the default first.
func (s *Set) Languages() []string {
	var all []string
	for _, tag := range s.tags {
		all = append(all, tag.String())
	}
	return all
}

// Missing are the keys that a language has no message for, by language: what
// is said in English instead.
func (s *Set) Missing() map[string][]string { return s.missing }

// view is what templates see.
type view struct {
	Frame
	Page Page
}

func (s *Set) execute(f Frame, p Page) ([]byte, error) {
	var body bytes.Buffer
	made := s.pages[f.Lang.index%len(s.pages)][p.name()]
	if made == nil {
		return nil, fmt.Errorf("page: no template %q", p.name())
	}
	err := made.Execute(&body, view{Frame: f, Page: p})
	return body.Bytes(), err
}
