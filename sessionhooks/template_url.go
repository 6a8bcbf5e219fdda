package sessionhooks

import (
	"bytes"
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// address is the URL of a webhook, compiled.
type address struct {
	template
	// path is where the path begins, in the rendered URL as in the template:
	// what comes before is literal.
	path int
	// segments are those segments of the path that have variables.
	segments []segment
}

// segment is one segment of a path that has variables.
type segment struct {
	index int
	name  string // its first variable, to be named when the segment is refused
}

// url compiles the URL: variables stand in the path and query alone, so
// whatever their values the request goes to the server that was configured.
func (c *compiler) url(source string) address {
	const field = "url"
	a := address{template: template{field: field, limit: MaxURL}}
	if source == "" {
		c.problem(field, 0, "is required")
		return a
	}
	if strings.TrimSpace(source) != source {
		c.problem(field, 0, "begins or ends with white space")
	}
	pieces, ok := c.parse(field, source, MaxURLTemplate)
	if !ok {
		return a
	}
	o := outlineOf(pieces)
	r, ok := c.regions(o)
	if !ok {
		return a
	}
	placed := c.placed(o, r)
	if strings.Contains(string(o.text[r.host:r.path]), "@") {
		c.problem(field, o.source(r.host), "holds user information; send credentials as a header with a secret")
		return a
	}
	if !placed {
		return a
	}
	c.server(o, r)
	c.controls(field, o)
	c.percents(field, o, r.path)
	a.path = r.path
	a.segments = c.segments(o, r)
	for i, p := range pieces {
		switch pos := o.origin[i].pos; {
		case p.name == "":
			a.literal(encodeLiteral(p.text, max(0, r.path-pos)))
		case pos < r.query:
			a.variable(p, inPath)
		default:
			a.variable(p, inQuery)
		}
	}
	return a
}

// regions are positions in the outline of a URL: where the host, the path, the
// query and the fragment begin.
type regions struct{ host, path, query, fragment int }

func (c *compiler) regions(o *outline) (r regions, ok bool) {
	text := string(o.text)
	for _, scheme := range []string{"https://", "http://"} {
		if len(text) >= len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
			r.host = len(scheme)
		}
	}
	if r.host == 0 {
		c.problem("url", 0, "does not begin with https:// or http://, written out")
		return r, false
	}
	find := func(from int, delimiters string) int {
		if i := strings.IndexAny(text[from:], delimiters); i >= 0 {
			return from + i
		}
		return len(text)
	}
	r.path = find(r.host, "/?#")
	r.query = find(r.path, "?#")
	r.fragment = find(r.query, "#")
	return r, true
}

func (c *compiler) placed(o *outline, r regions) bool {
	ok := true
	for _, s := range o.slots {
		switch {
		case s.pos < r.path:
			c.problem("url", s.at, "has %s in the authority, where variables are not allowed", s.text)
			ok = false
		case s.pos > r.fragment:
			c.problem("url", s.at, "has %s in the fragment, which is never sent", s.text)
			ok = false
		}
	}
	return ok
}

// server judges what the variables cannot change.
func (c *compiler) server(o *outline, r regions) {
	u, err := url.Parse(string(o.text[:r.path]))
	if err != nil {
		// Only the innermost reason: the outer error repeats the URL.
		if inner, ok := errors.AsType[*url.Error](err); ok {
			err = inner.Err
		}
		c.problem("url", o.source(r.host), "is no URL: %v", err)
		return
	}
	host := u.Hostname()
	switch {
	case host == "":
		c.problem("url", o.source(r.host), "has no host")
	case !validHost(host):
		c.problem("url", o.source(r.host), "has a host that is neither a name nor an IP address in its usual form")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			c.problem("url", o.source(r.host), "has a port that is not between 1 and 65535")
		}
	}
}

// validHost takes IP addresses in their usual form and names. A name that ends
// in a number (127.1, 0x7f.1) is one to some resolvers and an address to others.
func validHost(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Zone() == ""
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	for _, label := range labels {
		if label == "" || strings.ContainsFunc(label, outsideHostName) {
			return false
		}
	}
	last := strings.ToLower(labels[len(labels)-1])
	number, isHex := strings.CutPrefix(last, "0x")
	if isHex {
		return strings.Trim(number, "0123456789abcdef") != ""
	}
	return strings.Trim(number, "0123456789") != ""
}

func outsideHostName(r rune) bool {
	return r < utf8.RuneSelf && !isAlphanumeric(byte(r)) && r != '-' && r != '_'
}

// controls refuses what ends a line or a value where nobody expects it.
func (c *compiler) controls(field string, o *outline) {
	for i, b := range o.text {
		if isControl(b) {
			c.problem(field, o.source(i), "has a control character")
		}
	}
}

// percents refuses every % from a position on that does not begin an escape,
// and so every variable that would complete one.
func (c *compiler) percents(field string, o *outline, from int) {
	for i := from; i < len(o.text); i++ {
		if o.text[i] == '%' && (i+2 >= len(o.text) || !isHex(o.text[i+1]) || !isHex(o.text[i+2])) {
			c.problem(field, o.source(i), "has a %% without two hexadecimal digits; write %%25 for the character itself")
		}
	}
}

// segments finds the segments of the path that have variables, and refuses
// those that no value could make right.
func (c *compiler) segments(o *outline, r regions) []segment {
	var found []segment
	begin := r.path
	for i, text := range bytes.Split(o.text[r.path:r.query], []byte("/")) {
		end := begin + len(text)
		for _, s := range o.slots {
			if s.pos < begin || s.pos >= end {
				continue
			}
			found = append(found, segment{index: i, name: s.name})
			if !validSegment(string(text)) {
				c.problem("url", s.at, "has %s in a path segment with an empty, . or .. part", s.text)
			}
			break
		}
		begin = end + 1
	}
	return found
}

// encodeLiteral percent-encodes what a URL cannot carry, from a byte on.
func encodeLiteral(text string, from int) string {
	if from >= len(text) {
		return text
	}
	dst := []byte(text[:from])
	for i := from; i < len(text); i++ {
		if c := text[i]; c >= utf8.RuneSelf || strings.IndexByte(" \"<>\\^`{|}", c) >= 0 {
			dst = appendPercent(dst, c)
		} else {
			dst = append(dst, c)
		}
	}
	return string(dst)
}
