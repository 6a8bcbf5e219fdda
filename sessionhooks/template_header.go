package sessionhooks

import (
	"fmt"
	"net/http"
	"strings"
)

// header is one header of a webhook, compiled. It is a secret, a constant or a
// template.
type header struct {
	name   string // canonical
	value  string // of a constant
	secret Secret
	template
}

// headers compiles the headers and returns the Content-Type among them.
func (c *compiler) headers(all []Header) (compiled []header, contentType string) {
	if len(all) > MaxHeaders {
		c.problem("headers", 0, "are %d; at most %d are allowed", len(all), MaxHeaders)
	}
	seen := make(map[string]bool)
	total := 0
	for _, h := range all {
		field := headerField(h.Name)
		if !c.headerName(field, h) {
			continue
		}
		name := http.CanonicalHeaderKey(h.Name)
		if seen[name] {
			c.problem(field, 0, "is given twice; header names are the same in whatever case")
		}
		seen[name] = true
		compiled = append(compiled, c.header(field, name, h))
		last := compiled[len(compiled)-1]
		total += last.fixed()
		if name == "Content-Type" {
			contentType = last.value
		}
	}
	if total > MaxAllHeaders {
		c.problem("headers", 0, "are longer than %d bytes together", MaxAllHeaders)
	}
	return compiled, contentType
}

// fixed counts the bytes of a header that do not depend on values.
func (h *header) fixed() int {
	n := len(h.name) + len(h.value) + len(h.secret.Reveal())
	for _, p := range h.parts {
		if p.name == "" {
			n += len(p.text)
		}
	}
	return n
}

// headerField names a header in a problem, quoted where it is no name.
func headerField(name string) string {
	if isToken(name) {
		return "headers." + name
	}
	return fmt.Sprintf("headers[%q]", name)
}

func (c *compiler) headerName(field string, h Header) bool {
	switch why := forbiddenHeader(h.Name); {
	case strings.Contains(h.Name, "${"), strings.Contains(h.Name, "$<"):
		c.problem(field, 0, "has a variable in its name")
	case !isToken(h.Name):
		c.problem(field, 0, "is no header name")
	case why != "":
		c.problem(field, 0, "%s", why)
	default:
		return true
	}
	return false
}

// forbiddenHeader says why a header cannot be set, and nothing of one that can.
func forbiddenHeader(name string) string {
	name = strings.ToLower(name)
	switch name {
	case "host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect":
		return "belongs to the connection and cannot be set"
	case "idempotency-key", "x-idempotency-key":
		return "would let the request be sent again unrecorded; receivers find a stable id in webhook-id"
	}
	for _, prefix := range []string{"proxy-", "x-irm-", "webhook-"} {
		if strings.HasPrefix(name, prefix) {
			return "is reserved: no header that begins with " + prefix + " can be set"
		}
	}
	return ""
}

func (c *compiler) header(field, name string, h Header) header {
	out := header{name: name, template: template{field: field, limit: MaxHeader}}
	into, known := headerPlacement(h.Encoding)
	if !known {
		c.problem(field, 0, "has the encoding %s, which is none of %s, %s, %s",
			quoteTemplate(string(h.Encoding)), EncodePercent, EncodeBase64, EncodeRFC8187)
	}
	if !h.Secret.IsZero() {
		c.secretHeader(field, name, h)
		out.secret = h.Secret
		return out
	}
	pieces, ok := c.parse(field, h.Value, MaxHeader)
	if !ok {
		return out
	}
	for _, p := range pieces {
		switch {
		case p.name == "":
			c.headerText(field, p)
			out.literal(p.text)
		case name == "Content-Type":
			c.problem(field, p.at, "has %s; it decides how the body is escaped and takes no variables", p.text)
		default:
			out.variable(p, into)
		}
	}
	if text, ok := out.static(); ok {
		out.value = strings.Trim(text, " ")
		out.parts = nil
	}
	return out
}

// secretHeader judges a secret without ever quoting it.
func (c *compiler) secretHeader(field, name string, h Header) {
	secret := h.Secret.Reveal()
	if h.Value != "" {
		c.problem(field, 0, "has both a value and a secret")
	}
	if name == "Content-Type" {
		c.problem(field, 0, "decides how the body is escaped and cannot be a secret")
	}
	if _, reason := appendHeader(nil, secret); reason != "" {
		c.problem(field, 0, "has a secret with a character other than printable ASCII, perhaps a line end")
	}
	switch {
	case strings.Trim(secret, " ") == "":
		c.problem(field, 0, "has an empty secret")
	case len(secret) > MaxHeader:
		c.problem(field, 0, "has a secret longer than %d bytes", MaxHeader)
	}
}

func (c *compiler) headerText(field string, p piece) {
	for i := range len(p.text) {
		if b := p.text[i]; isControl(b) || b > '~' {
			c.problem(field, p.at+i, "has a character other than printable ASCII")
			return
		}
	}
}

func headerPlacement(e HeaderEncoding) (into placement, known bool) {
	switch e {
	case EncodeNone:
		return inHeader, true
	case EncodePercent:
		return inHeaderPercent, true
	case EncodeBase64:
		return inHeaderBase64, true
	case EncodeRFC8187:
		return inHeaderRFC8187, true
	default:
		return inHeader, false
	}
}

// isToken holds a header name to the token of RFC 9110 §5.6.2.
func isToken(name string) bool {
	for i := range len(name) {
		if c := name[i]; !isAlphanumeric(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return name != ""
}
