package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Limits bound a JSON body. The zero Limits are 16 KiB and five levels.
type Limits struct {
	Bytes int64
	// Depth is how many objects and arrays may stand inside one another.
	Depth int
}

// DecodeJSON reads a body that must be there. T is a struct; the body may have
// only members that T names, spelled so, and each at most once. Every error is
// a Problem.
func DecodeJSON[T any](r *http.Request, l Limits) (T, error) {
	v, present, err := DecodeOptional[T](r, l)
	if err == nil && !present {
		err = Malformed("malformed_body", "A JSON object is expected.")
	}
	return v, err
}

// DecodeOptional is DecodeJSON for a body that may be left out; an empty body
// needs no Content-Type.
func DecodeOptional[T any](r *http.Request, l Limits) (v T, present bool, err error) {
	if l.Bytes == 0 {
		l.Bytes = 16 << 10
	}
	if l.Depth == 0 {
		l.Depth = 5
	}
	body, err := readBody(r, l.Bytes)
	if err != nil || len(body) == 0 {
		return v, false, err
	}
	if err := jsonMedia(r.Header); err != nil {
		return v, false, err
	}
	if err := strict(body, reflect.TypeFor[T](), l.Depth); err != nil {
		return v, false, err
	}
	if err := json.Unmarshal(body, &v); err != nil {
		var zero T
		return zero, false, wrongType(err)
	}
	return v, true, nil
}

func readBody(r *http.Request, limit int64) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	if r.ContentLength > limit {
		return nil, TooLarge(limit)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, TooLarge(limit).Because(err)
		}
		return nil, Malformed("malformed_body", "The body could not be read to its end.").Because(err)
	}
	if int64(len(body)) > limit {
		return nil, TooLarge(limit)
	}
	return body, nil
}

func jsonMedia(h http.Header) error {
	types := h.Values("Content-Type")
	if len(types) != 1 {
		return UnsupportedMedia("One Content-Type, application/json, is expected.")
	}
	media, params, err := mime.ParseMediaType(types[0])
	if err != nil || media != mediaJSON {
		return UnsupportedMedia("Content-Type must be application/json.")
	}
	if set, ok := params["charset"]; ok && !strings.EqualFold(set, "utf-8") {
		return UnsupportedMedia("The charset must be UTF-8.")
	}
	if h.Get("Content-Encoding") != "" {
		return UnsupportedMedia("The body must not be encoded.")
	}
	return nil
}

func wrongType(err error) error {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && t.Field != "" {
		return Malformed("malformed_body", "The value has the wrong type.").In(t.Field).Because(err)
	}
	return Malformed("malformed_body", "The body does not have the expected members.").Because(err)
}

// strict holds a body to what encoding/json lets pass: bytes that are not
// UTF-8, names in another case, members given twice, null for what cannot be
// null, and nesting without end.
func strict(body []byte, into reflect.Type, depth int) error {
	switch {
	case bytes.HasPrefix(body, []byte("\xef\xbb\xbf")):
		return Malformed("malformed_body", "The body begins with a byte order mark.")
	case !utf8.Valid(body):
		return Malformed("malformed_body", "The body is not UTF-8.")
	case !json.Valid(body):
		return Malformed("malformed_body", "The body is not one JSON value.")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	return walker{dec: dec, depth: depth}.value(into, "")
}

// walker goes through valid JSON beside the type that it is meant for. A nil
// type is one about whose members nothing is known.
type walker struct {
	dec   *json.Decoder
	depth int
}

func (k walker) value(t reflect.Type, path string) error {
	token, err := k.dec.Token()
	if err != nil {
		return Malformed("malformed_body", "The body is not one JSON value.").Because(err)
	}
	if token == nil && !nullable(t) {
		return Malformed("malformed_body", "The value must not be null.").In(path)
	}
	open, composite := token.(json.Delim)
	if !composite {
		return nil
	}
	if k.depth == 0 {
		return Malformed("malformed_body", "The body is nested too deeply.").In(path)
	}
	k.depth--
	if open == '{' {
		err = k.object(t, path)
	} else {
		err = k.array(t, path)
	}
	if err == nil {
		_, err = k.dec.Token() // the closing bracket
	}
	return err
}

func (k walker) array(t reflect.Type, path string) error {
	elem := element(t, reflect.Slice, reflect.Array)
	for i := 0; k.dec.More(); i++ {
		if err := k.value(elem, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	return nil
}

func (k walker) object(t reflect.Type, path string) error {
	known := members(t)
	elem := element(t, reflect.Map)
	seen := make(map[string]struct{})
	for k.dec.More() {
		token, err := k.dec.Token()
		if err != nil {
			return Malformed("malformed_body", "The body is not one JSON value.").Because(err)
		}
		name, _ := token.(string)
		at := join(path, name)
		folded := fold(name)
		if _, twice := seen[folded]; twice {
			return Malformed("malformed_body", "The member is given twice.").In(at)
		}
		seen[folded] = struct{}{}
		next := elem
		if known != nil {
			member, ok := known[name]
			if !ok {
				return Malformed("malformed_body", "There is no such member.").In(at)
			}
			next = member
		}
		if err := k.value(next, at); err != nil {
			return err
		}
	}
	return nil
}

// join is a path that is safe to repeat: names that nobody would give a member
// are cut short.
func join(path, name string) string {
	const most = 64
	if len(name) > most {
		name = strings.ToValidUTF8(name[:most], "") + "…"
	}
	if path == "" {
		return name
	}
	return path + "." + name
}
