package sessionhooks_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

func compile(t testing.TB, w sessionhooks.Webhook, custom ...string) *sessionhooks.Compiled {
	t.Helper()
	compiled, problems := sessionhooks.Compile(w, custom)
	if len(problems) > 0 {
		t.Fatalf("refused: %v", problems)
	}
	return compiled
}

func render(t testing.TB, w sessionhooks.Webhook, values map[string]string, declared ...string) sessionhooks.Rendered {
	t.Helper()
	rendered, err := compile(t, w, declared...).Render(sessionhooks.NewValues(nil, values))
	if err != nil {
		t.Fatal(err)
	}
	return rendered
}

func TestRenderMissing(t *testing.T) {
	for _, c := range []struct {
		policy      sessionhooks.Missing
		media, body string
		want        string // empty: rendering fails
	}{
		{"", "text/plain", "<${v}>", "<>"},
		{"empty", asJSON, `["${v}",$<v>]`, `["",null]`},
		{"empty", asForm, `a=${v}`, `a=`},
		{"empty", asXML, `<a>$<v></a>`, `<a></a>`},
		{"error", asJSON, `[${v}]`, ""},
		{"error", "text/plain", `${v}`, ""},
		{"literal", asJSON, `["${v}",$<v>]`, `["${v}","$\u003cv\u003e"]`},
		{"literal", asForm, `a=${v}`, `a=%24%7Bv%7D`},
		{"literal", asXML, `<a>$<v></a>`, `<a>$&lt;v&gt;</a>`},
		{"literal", "text/plain", `$<v>`, `$<v>`},
	} {
		w := sessionhooks.Webhook{URL: "https://h.example/", Missing: c.policy, Headers: contentType(c.media), Body: c.body}
		rendered, err := compile(t, w, "v").Render(sessionhooks.Values{})
		if c.want == "" {
			failure, ok := errors.AsType[*sessionhooks.RenderError](err)
			if !ok || failure.Field != "body" || failure.Name != "v" {
				t.Errorf("%s %s: error %v", c.policy, c.body, err)
			}
			continue
		}
		if err != nil || string(rendered.Body) != c.want || !slices.Equal(rendered.Missing, []string{"v"}) {
			t.Errorf("%s %s: rendered %s, missing %q, %v; want %s", c.policy, c.body, rendered.Body, rendered.Missing, err, c.want)
		}
	}
}

// TestRenderMissingInPath: an empty segment would address another resource.
func TestRenderMissingInPath(t *testing.T) {
	for _, policy := range []sessionhooks.Missing{"", "empty", "error", "literal"} {
		w := sessionhooks.Webhook{URL: "https://h.example/u-${v}?u=${v}", Missing: policy}
		_, err := compile(t, w, "v").Render(sessionhooks.Values{})
		if failure, ok := errors.AsType[*sessionhooks.RenderError](err); !ok || failure.Field != "url" || failure.Name != "v" {
			t.Errorf("%q: error %v", policy, err)
		}
	}
}

func TestRenderMissingOnce(t *testing.T) {
	rendered := render(t, sessionhooks.Webhook{
		URL:     "https://h.example/?a=${a}&b=${b}",
		Headers: []sessionhooks.Header{{Name: "X-A", Value: "${a}"}, {Name: "Content-Type", Value: asForm}},
		Body:    "b=${b}&c=${c}&e=${e}",
	}, map[string]string{"e": ""}, "a", "b", "c", "e")
	if want := []string{"a", "b", "c"}; !slices.Equal(rendered.Missing, want) {
		t.Errorf("missing %q, want %q", rendered.Missing, want)
	}
}

func TestRenderHeaderEncodings(t *testing.T) {
	for _, c := range []struct {
		encoding    sessionhooks.HeaderEncoding
		value, want string
	}{
		{"", "a b~!", "[a b~!]"},
		{"percent", "Zoë & a\r\nb", "[Zo%C3%AB%20%26%20a%0D%0Ab]"},
		{"percent", "", "[]"},
		{"percent", "a\xffb", "[a%EF%BF%BDb]"},
		{"base64", "Zoë", "[Wm/Dqw==]"},
		{"rfc8187", "Zoë", "[UTF-8''Zo%C3%AB]"},
		{"rfc8187", "", "[UTF-8'']"},
	} {
		headers := []sessionhooks.Header{{Name: "X-V", Value: "[${v}]", Encoding: c.encoding}}
		rendered := render(t, sessionhooks.Webhook{URL: "https://h.example/", Headers: headers}, map[string]string{"v": c.value}, "v")
		if got := rendered.Header.Get("X-V"); got != c.want {
			t.Errorf("%s of %q: %s, want %s", c.encoding, c.value, got, c.want)
		}
	}
}

func TestRenderHeaderRefusals(t *testing.T) {
	for _, value := range []string{"a\rb", "a\nb", "a\tb", "a\x00b", "a\x7fb", "\n", "é", "a\xffb", "\u2028"} {
		headers := []sessionhooks.Header{{Name: "x-v", Value: "${v}"}}
		_, err := compile(t, sessionhooks.Webhook{URL: "https://h.example/", Headers: headers}, "v").
			Render(sessionhooks.NewValues(nil, map[string]string{"v": value}))
		if failure, ok := errors.AsType[*sessionhooks.RenderError](err); !ok || failure.Field != "headers.x-v" || failure.Name != "v" {
			t.Errorf("%q: error %v", value, err)
		}
	}
}

func TestRenderPathRefusals(t *testing.T) {
	const url = "https://h.example/a/x${v}/b%2F${v}?${v}"
	for value, fails := range map[string]bool{
		"": true, ".": true, "..": true, "a/": true, "/a": true, "a//b": true, "a/../b": true, `a\..\b`: true, `..\`: true,
		"a": false, "...": false, "a/b": false, `a\b`: false, "%2e%2e": false, "a;b": false, "..;": false, " ": false,
	} {
		rendered, err := compile(t, sessionhooks.Webhook{URL: url}, "v").Render(sessionhooks.NewValues(nil, map[string]string{"v": value}))
		failure, ok := errors.AsType[*sessionhooks.RenderError](err)
		if ok != fails || ok && (failure.Field != "url" || failure.Name != "v") {
			t.Errorf("%q: %s, error %v", value, rendered.URL, err)
		}
	}
}

// TestRenderURLLiteral: what a URL cannot carry is encoded where it is literal,
// and left where it is the operator's own encoding.
func TestRenderURLLiteral(t *testing.T) {
	for source, want := range map[string]string{
		`https://h.example/a b/ë$${x}?c=<"é">|\^` + "`": "https://h.example/a%20b/%C3%AB$%7Bx%7D?c=%3C%22%C3%A9%22%3E%7C%5C%5E%60",
		"https://h.example/%2f+a?b=%C3%AB+c[]=1&d:@!$":  "https://h.example/%2f+a?b=%C3%AB+c[]=1&d:@!$",
		"https://zoë.example":                           "https://zoë.example",
		"https://h.example/ë${v}ë?ë${v}#ë":              "https://h.example/%C3%AB1%C3%AB?%C3%AB1#%C3%AB",
	} {
		if got := render(t, sessionhooks.Webhook{URL: source}, map[string]string{"v": "1"}, "v").URL; got != want {
			t.Errorf("%s rendered to %s, want %s", source, got, want)
		}
	}
}

func TestRenderJSONValues(t *testing.T) {
	for value, bare := range map[string]bool{
		"0": true, "-1": true, "10.50": true, "0.5": true, "123456789012345678": true, "-12345678901234567.8": true, "true": true, "false": true,
		"": false, "-": false, "01": false, "-01": false, "1.": false, ".5": false, "1.5.5": false, "1e5": false, "+1": false, " 1": false, "1 ": false,
		"1234567890123456789": false, "123456789012345.6789": false, "NaN": false, "Infinity": false, "null": false, "True": false, "0x1": false,
		"{}": false, "[]": false, `"a"`: false, "١": false, "1,2": false,
	} {
		rendered := render(t, sessionhooks.Webhook{URL: "https://h.example/", Headers: contentType(asJSON), Body: "${v}"}, map[string]string{"v": value}, "v")
		if got := string(rendered.Body); (got == value) != bare || bare == strings.HasPrefix(got, `"`) {
			t.Errorf("%q rendered to %s", value, got)
		}
	}
}

func TestRenderLimits(t *testing.T) {
	value := map[string]string{"v": strings.Repeat("\x01", 4096)}
	for _, c := range []struct {
		w     sessionhooks.Webhook
		field string
	}{
		{sessionhooks.Webhook{URL: "https://h.example/?${v}"}, "url"},
		{sessionhooks.Webhook{URL: "https://h.example/", Headers: []sessionhooks.Header{{Name: "X-V", Encoding: "percent", Value: "${v}"}}}, "headers.X-V"},
		{sessionhooks.Webhook{URL: "https://h.example/", Headers: contentType(asJSON), Body: `["` + strings.Repeat("${v}", 11) + `"]`}, "body"},
	} {
		_, err := compile(t, c.w, "v").Render(sessionhooks.NewValues(nil, value))
		if failure, ok := errors.AsType[*sessionhooks.RenderError](err); !ok || failure.Field != c.field || !strings.Contains(failure.Text, "longer than") {
			t.Errorf("%s: error %v", c.field, err)
		}
	}
	var headers []sessionhooks.Header
	for i := range 5 {
		headers = append(headers, sessionhooks.Header{Name: fmt.Sprintf("X-%d", i), Value: "${v}"})
	}
	_, err := compile(t, sessionhooks.Webhook{URL: "https://h.example/", Headers: headers}, "v").
		Render(sessionhooks.NewValues(nil, map[string]string{"v": strings.Repeat("v", 4000)}))
	if failure, ok := errors.AsType[*sessionhooks.RenderError](err); !ok || failure.Field != "headers" {
		t.Errorf("all headers: error %v", err)
	}
}

// TestRenderOnTheWire sends a rendering through net/http's own writer and reader.
func TestRenderOnTheWire(t *testing.T) {
	rendered := render(t, sessionhooks.Webhook{
		URL: "https://h.example/u/${v}?q=${v}&<${v}>",
		Headers: []sessionhooks.Header{
			{Name: "content-type", Value: asForm},
			{Name: "Authorization", Secret: sessionhooks.NewSecret("Bearer ${v}$$<")},
			{Name: "X-V", Value: "${v}", Encoding: sessionhooks.EncodeRFC8187},
		},
		Body: "v=${v}",
	}, map[string]string{"v": "a b\r\nX: ë/$<v>${v}"}, "v")
	request, err := http.NewRequest(http.MethodPost, rendered.URL, bytes.NewReader(rendered.Body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = rendered.Header
	var wire bytes.Buffer
	if err := request.Write(&wire); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		t.Fatal(err)
	}
	const encoded = "a%20b%0D%0AX%3A%20%C3%AB%2F%24%3Cv%3E%24%7Bv%7D"
	body, _ := io.ReadAll(got.Body)
	for what, pair := range map[string][2]string{
		"host":          {got.Host, "h.example"},
		"request URI":   {got.RequestURI, "/u/" + encoded + "?q=" + encoded + "&%3C" + encoded + "%3E"},
		"authorization": {got.Header.Get("Authorization"), "Bearer ${v}$$<"},
		"header":        {got.Header.Get("X-V"), "UTF-8''" + encoded},
		"content type":  {got.Header.Get("Content-Type"), asForm},
		"injected":      {got.Header.Get("X"), ""},
		"body":          {string(body), "v=" + strings.ReplaceAll(encoded, "%20", "+")},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %s, want %s", what, pair[0], pair[1])
		}
	}
}

// TestRenderIsShared renders from many goroutines and changes what it gets.
func TestRenderIsShared(t *testing.T) {
	compiled := compile(t, sessionhooks.Webhook{
		URL:     "https://h.example/?u=${UserId}",
		Headers: []sessionhooks.Header{{Name: "Content-Type", Value: "text/plain"}, {Name: "X-A", Value: "a"}},
		Body:    "static",
	})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			user := fmt.Sprint(i)
			values := sessionhooks.NewValues(map[sessionhooks.Property]string{sessionhooks.PropertyUserID: user}, nil)
			for range 100 {
				r, err := compiled.Render(values)
				if err != nil || r.URL != "https://h.example/?u="+user || string(r.Body) != "static" || r.Header.Get("X-A") != "a" || len(r.Header) != 2 {
					t.Errorf("%s %s %v %v", r.URL, r.Body, r.Header, err)
					return
				}
				r.Body[0] = 'S'
				r.Header.Add("Content-Type", "b")
				r.Header.Set("X-B", "b")
			}
		})
	}
	group.Wait()
}

func TestNothingSecretPrints(t *testing.T) {
	const secret = "hunter2"
	w := sessionhooks.Webhook{
		URL:     "https://h.example/?p=${v}",
		Headers: []sessionhooks.Header{{Name: "Authorization", Secret: sessionhooks.NewSecret(secret)}},
	}
	compiled := compile(t, w, "v")
	rendered, err := compiled.Render(sessionhooks.NewValues(nil, map[string]string{"v": secret}))
	if err != nil || rendered.Header.Get("Authorization") != secret {
		t.Fatalf("%v %v", rendered, err)
	}
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	text := slog.New(slog.NewTextHandler(&out, nil))
	for _, v := range []any{w, &w, w.Headers[0], w.Headers[0].Secret, compiled, *compiled, rendered, &rendered, struct{ s sessionhooks.Secret }{w.Headers[0].Secret}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			fmt.Fprintf(&out, verb, v)
		}
		log.Info("m", "v", v)
		text.Info("m", "v", v)
		if encoded, err := json.Marshal(v); err == nil {
			out.Write(encoded)
		}
	}
	for _, form := range []string{secret, fmt.Sprintf("%x", secret)} {
		if before, _, found := strings.Cut(out.String(), form); found {
			t.Errorf("the secret was printed after %q", before[max(0, len(before)-80):])
		}
	}
}

func TestSecret(t *testing.T) {
	zero, empty, full := sessionhooks.Secret{}, sessionhooks.NewSecret(""), sessionhooks.NewSecret("s")
	if !zero.IsZero() || empty.IsZero() || full.IsZero() {
		t.Error("only the zero Secret is none at all")
	}
	if zero.Reveal() != "" || empty.Reveal() != "" || full.Reveal() != "s" {
		t.Error("Reveal does not return the value")
	}
}

func BenchmarkRender(b *testing.B) {
	compiled := compile(b, sessionhooks.Webhook{
		ID:  "tell-crm",
		URL: "http://127.0.0.1:9300/sink",
		Headers: []sessionhooks.Header{
			{Name: "Content-Type", Value: asJSON},
			{Name: "Authorization", Secret: sessionhooks.NewSecret("Bearer 0123456789")},
		},
		Body: `{"event":"${WebhookEventType}","user":"${UserId}","session":"${OidcSid}"}`,
	})
	values := sessionhooks.NewValues(map[sessionhooks.Property]string{
		sessionhooks.PropertyWebhookEventType: "IDLE_TIMEOUT",
		sessionhooks.PropertyUserID:           "018f2f4e-7d3a-7c1b-9a55-3b8f6f1c2d4e",
		sessionhooks.PropertyOidcSid:          "g0wmSpoAIwH6HAwCnurvRcfYqh4",
	}, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := compiled.Render(values); err != nil {
			b.Fatal(err)
		}
	}
}
