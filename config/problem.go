package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong, and where. Its text never holds a secret,
// nor any value that came from the environment or from another file.
type Problem struct {
	File   string // as it was given to Load
	Line   int    // from 1
	Column int    // from 1, in characters
	Path   string // such as clients[0].redirect_uris[1]; empty for the file as a whole
	Text   string // what is wrong, and where it helps what to write instead
}

// String returns file:line:column: path: what is wrong.
func (p Problem) String() string {
	where := fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Column)
	if p.Path != "" {
		where += p.Path + ": "
	}
	return where + p.Text
}

// Problems is everything one run found, in the order of the file. Empty means
// that nothing is wrong.
type Problems []Problem

// String returns one problem per line.
func (p Problems) String() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// Err returns nil where nothing is wrong, and otherwise an error whose text is
// that of String.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return errors.New(p.String())
}

// place is a position in the file.
type place struct{ line, column int }

// report gathers problems while one file is read.
type report struct {
	file     string
	problems Problems
	broken   map[string]bool // paths whose value is unusable: no second complaint about them
}

func newReport(file string) *report {
	return &report{file: file, broken: make(map[string]bool)}
}

// add reports a problem and leaves the value at path usable.
func (r *report) add(at place, path, format string, args ...any) {
	r.problems = append(r.problems, Problem{
		File: r.file, Line: max(at.line, 1), Column: max(at.column, 1),
		Path: path, Text: fmt.Sprintf(format, args...),
	})
}

// fail reports a problem after which the value at path is not to be judged further.
func (r *report) fail(at place, path, format string, args ...any) {
	r.add(at, path, format, args...)
	r.broken[path] = true
}

// isBroken reports whether the value at path, or anything it is part of, was
// already refused.
func (r *report) isBroken(path string) bool {
	if len(r.broken) == 0 {
		return false
	}
	for path != "" {
		if r.broken[path] {
			return true
		}
		path = parentPath(path)
	}
	return r.broken[""]
}

// holdsBroken reports whether the value at path or anything within it was refused.
func (r *report) holdsBroken(path string) bool {
	if r.isBroken(path) {
		return true
	}
	for broken := range r.broken {
		rest, within := strings.CutPrefix(broken, path)
		if within && rest != "" && (rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

// sorted returns the problems in the order of the file, each once.
func (r *report) sorted() Problems {
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(r.problems)
}

// childPath names a member: parent.key, or parent["key"] where the key is no
// plain word.
func childPath(parent, key string) string {
	switch {
	case !isWord(key):
		return fmt.Sprintf("%s[%q]", parent, key)
	case parent == "":
		return key
	}
	return parent + "." + key
}

// itemPath names an element of a list.
func itemPath(parent string, i int) string { return fmt.Sprintf("%s[%d]", parent, i) }

// parentPath is the reverse of childPath and itemPath; that of a top-level key
// is the empty path.
func parentPath(path string) string {
	if strings.HasSuffix(path, `"]`) {
		// A quoted key may hold brackets and dots of its own, but no bare quote:
		// the sequence that opens it occurs nowhere inside.
		if i := strings.LastIndex(path, `["`); i >= 0 {
			return path[:i]
		}
	}
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// isWord reports text that needs no quotes anywhere.
func isWord(text string) bool {
	return text != "" && strings.Trim(text, letters+digits+"_-") == ""
}

const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
)

// word shows a name in a message, quoted only where it needs to be.
func word(name string) string {
	if isWord(name) {
		return name
	}
	return quote(name)
}

// quote shows text of the file in a message: escaped, and cut where it is long.
func quote(text string) string {
	const most = 80
	if runes := []rune(text); len(runes) > most {
		return fmt.Sprintf("%q (cut)", string(runes[:most]))
	}
	return fmt.Sprintf("%q", text)
}
