package sessionhooks

import (
	"mime"
	"strings"
)

// format is what a body is written in, as its Content-Type says.
type format uint8

const (
	formatUnknown format = iota // escaped in no way, so without variables
	formatJSON
	formatForm
	formatXML
	formatText
)

// body compiles the body for the value of the Content-Type header, which is
// empty where there is none.
func (c *compiler) body(source, contentType string) (t template, isJSON bool) {
	const field = "body"
	t = template{field: field, limit: MaxBody}
	f, utf8 := c.format(contentType)
	pieces, ok := c.parse(field, source, MaxBodyTemplate)
	if !ok || source == "" {
		return t, false
	}
	if first := firstVariable(pieces); first != nil {
		switch {
		case contentType == "":
			c.problem(field, first.at, "has variables but the webhook has no Content-Type header, which decides how they are escaped")
			return t, false
		case f == formatUnknown:
			c.problem(field, first.at, "has variables, but in %s they cannot be escaped; use JSON, a form, XML or text/plain",
				quoteTemplate(contentType))
			return t, false
		case !utf8:
			c.problem(field, first.at, "has variables, so the charset of Content-Type must be utf-8")
			return t, false
		}
	}
	switch f {
	case formatJSON:
		c.jsonBody(&t, pieces)
	case formatXML:
		c.xmlBody(&t, pieces)
	case formatForm:
		c.formBody(&t, pieces)
	default:
		t.add(pieces, inText)
	}
	return t, f == formatJSON
}

// add takes pieces whose variables all stand in the same context.
func (t *template) add(pieces []piece, into placement) {
	for _, p := range pieces {
		if p.name == "" {
			t.literal(p.text)
		} else {
			t.variable(p, into)
		}
	}
}

func firstVariable(pieces []piece) *piece {
	for i := range pieces {
		if pieces[i].name != "" {
			return &pieces[i]
		}
	}
	return nil
}

func (c *compiler) format(contentType string) (f format, utf8 bool) {
	if contentType == "" {
		return formatUnknown, true
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.Contains(media, "/") {
		c.problem("headers.Content-Type", 0, "is no media type")
		return formatUnknown, true
	}
	charset := params["charset"]
	utf8 = charset == "" || strings.EqualFold(charset, "utf-8")
	switch {
	case media == "application/json", media == "text/json", strings.HasSuffix(media, "+json"):
		return formatJSON, utf8
	case media == "application/xml", media == "text/xml", strings.HasSuffix(media, "+xml"):
		return formatXML, utf8
	case media == "application/x-www-form-urlencoded":
		return formatForm, utf8
	case media == "text/plain":
		return formatText, utf8
	default:
		return formatUnknown, utf8
	}
}

// formBody takes variables anywhere: escaped, they are neither & nor =. Line
// ends are refused because they would be part of the last value.
func (c *compiler) formBody(t *template, pieces []piece) {
	o := outlineOf(pieces)
	for i, b := range o.text {
		if isControl(b) {
			c.problem(t.field, o.source(i), "has a line end or another control character, which would be part of a form value; write it as %%0A")
			break
		}
	}
	c.percents(t.field, o, 0)
	t.add(pieces, inForm)
}
