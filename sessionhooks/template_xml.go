package sessionhooks

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// xmlBody finds out where in an XML document the variables stand, by reading
// the document with stand-ins.
func (c *compiler) xmlBody(t *template, pieces []piece) {
	o := outlineOf(pieces)
	slots, before := o.slots, len(c.problems)
	depth, roots := 0, 0
	d := xml.NewDecoder(bytes.NewReader(o.text))
	for {
		begin := d.InputOffset()
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			c.notXML(t.field, o.source(int(d.InputOffset())-1), err)
			return
		}
		raw := string(o.text[begin:d.InputOffset()])
		for len(slots) > 0 && slots[0].pos < int(d.InputOffset()) {
			s := slots[0]
			slots = slots[1:]
			if where := xmlRefusal(token, raw, s.pos-int(begin), depth); where != "" {
				c.problem(t.field, s.at, "has %s in %s, where variables are not allowed", s.text, where)
			}
		}
		switch x := token.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth++
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 0 && len(bytes.TrimSpace(x)) > 0 {
				c.problem(t.field, o.source(int(begin)), "is not well-formed XML: has text outside its root element")
			}
		}
	}
	if roots != 1 {
		c.problem(t.field, 0, "is not well-formed XML: has %d root elements", roots)
	}
	if len(c.problems) == before && len(o.slots) > 0 && !xmlWithout(pieces) {
		c.problem(t.field, o.slots[0].at, "is not well-formed XML where a value is empty: write &gt; for the > of ]]>")
	}
	t.add(pieces, inXML)
}

// xmlWithout says whether a document is well-formed when its variables are
// empty. The one thing that a stand-in can hide is ]]> in text.
func xmlWithout(pieces []piece) bool {
	var text strings.Builder
	for _, p := range pieces {
		if p.name == "" {
			text.WriteString(p.text)
		}
	}
	d := xml.NewDecoder(strings.NewReader(text.String()))
	for {
		if _, err := d.Token(); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

func (c *compiler) notXML(field string, at int, err error) {
	if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok {
		c.problem(field, at, "is not well-formed XML: %s", syntax.Msg)
		return
	}
	c.problem(field, at, "must be XML 1.0 in UTF-8: %v", err)
}

// xmlRefusal names the place of a variable at a position of a token, if it is
// one that takes no variables.
func xmlRefusal(token xml.Token, raw string, pos, depth int) string {
	switch token.(type) {
	case xml.CharData:
		switch {
		case strings.HasPrefix(raw, "<"):
			return "a CDATA section"
		case depth == 0:
			return "text outside the root element"
		}
		return ""
	case xml.StartElement:
		return tagRefusal(raw, pos)
	case xml.EndElement:
		return "a name"
	case xml.Comment:
		return "a comment"
	case xml.ProcInst:
		return "a processing instruction"
	default:
		return "a declaration"
	}
}

// tagRefusal is xmlRefusal within a start tag: only the quoted values of
// attributes take variables, and not those that declare a namespace, which are
// part of names.
func tagRefusal(raw string, pos int) string {
	opened, quote := 0, byte(0)
	for i := range pos {
		switch b := raw[i]; {
		case quote == 0 && (b == '"' || b == '\''):
			opened, quote = i, b
		case b == quote:
			quote = 0
		}
	}
	if quote == 0 {
		return "a name"
	}
	before := strings.TrimRight(raw[:opened], " \t\r\n=")
	name := before[strings.LastIndexAny(before, " \t\r\n")+1:]
	if name == "xmlns" || strings.HasPrefix(name, "xmlns:") {
		return "a namespace declaration"
	}
	return ""
}
