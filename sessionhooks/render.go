package sessionhooks

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
)

// Compiled is a webhook that was checked and parsed. It does not change and may
// be used by many goroutines at once.
type Compiled struct {
	id       string
	events   []EndEvent
	missing  Missing
	address  address
	headers  []header
	body     template
	json     bool // the body is JSON
	warnings []Problem
}

// ID is that of the Webhook.
func (c *Compiled) ID() string { return c.id }

// Wants says whether the webhook is told of an event.
func (c *Compiled) Wants(e EndEvent) bool { return slices.Contains(c.events, e) }

// Warnings is what Compile accepted but an operator should know: variables that
// are not supported or not declared. The slice is the caller's own.
func (c *Compiled) Warnings() []Problem { return slices.Clone(c.warnings) }

// Rendered is one request, ready to be sent as a POST. It holds secrets and
// personal data: it does not print, but its fields do, also as part of another
// struct's unexported field.
type Rendered struct {
	URL string
	// Header has canonical names and one value each. It is the caller's own.
	Header http.Header
	Body   []byte
	// Missing names the properties that the session did not have, each once.
	Missing []string
}

const hiddenRequest = "[rendered webhook]"

// Format writes [rendered webhook] for every verb.
func (Rendered) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hiddenRequest)) }

// LogValue returns [rendered webhook].
func (Rendered) LogValue() slog.Value { return slog.StringValue(hiddenRequest) }

// MarshalText returns [rendered webhook], for encoding/json too.
func (Rendered) MarshalText() ([]byte, error) { return []byte(hiddenRequest), nil }

// RenderError is why a webhook could not be rendered for a session. It is
// permanent: the same webhook and the same session fail again. Nothing of it is
// secret: it never holds a value.
type RenderError struct {
	// Field is url, headers.Name, headers or body.
	Field string
	// Name is the variable at fault, empty where no single one is.
	Name string
	Text string
}

// Error returns field: name: text.
func (e *RenderError) Error() string {
	if e.Name == "" {
		return "render " + e.Field + ": " + e.Text
	}
	return "render " + e.Field + ": " + e.Name + ": " + e.Text
}

// Render writes the request that tells of a session's end. Its only errors are
// of type *RenderError. Values are escaped for where they stand and never
// looked at for variables.
func (c *Compiled) Render(values Values) (Rendered, error) {
	r := rendering{values: values, policy: c.missing}
	address, err := r.url(&c.address)
	if err != nil {
		return Rendered{}, err
	}
	headers, err := r.headers(c.headers)
	if err != nil {
		return Rendered{}, err
	}
	body, err := r.append(nil, &c.body)
	if err != nil {
		return Rendered{}, err
	}
	if c.json && !json.Valid(body) {
		return Rendered{}, &RenderError{Field: c.body.field, Text: "the result is not JSON"}
	}
	return Rendered{URL: address, Header: headers, Body: body, Missing: r.missed}, nil
}

// rendering is the state of one Render.
type rendering struct {
	values Values
	policy Missing
	missed []string
}

func (r *rendering) url(a *address) (string, error) {
	if text, ok := a.static(); ok {
		return text, nil
	}
	text, err := r.append(nil, &a.template)
	if err != nil {
		return "", err
	}
	rendered := string(text)
	if len(a.segments) == 0 {
		return rendered, nil
	}
	// Values are encoded, so the first ? or # is the template's.
	path := rendered[a.path:]
	if end := strings.IndexAny(path, "?#"); end >= 0 {
		path = path[:end]
	}
	wanted, index := a.segments, 0
	for segment := range strings.SplitSeq(path, "/") {
		if len(wanted) > 0 && wanted[0].index == index {
			if !validSegment(segment) {
				return "", &RenderError{Field: a.field, Name: wanted[0].name, Text: "the path segment has an empty, . or .. part"}
			}
			wanted = wanted[1:]
		}
		index++
	}
	return rendered, nil
}

func (r *rendering) headers(all []header) (http.Header, error) {
	out := make(http.Header, len(all))
	values := make([]string, len(all))
	total := 0
	for i := range all {
		h := &all[i]
		value, err := r.header(h)
		if err != nil {
			return nil, err
		}
		values[i] = value
		// The capacity is cut so that a caller who appends takes no neighbour's.
		out[h.name] = values[i : i+1 : i+1]
		total += len(h.name) + len(value)
	}
	if total > MaxAllHeaders {
		return nil, &RenderError{Field: "headers", Text: fmt.Sprintf("longer than %d bytes together", MaxAllHeaders)}
	}
	return out, nil
}

func (r *rendering) header(h *header) (string, error) {
	switch {
	case !h.secret.IsZero():
		return h.secret.Reveal(), nil
	case len(h.parts) == 0:
		return h.value, nil
	}
	text, err := r.append(nil, &h.template)
	if err != nil {
		return "", err
	}
	// Recipients take white space at the ends for no part of the value
	// (RFC 9110 §5.5).
	return strings.Trim(string(text), " "), nil
}

// append writes a template. The result is a new slice where dst is nil.
func (r *rendering) append(dst []byte, t *template) ([]byte, error) {
	dst = slices.Grow(dst, t.size())
	for i := range t.parts {
		p := &t.parts[i]
		if p.name == "" {
			dst = append(dst, p.text...)
		} else {
			var reason string
			if dst, reason = r.variable(dst, p); reason != "" {
				return nil, &RenderError{Field: t.field, Name: p.name, Text: reason}
			}
		}
		if len(dst) > t.limit {
			return nil, &RenderError{Field: t.field, Name: p.name, Text: fmt.Sprintf("the result is longer than %d bytes", t.limit)}
		}
	}
	return dst, nil
}

// size guesses how long the rendered template will be.
func (t *template) size() int {
	const perVariable = 40 // a UUID and a little more
	n := 0
	for i := range t.parts {
		if t.parts[i].name == "" {
			n += len(t.parts[i].text)
		} else {
			n += perVariable
		}
	}
	return n
}

func (r *rendering) variable(dst []byte, p *part) (out []byte, reason string) {
	value, present := r.values.Lookup(p.name)
	switch {
	case present:
		if len(value) > MaxValue {
			return dst, fmt.Sprintf("the value is longer than %d bytes", MaxValue)
		}
		return p.into.append(dst, repair(value))
	case p.into == inPath, r.policy == MissingError:
		return dst, "the session does not have the property"
	}
	if !slices.Contains(r.missed, p.name) {
		r.missed = append(r.missed, p.name)
	}
	switch {
	case r.policy == MissingLiteral:
		return p.into.append(dst, p.text)
	case p.into == inJSON:
		return append(dst, "null"...), ""
	default:
		return p.into.append(dst, "")
	}
}
