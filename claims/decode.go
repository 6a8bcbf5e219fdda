package claims

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits bound a set of claims that somebody else wrote. A field that is zero
// takes its value from HookLimits, so a forgotten limit is a tight one.
type Limits struct {
	Bytes  int // length of the JSON text
	Claims int // names of the object itself
	Depth  int // nesting, the object itself counting as one
}

// HookLimits are those of a hook's answer (DESIGN decision 8).
func HookLimits() Limits { return Limits{Bytes: 64 << 10, Claims: 200, Depth: 8} }

// UpstreamLimits are those of an upstream's ID token payload and userinfo.
func UpstreamLimits() Limits { return Limits{Bytes: 1 << 20, Claims: 2000, Depth: 32} }

func (l Limits) orDefault() Limits {
	d := HookLimits()
	if l.Bytes > 0 {
		d.Bytes = l.Bytes
	}
	if l.Claims > 0 {
		d.Claims = l.Claims
	}
	if l.Depth > 0 {
		d.Depth = l.Depth
	}
	return d
}

// Reason names why a set of claims was refused; it is fit for a metric label.
type Reason string

// Why DecodeObject and NewSet refuse.
const (
	TooLarge  Reason = "too_large"  // more bytes than allowed
	TooMany   Reason = "too_many"   // more claims than allowed
	TooDeep   Reason = "too_deep"   // deeper than allowed
	NotJSON   Reason = "not_json"   // not one JSON value, or not UTF-8
	NotObject Reason = "not_object" // JSON, but no object
	Duplicate Reason = "duplicate"  // one name twice in one object
	Twins     Reason = "twins"      // two claims whose names fold together
	BadName   Reason = "bad_name"   // a claim with an empty or unprintable name
	BadValue  Reason = "bad_value"  // half a surrogate pair, a number no reader can hold
)

// DecodeError says why a set was refused. Its text holds the name concerned,
// never a value.
type DecodeError struct {
	Reason Reason
	Name   string // the claim or member concerned, where there is one
}

func (e *DecodeError) Error() string {
	if e.Name == "" {
		return "decode claims: " + string(e.Reason)
	}
	return fmt.Sprintf("decode claims: %s at %.64q", e.Reason, e.Name)
}

// DecodeObject reads one JSON object strictly. Beyond what encoding/json
// checks it refuses a name given twice in one object at any depth, claims whose
// names fold together, invalid UTF-8 also where it is written as an escape,
// names that are empty or hold control characters, and whatever exceeds lim.
// Every error is a *DecodeError.
func DecodeObject(data []byte, lim Limits) (Set, error) {
	lim = lim.orDefault()
	if len(data) > lim.Bytes {
		return nil, &DecodeError{Reason: TooLarge}
	}
	value, err := decodeValue(data, lim.Depth, lim.Claims)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, &DecodeError{Reason: NotObject}
	}
	if err := checkNames(object); err != nil {
		return nil, err
	}
	return Set(object), nil
}

// decodeValue reads any JSON value; top bounds the members of an outermost object.
func decodeValue(data []byte, depth, top int) (any, error) {
	// The grammar is encoding/json's to prove; the walk then only looks for
	// what that package forgives.
	if !utf8.Valid(data) || !json.Valid(data) {
		return nil, &DecodeError{Reason: NotJSON}
	}
	w := walker{data: data, depth: depth, top: top}
	return w.value(1)
}

// walker turns proven JSON into values that keep every number's text.
type walker struct {
	data  []byte
	pos   int
	depth int
	top   int
}

func (w *walker) space() {
	for w.pos < len(w.data) {
		switch w.data[w.pos] {
		case ' ', '\t', '\n', '\r':
			w.pos++
		default:
			return
		}
	}
}

func (w *walker) value(depth int) (any, error) {
	w.space()
	switch w.data[w.pos] {
	case '{':
		return w.object(depth)
	case '[':
		return w.array(depth)
	case '"':
		return w.text()
	case 't':
		w.pos += len("true")
		return true, nil
	case 'f':
		w.pos += len("false")
		return false, nil
	case 'n':
		w.pos += len("null")
		return nil, nil
	}
	return w.number()
}

func (w *walker) object(depth int) (any, error) {
	if depth > w.depth {
		return nil, &DecodeError{Reason: TooDeep}
	}
	out := make(map[string]any, w.guess(depth))
	for w.pos++; ; w.pos++ { // past '{', later past ','
		w.space()
		if w.data[w.pos] == '}' {
			break
		}
		name, err := w.text()
		if err != nil {
			return nil, err
		}
		if _, twice := out[name]; twice {
			return nil, &DecodeError{Reason: Duplicate, Name: name}
		}
		w.space()
		w.pos++ // ':'
		if out[name], err = w.value(depth + 1); err != nil {
			return nil, err
		}
		if depth == 1 && len(out) > w.top {
			return nil, &DecodeError{Reason: TooMany}
		}
		if w.space(); w.data[w.pos] == '}' {
			break
		}
	}
	w.pos++
	return out, nil
}

// guess is about how many members the object at depth has: an outermost map that
// grew as it is filled would be made three times. Colons are not all between
// names and values, so no text can ask for more room than its size deserves.
func (w *walker) guess(depth int) int {
	if depth > 1 {
		return 0
	}
	return min(bytes.Count(w.data, []byte{':'}), w.top, 64)
}

func (w *walker) array(depth int) (any, error) {
	if depth > w.depth {
		return nil, &DecodeError{Reason: TooDeep}
	}
	out := []any{}
	for w.pos++; ; w.pos++ { // past '[', later past ','
		w.space()
		if w.data[w.pos] == ']' {
			break
		}
		item, err := w.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, item)
		if w.space(); w.data[w.pos] == ']' {
			break
		}
	}
	w.pos++
	return out, nil
}

func (w *walker) text() (string, error) {
	w.pos++
	start, quote := w.pos, bytes.IndexByte(w.data[w.pos:], '"')
	if plain := w.data[start : start+quote]; bytes.IndexByte(plain, '\\') < 0 {
		w.pos += quote + 1
		return string(plain), nil
	}
	for ; w.data[w.pos] != '"'; w.pos++ {
		if w.data[w.pos] == '\\' {
			w.pos++
		}
	}
	out, ok := unescape(w.data[start:w.pos])
	w.pos++
	if !ok {
		return "", &DecodeError{Reason: BadValue}
	}
	return out, nil
}

// unescape undoes the escapes of proven JSON text. It fails at \uD800 to \uDFFF
// outside a pair: Go reads that as U+FFFD, JavaScript keeps it, and so one name
// would be two.
func unescape(text []byte) (string, bool) {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			out = append(out, text[i])
			continue
		}
		i++
		switch text[i] {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := unit(text[i-1:])
			i += 4
			if utf16.IsSurrogate(r) {
				if r = utf16.DecodeRune(r, unit(text[i+1:])); r == utf8.RuneError {
					return "", false
				}
				i += 6
			}
			out = utf8.AppendRune(out, r)
		default: // '"', '\\' and '/' stand for themselves
			out = append(out, text[i])
		}
	}
	return string(out), true
}

// unit is the code unit that \uXXXX at the beginning of text stands for, -1
// where there is no such escape.
func unit(text []byte) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}

func (w *walker) number() (any, error) {
	start := w.pos
	for w.pos < len(w.data) && strings.IndexByte("+-0123456789.eE", w.data[w.pos]) >= 0 {
		w.pos++
	}
	n := json.Number(w.data[start:w.pos])
	if !holdable(n) {
		return nil, &DecodeError{Reason: BadValue}
	}
	return n, nil
}
