package sessionhooks

import (
	"encoding/json"
	"errors"
)

// jsonBody finds out where in a JSON document the variables stand.
func (c *compiler) jsonBody(t *template, pieces []piece) {
	var (
		at jsonPosition
		o  outline
		ok = true
	)
	for _, p := range pieces {
		switch {
		case p.name == "":
			at.advance(p.text)
			o.add(p, "")
			t.literal(p.text)
		case at.escaped:
			c.problem(t.field, p.at, "has %s after a backslash", p.text)
			return
		case at.key:
			c.problem(t.field, p.at, "has %s in the key of an object", p.text)
			o.add(p, standIn)
			ok = false
		case at.quoted:
			o.add(p, standIn)
			t.variable(p, inJSONString)
		default:
			// null, because next to anything but a delimiter it is no JSON.
			o.add(p, "null")
			t.variable(p, inJSON)
		}
	}
	var document json.RawMessage
	if err := json.Unmarshal(o.text, &document); err != nil && ok {
		at := 0
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			at = o.source(int(syntax.Offset) - 1)
		}
		c.problem(t.field, at, "is not JSON: %v", err)
	}
}

// jsonPosition follows a JSON document far enough to know what a variable stands
// in. Of what is no JSON it may say anything: that is refused afterwards.
type jsonPosition struct {
	open    []byte // the brackets that are open
	quoted  bool   // in a string
	escaped bool   // after a backslash in a string
	key     bool   // in a key, or where only a key can be
}

func (j *jsonPosition) advance(text string) {
	for i := range len(text) {
		if j.quoted {
			j.advanceString(text[i])
			continue
		}
		switch c := text[i]; c {
		case '"':
			j.quoted = true
		case '{', '[':
			j.open = append(j.open, c)
			j.key = c == '{'
		case '}', ']':
			j.open = j.open[:max(len(j.open)-1, 0)]
			j.key = false
		case ',':
			j.key = len(j.open) > 0 && j.open[len(j.open)-1] == '{'
		case ':':
			j.key = false
		}
	}
}

func (j *jsonPosition) advanceString(c byte) {
	switch {
	case j.escaped:
		j.escaped = false
	case c == '\\':
		j.escaped = true
	case c == '"':
		j.quoted = false
	}
}
