package demo

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// indent lays out JSON for people; what is no JSON stays as it is.
func indent(raw []byte) string {
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return string(raw)
	}
	return out.String()
}

// pretty is a value as laid-out JSON, with names in order.
func pretty(value any) string {
	raw, err := encode(value)
	if err != nil {
		return "" // no value of the demo is without JSON
	}
	return indent(raw)
}

// compact is a value as one line of JSON, with names in order: equal values
// have equal text.
func compact(value any) string {
	raw, err := encode(value)
	if err != nil {
		return ""
	}
	return string(raw)
}

// encode leaves <, > and & alone: templates escape for the page that they are on.
func encode(value any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(value)
	return bytes.TrimSpace(out.Bytes()), err
}

// decodeObject reads a JSON object and keeps its numbers as they are written.
func decodeObject(raw []byte) (map[string]any, error) {
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err := d.Decode(&object)
	return object, err
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	raw, err := encode(value)
	if err == nil {
		_, err = w.Write(raw)
	}
	_ = err // a client that has gone needs no answer
}
