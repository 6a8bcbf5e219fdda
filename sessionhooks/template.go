package sessionhooks

import (
	"fmt"
	"slices"
	"strings"
)

// Limits of session webhooks. Above them a template is refused and a rendering
// fails; nothing is ever cut, which would break quoting and hide data.
const (
	MaxURLTemplate    = 2 << 10   // bytes of a URL template
	MaxURL            = 8 << 10   // bytes of a rendered URL
	MaxBodyTemplate   = 16 << 10  // bytes of a body template
	MaxBody           = 256 << 10 // bytes of a rendered body
	MaxHeaders        = 20        // headers of a webhook
	MaxHeader         = 4 << 10   // bytes of one header's template, and of its rendered value
	MaxAllHeaders     = 16 << 10  // bytes of all names and rendered values together
	MaxPlaceholders   = 64        // variables in one template
	MaxValue          = 4 << 10   // bytes of a property's value where a template uses it
	maxName           = 128       // bytes of a variable's name
	maxQuotedTemplate = 40        // bytes of a template that a problem quotes
)

// piece is a stretch of a template as written: literal text, or one variable.
type piece struct {
	text string // of a literal what it stands for, of a variable as it is written
	name string // of the variable; empty for literal text
	at   int    // byte offset in the template
}

// lexProblem is something in a template that is no variable and no text.
type lexProblem struct {
	at   int
	text string
}

// lex takes a template apart. ${name} and $<name> are variables, $${ and $$<
// stand for ${ and $<, every other $ is text. A literal piece is a substring of
// the source, so offsets within it are offsets in the template.
func lex(source string) (pieces []piece, problems []lexProblem) {
	start := 0
	literal := func(end int) {
		if end > start {
			pieces = append(pieces, piece{text: source[start:end], at: start})
		}
	}
	for i := 0; i < len(source); {
		next := strings.IndexByte(source[i:], '$')
		if next < 0 {
			break
		}
		i += next
		rest := source[i:]
		switch {
		case strings.HasPrefix(rest, "$${"), strings.HasPrefix(rest, "$$<"):
			literal(i)
			start, i = i+1, i+3
		case strings.HasPrefix(rest, "${"), strings.HasPrefix(rest, "$<"):
			literal(i)
			p, problem := lexVariable(rest)
			if problem != "" {
				problems = append(problems, lexProblem{at: i, text: problem})
			} else {
				p.at = i
				pieces = append(pieces, p)
			}
			i += len(p.text)
			start = i
		default:
			i++
		}
	}
	literal(len(source))
	return pieces, problems
}

// lexVariable reads the variable that rest begins with. Of one that is none it
// still says how much to skip, so that the next one is judged too.
func lexVariable(rest string) (p piece, problem string) {
	opening, closing := rest[:2], byte('}')
	if opening == "$<" {
		closing = '>'
	}
	escape := fmt.Sprintf("write $%s for the characters %s themselves", opening, opening)
	end := strings.IndexByte(rest, closing)
	if end < 0 {
		return piece{text: opening}, fmt.Sprintf("%s is not closed by %c; %s", opening, closing, escape)
	}
	p = piece{text: rest[:end+1], name: rest[2:end]}
	switch {
	case validName(p.name):
		return p, ""
	case strings.HasPrefix(p.name, "env:"), strings.HasPrefix(p.name, "file:"):
		return p, fmt.Sprintf("%s is no variable: the environment and files are read where the configuration is, as a whole value; "+
			"a header takes them as a secret; %s", quoteTemplate(p.text), escape)
	default:
		return p, fmt.Sprintf("%s is no variable: a bad name; %s", quoteTemplate(p.text), escape)
	}
}

// validName holds a name to [A-Za-z_][A-Za-z0-9._-]{0,127}.
func validName(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
		case i > 0 && (c >= '0' && c <= '9' || c == '.' || c == '-'):
		default:
			return false
		}
	}
	return true
}

func quoteTemplate(text string) string {
	if len(text) > maxQuotedTemplate {
		return fmt.Sprintf("%q (cut)", text[:maxQuotedTemplate])
	}
	return fmt.Sprintf("%q", text)
}

// standIn is what an outline has in the place of a variable. It is no
// hexadecimal digit, no delimiter of any format, and completes no entity or
// escape, so whatever a variable would split is malformed in the outline.
const standIn = "x"

// outline is a template with a stand-in where each variable is: text of the
// format itself, whose grammar then says where the variables stand.
type outline struct {
	text   []byte
	slots  []slot
	origin []slot // where in the text the piece begins that is at an offset of the template
}

// slot is a place in an outline's text.
type slot struct {
	pos int
	piece
}

func (o *outline) add(p piece, stand string) {
	s := slot{pos: len(o.text), piece: p}
	o.origin = append(o.origin, s)
	if p.name == "" {
		o.text = append(o.text, p.text...)
		return
	}
	o.slots = append(o.slots, s)
	o.text = append(o.text, stand...)
}

// outlineOf is the outline of formats in which one stand-in fits everywhere.
func outlineOf(pieces []piece) *outline {
	o := new(outline)
	for _, p := range pieces {
		o.add(p, standIn)
	}
	return o
}

// source turns a position in the text into an offset in the template.
func (o *outline) source(pos int) int {
	pos = max(0, min(pos, len(o.text)-1))
	i, found := slices.BinarySearchFunc(o.origin, pos, func(s slot, pos int) int { return s.pos - pos })
	if !found {
		i--
	}
	if i < 0 {
		return 0
	}
	if s := o.origin[i]; s.name == "" {
		return s.at + pos - s.pos
	}
	return o.origin[i].at
}

// part is a piece of a template that is ready to be written.
type part struct {
	text string // of a literal as it is sent, of a variable as it was written
	name string // of the variable; empty for literal text
	into placement
}

// template is a field of a webhook, parsed for good.
type template struct {
	field string
	limit int // bytes of the rendered field
	parts []part
}

func (t *template) literal(text string) {
	if text == "" {
		return
	}
	if n := len(t.parts); n > 0 && t.parts[n-1].name == "" {
		t.parts[n-1].text += text
		return
	}
	t.parts = append(t.parts, part{text: text})
}

func (t *template) variable(p piece, into placement) {
	t.parts = append(t.parts, part{text: p.text, name: p.name, into: into})
}

// static returns the text of a template without variables.
func (t *template) static() (string, bool) {
	switch {
	case len(t.parts) == 0:
		return "", true
	case len(t.parts) == 1 && t.parts[0].name == "":
		return t.parts[0].text, true
	default:
		return "", false
	}
}
