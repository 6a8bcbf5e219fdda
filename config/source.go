package config

import (
	"bytes"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"
)

const (
	maxFile     = 1 << 20  // bytes of a configuration file
	maxIncluded = 64 << 10 // bytes of a file named by ${file:...}
	maxDepth    = 48       // nesting of lists and mappings
	maxKeys     = 2000     // keys of one mapping
	maxKey      = 256      // bytes of one key
	maxVisits   = 1 << 18  // values read, counting an alias as often as it is used
	maxMerged   = 1 << 17  // keys taken over by <<
)

// readable refuses what is not text of a sensible size, before a parser sees
// it. Anything it reports makes the file unusable as a whole.
func readable(src []byte, r *report) bool {
	start := place{1, 1}
	switch {
	case len(src) > maxFile:
		r.fail(start, "", "the file is larger than 1 MiB")
		return false
	case bytes.HasPrefix(src, []byte("\xef\xbb\xbf")):
		r.fail(start, "", "the file begins with a byte order mark: save it as UTF-8 without one")
		return false
	case bytes.HasPrefix(src, []byte("\xff\xfe")), bytes.HasPrefix(src, []byte("\xfe\xff")):
		r.fail(start, "", "the file is UTF-16: save it as UTF-8")
		return false
	}
	at := start
	for rest := src; len(rest) > 0; {
		char, size := utf8.DecodeRune(rest)
		switch {
		case char == utf8.RuneError && size == 1:
			r.fail(at, "", "this byte (0x%02x) is not UTF-8: save the file as UTF-8", rest[0])
			return false
		case char < ' ' && char != '\n' && char != '\r' && char != '\t', char == 0x7f:
			r.fail(at, "", "control character U+%04X: write it as an escape in double quotes, or remove it", char)
			return false
		case char == '\r' && (len(rest) < 2 || rest[1] != '\n'):
			r.fail(at, "", "a carriage return without a line feed: save the file with Unix or Windows line ends")
			return false
		}
		at.column++
		if char == '\n' {
			at = place{at.line + 1, 1}
		}
		rest = rest[size:]
	}
	return true
}

// bounded refuses nesting and mappings for which the parser, which recurses
// into both, would need more stack or time than a configuration is worth.
func bounded(tokens token.Tokens, r *report) bool {
	var flow, block nesting
	for _, t := range tokens {
		at := place{t.Position.Line, t.Position.Column}
		var deep, wide bool
		switch isKey := t.Next != nil && t.Next.Type == token.MappingValueType; {
		case t.Type == token.MappingStartType || t.Type == token.SequenceStartType:
			flow = append(flow, level{})
		case t.Type == token.MappingEndType || t.Type == token.SequenceEndType:
			flow = flow[:max(len(flow)-1, 0)]
		case len(flow) > 0 && isKey:
			wide = flow.count()
		case len(flow) == 0 && (isKey || t.Type == token.SequenceEntryType || t.Type == token.MappingKeyType):
			block.indent(t.Position.Column)
			wide = isKey && block.count()
		}
		deep = len(flow)+len(block) > maxDepth
		switch {
		case deep:
			r.fail(at, "", "nested more than %d levels deep", maxDepth)
			return false
		case wide:
			r.fail(at, "", "more than %d keys in one mapping", maxKeys)
			return false
		}
	}
	return true
}

// nesting is the stack of collections that are open at a token.
type nesting []level

type level struct{ column, keys int }

// indent closes what is indented further than the column, and opens a level at
// it where there is none.
func (n *nesting) indent(column int) {
	stack := *n
	for len(stack) > 0 && stack[len(stack)-1].column > column {
		stack = stack[:len(stack)-1]
	}
	if len(stack) == 0 || stack[len(stack)-1].column < column {
		stack = append(stack, level{column: column})
	}
	*n = stack
}

// count adds a key to the innermost level and reports whether it is one too many.
func (n nesting) count() bool {
	n[len(n)-1].keys++
	return n[len(n)-1].keys > maxKeys
}
