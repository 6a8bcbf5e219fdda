package sessionhooks_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

// fuzzMedia are the media types that a fuzzed number picks from.
func fuzzMedia() []string { return []string{asJSON, asForm, asXML, "text/plain", "text/html", ""} }

// FuzzTemplate compiles whatever it is given. What is accepted is rendered with
// harmless and with hostile values, and must have the same structure.
func FuzzTemplate(f *testing.F) {
	for _, v := range vectors() {
		if len(v.template) > 300 {
			continue
		}
		address, header, body := "https://h.example/", "", ""
		switch {
		case v.media != "":
			body = v.template
		case v.name != "":
			header = v.template
		default:
			address = v.template
		}
		f.Add(address, header, body, uint8(max(0, slices.Index(fuzzMedia(), v.media))), v.custom["v"], v.custom["inj"])
	}
	f.Add("http://[::1]:1/%41${a}/.$<b>?${a}#x", "a$<b>", `<a b="${a}">]]&gt;${b}</a>`, uint8(2), "]]>", "")
	f.Add("https://h/$<a>%2f${b}", "${a}${b}", `[${a},"\\${b}",{"k":[$<a>]}]`, uint8(0), "\u2028\\\"", "-0")
	f.Fuzz(func(t *testing.T, address, header, body string, media uint8, a, b string) {
		w := sessionhooks.Webhook{URL: address, Body: body, Headers: []sessionhooks.Header{{Name: "X-V", Value: header}}}
		if m := fuzzMedia()[int(media)%len(fuzzMedia())]; m != "" {
			w.Headers = append(w.Headers, sessionhooks.Header{Name: "Content-Type", Value: m})
		}
		compiled, problems := sessionhooks.Compile(w, []string{"a", "b", "v"})
		if (compiled == nil) != (len(problems) > 0) {
			t.Fatalf("compiled %v with problems %v", compiled, problems)
		}
		for _, p := range problems {
			if p.Offset < 0 || p.Offset > max(len(address), len(header), len(body)) {
				t.Fatalf("problem outside of the template: %v", p)
			}
		}
		if compiled == nil {
			return
		}
		harmless := mustRender(t, compiled, "harmless", "harmless")
		hostile := mustRender(t, compiled, a, b)
		if harmless == nil || hostile == nil {
			return
		}
		sameServer(t, *harmless, *hostile)
		cleanHeaders(t, *hostile)
		sameBody(t, hostile.Header.Get("Content-Type"), harmless.Body, hostile.Body)
	})
}

// mustRender returns nil for a render error and fails for any other.
func mustRender(t *testing.T, c *sessionhooks.Compiled, a, b string) *sessionhooks.Rendered {
	t.Helper()
	values := sessionhooks.NewValues(
		map[sessionhooks.Property]string{sessionhooks.PropertyUserID: a, sessionhooks.PropertyAuthLevel: b},
		map[string]string{"a": a, "b": b})
	r, err := c.Render(values)
	if err == nil {
		return &r
	}
	if _, ok := errors.AsType[*sessionhooks.RenderError](err); !ok {
		t.Fatalf("not a render error: %v", err)
	}
	return nil
}

// sameServer holds the authority, the depth of the path and the number of query
// parameters to those of the harmless rendering.
func sameServer(t *testing.T, harmless, hostile sessionhooks.Rendered) {
	t.Helper()
	want, err := url.Parse(harmless.URL)
	if err != nil {
		t.Fatalf("harmless URL %q: %v", harmless.URL, err)
	}
	got, err := url.Parse(hostile.URL)
	if err != nil {
		t.Fatalf("hostile URL %q: %v", hostile.URL, err)
	}
	if got.Scheme != want.Scheme || got.Host != want.Host || got.User != nil || got.Opaque != "" || got.Fragment != want.Fragment ||
		strings.Count(got.EscapedPath(), "/") != strings.Count(want.EscapedPath(), "/") ||
		strings.Count(got.RawQuery, "&") != strings.Count(want.RawQuery, "&") ||
		strings.Count(got.RawQuery, "=") != strings.Count(want.RawQuery, "=") {
		t.Fatalf("URL %q became %q", harmless.URL, hostile.URL)
	}
	for i := range len(hostile.URL) {
		if c := hostile.URL[i]; c <= ' ' || c == 0x7f {
			t.Fatalf("URL %q has a control character or space", hostile.URL)
		}
	}
}

func cleanHeaders(t *testing.T, r sessionhooks.Rendered) {
	t.Helper()
	for name, values := range r.Header {
		if len(values) != 1 {
			t.Fatalf("%s has %d values", name, len(values))
		}
		for i := range len(values[0]) {
			if c := values[0][i]; c < ' ' || c > '~' {
				t.Fatalf("%s has a character other than printable ASCII: %q", name, values[0])
			}
		}
		if strings.TrimSpace(values[0]) != values[0] {
			t.Fatalf("%s begins or ends with white space: %q", name, values[0])
		}
	}
}

func sameBody(t *testing.T, media string, harmless, hostile []byte) {
	t.Helper()
	if len(harmless) == 0 && media != "text/plain" {
		return
	}
	switch media {
	case asJSON:
		if !json.Valid(hostile) {
			t.Fatalf("not JSON: %s", hostile)
		}
		if want, got := jsonShape(t, harmless), jsonShape(t, hostile); !reflect.DeepEqual(want, got) {
			t.Fatalf("JSON %s became %s", harmless, hostile)
		}
	case asForm:
		for _, c := range []string{"&", "=", ";", "#"} {
			if bytes.Count(harmless, []byte(c)) != bytes.Count(hostile, []byte(c)) {
				t.Fatalf("form %s became %s", harmless, hostile)
			}
		}
	case asXML:
		if want, got := xmlShape(t, harmless), xmlShape(t, hostile); !slices.Equal(want, got) {
			t.Fatalf("XML %s became %s", harmless, hostile)
		}
	}
}

// jsonShape is a document with its scalars blanked: keys and nesting are what no
// value may change.
func jsonShape(t *testing.T, text []byte) any {
	t.Helper()
	var document any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&document); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return blank(document)
}

func blank(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = blank(v[name])
		}
		return v
	case []any:
		for i := range v {
			v[i] = blank(v[i])
		}
		return v
	default:
		return "scalar"
	}
}

func xmlShape(t *testing.T, text []byte) []string {
	t.Helper()
	var shape []string
	d := xml.NewDecoder(bytes.NewReader(text))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return shape
		}
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			shape = append(shape, "<"+token.Name.Local)
			for _, a := range token.Attr {
				shape = append(shape, "@"+a.Name.Local)
			}
		case xml.EndElement:
			shape = append(shape, ">"+token.Name.Local)
		case xml.Comment:
			shape = append(shape, "!"+string(token))
		}
	}
}

// FuzzValue renders any value into every context of fixed templates, and reads
// the very value back with the reader of the format.
func FuzzValue(f *testing.F) {
	for _, v := range vectors() {
		for _, value := range v.custom {
			f.Add(value[:min(len(value), 200)])
		}
	}
	f.Add("]]>")
	f.Add("\t\r\n a\r\nb ")
	f.Add("$${v}$<v>%7Bv%7D")
	f.Fuzz(func(t *testing.T, value string) {
		repaired := string([]rune(value))
		for media, body := range map[string]string{
			asJSON: `{"s":"${v}","b":$<v>}`, asForm: `s=${v}&b=$<v>`, asXML: `<a s="${v}">$<v></a>`, "text/plain": "${v}",
		} {
			w := sessionhooks.Webhook{
				URL:     "https://h.example/hook?q=${v}",
				Headers: []sessionhooks.Header{{Name: "Content-Type", Value: media}, {Name: "X-V", Value: "$<v>", Encoding: sessionhooks.EncodePercent}},
				Body:    body,
			}
			r, err := compile(t, w, "v").Render(sessionhooks.NewValues(nil, map[string]string{"v": value}))
			if err != nil {
				refusedValue(t, media, value, err)
				continue
			}
			got := readBody(t, media, r.Body)
			u, err := url.Parse(r.URL)
			if err != nil {
				t.Fatal(err)
			}
			header, err := url.PathUnescape(r.Header.Get("X-V"))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, u.Query().Get("q"), header)
			if want := slices.Repeat([]string{repaired}, 4); !slices.Equal(got, want) {
				t.Fatalf("%s: read %q, want %q", media, got, want)
			}
		}
	})
}

// readBody reads the two values of a body of FuzzValue.
func readBody(t *testing.T, media string, body []byte) []string {
	t.Helper()
	switch media {
	case asJSON:
		var got struct {
			S string
			B any
		}
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		if err := d.Decode(&got); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		return []string{got.S, fmt.Sprint(got.B)}
	case asForm:
		got, err := url.ParseQuery(string(body))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		return slices.Concat(got["s"], got["b"])
	case asXML:
		var got struct {
			S string `xml:"s,attr"`
			B string `xml:",chardata"`
		}
		if err := xml.Unmarshal(body, &got); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		return []string{got.S, got.B}
	default:
		return []string{string(body), string(body)}
	}
}

// refusedValue says whether an error is one that the value deserves.
func refusedValue(t *testing.T, media, value string, err error) {
	t.Helper()
	if _, ok := errors.AsType[*sessionhooks.RenderError](err); !ok {
		t.Fatalf("%q: not a render error: %v", value, err)
	}
	illegal := strings.ContainsFunc(value, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
	})
	// Repaired and encoded, three bytes become nine: 1,300 fit anywhere.
	if len(value) <= 450 && (media != asXML || !illegal) {
		t.Fatalf("%s: %q refused: %v", media, value, err)
	}
}

// FuzzLiteral writes any text literally: with ${ and $< doubled it renders to
// itself.
func FuzzLiteral(f *testing.F) {
	for _, text := range []string{"", "$", "$$", "$5", "${UserId}", "$<UserId>", "$${x}", "$$$${{$<$", "a$", "${", "$<", "$ {"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w := sessionhooks.Webhook{
			URL: "https://h.example/", Headers: contentType("text/plain"),
			Body: "$" + "5" + strings.NewReplacer("${", "$${", "$<", "$$<").Replace(text),
		}
		compiled, problems := sessionhooks.Compile(w, nil)
		if len(problems) > 0 {
			if mentions(problems, "UTF-8") || mentions(problems, "longer than") {
				return
			}
			t.Fatalf("%q refused: %v", text, problems)
		}
		r, err := compiled.Render(sessionhooks.Values{})
		if err != nil || string(r.Body) != "$5"+text {
			t.Fatalf("%q rendered to %q, %v", text, r.Body, err)
		}
	})
}
