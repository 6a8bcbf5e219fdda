package sessionhooks

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Problem is one thing that is wrong with a webhook, or worth a warning. Its
// text may quote a template but never a secret.
type Problem struct {
	// Field is url, events[i], headers, headers.Name, body or missing.
	Field string
	// Offset is where in the template of that field, in bytes from 0.
	Offset int
	Text   string
}

// String returns field: text, with the offset where there is one.
func (p Problem) String() string {
	if p.Offset == 0 {
		return p.Field + ": " + p.Text
	}
	return fmt.Sprintf("%s: at byte %d: %s", p.Field, p.Offset, p.Text)
}

// Compile checks a webhook and parses its templates. custom are the names of
// the custom session properties that a session may have; those that
// CheckCustomProperty refuses are not known by it.
//
// Every problem is reported, up to 20 of one field, and with any there is no *Compiled. Where each
// variable stands, and so how its value will be escaped, is decided here, from
// the templates alone.
func Compile(w Webhook, custom []string) (*Compiled, []Problem) {
	c := &compiler{undeclared: w.AllowUndeclared, known: make(map[string]bool), count: make(map[string]int)}
	for _, p := range Properties() {
		c.known[string(p)] = true
	}
	for _, name := range custom {
		c.known[name] = c.known[name] || CheckCustomProperty(name) == nil
	}
	out := &Compiled{id: w.ID, missing: w.Missing}
	out.address = c.url(w.URL)
	out.events = c.events(w.Events)
	var media string
	out.headers, media = c.headers(w.Headers)
	out.body, out.json = c.body(w.Body, media)
	c.missing(w.Missing)
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	out.warnings = c.warnings
	return out, nil
}

// maxProblems is how many problems of one field are told: a field that has more
// was not written as a template.
const maxProblems = 20

// compiler gathers what is found in one webhook.
type compiler struct {
	known      map[string]bool
	count      map[string]int // of problems by field
	undeclared bool
	problems   []Problem
	warnings   []Problem
}

func (c *compiler) problem(field string, at int, format string, args ...any) {
	c.count[field]++
	if c.count[field] > maxProblems {
		return
	}
	if c.count[field] == maxProblems {
		format, args = "has more problems than these", nil
	}
	c.problems = append(c.problems, Problem{Field: field, Offset: at, Text: fmt.Sprintf(format, args...)})
}

func (c *compiler) warn(field string, at int, format string, args ...any) {
	c.warnings = append(c.warnings, Problem{Field: field, Offset: at, Text: fmt.Sprintf(format, args...)})
}

// parse takes the template of a field apart and judges its names. It is not ok
// where the pieces are not what was meant, so that judging them further would
// only repeat the complaint in other words.
func (c *compiler) parse(field, source string, limit int) (pieces []piece, ok bool) {
	if len(source) > limit {
		c.problem(field, 0, "is longer than %d bytes", limit)
		return nil, false
	}
	if !utf8.ValidString(source) {
		c.problem(field, 0, "is not UTF-8")
		return nil, false
	}
	pieces, problems := lex(source)
	for _, p := range problems {
		c.problem(field, p.at, "%s", p.text)
	}
	count := 0
	for _, p := range pieces {
		if p.name != "" {
			c.name(field, p)
			count++
		}
	}
	if count > MaxPlaceholders {
		c.problem(field, 0, "has %d variables; at most %d are allowed", count, MaxPlaceholders)
	}
	return pieces, len(problems) == 0
}

func (c *compiler) name(field string, p piece) {
	switch {
	case c.known[p.name]:
		if !Property(p.name).Supported() {
			c.warn(field, p.at, "%s is not supported and never has a value", p.name)
		}
	case c.undeclared:
		c.warn(field, p.at, "%s is neither a built-in nor a declared property", p.name)
	default:
		c.problem(field, p.at, "%s is an unknown variable: neither a built-in nor a declared property%s", p.name, c.meant(p.name))
	}
}

// meant is the tail of a message about a name that differs only in case.
func (c *compiler) meant(name string) string {
	for _, known := range slices.Sorted(maps.Keys(c.known)) {
		if c.known[known] && strings.EqualFold(known, name) {
			return "; did you mean " + known + "?"
		}
	}
	return ""
}

func (c *compiler) events(names []EndEvent) []EndEvent {
	all := EndEvents()
	if len(names) == 0 {
		return all
	}
	for i, name := range names {
		field := fmt.Sprintf("events[%d]", i)
		switch {
		case !slices.Contains(all, name):
			c.problem(field, 0, "%s is no event of a session's end; those are %s, %s, %s, %s and %s",
				quoteTemplate(string(name)), all[0], all[1], all[2], all[3], all[4])
		case slices.Contains(names[:i], name):
			c.problem(field, 0, "%s is named twice", name)
		}
	}
	return slices.Clone(names)
}

func (c *compiler) missing(m Missing) {
	switch m {
	case "", MissingEmpty, MissingError, MissingLiteral:
	default:
		c.problem("missing", 0, "%s is none of %s, %s, %s", quoteTemplate(string(m)), MissingEmpty, MissingError, MissingLiteral)
	}
}
