package sessionhooks_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

func contentType(media string) []sessionhooks.Header {
	return []sessionhooks.Header{{Name: "Content-Type", Value: media}}
}

type change func(*sessionhooks.Webhook)

// refusal changes one thing of a good webhook; want is the whole list of
// problems, each as its field and a part of its text.
type refusal struct {
	name   string
	change change
	want   []string
}

// urlRefusals are what a URL cannot be.
func urlRefusals() []refusal {
	at := func(url string) change {
		return func(w *sessionhooks.Webhook) { w.URL = url }
	}
	return []refusal{
		{"no URL", at(""), []string{"url", "is required"}},
		{"no scheme", at("h.example/x"), []string{"url", "does not begin with"}},
		{"another scheme", at("ftp://h.example/"), []string{"url", "does not begin with"}},
		{"scheme without host", at("https:///x"), []string{"url", "no host"}},
		{"port without host", at("https://:80/x"), []string{"url", "no host"}},
		{"port out of range", at("https://h.example:65536/"), []string{"url", "port"}},
		{"port zero", at("https://h.example:0/"), []string{"url", "port"}},
		{"user information", at("https://u:hunter2@h.example/"), []string{"url", "user information"}},
		{"user only", at("https://u@h.example/"), []string{"url", "user information"}},
		{"short IPv4", at("https://127.1/"), []string{"url", "usual form"}},
		{"hexadecimal IPv4", at("https://0x7f.1/"), []string{"url", "usual form"}},
		{"hexadecimal number", at("https://0x7f000001/"), []string{"url", "usual form"}},
		{"octal IPv4", at("https://0177.0.0.1/"), []string{"url", "usual form"}},
		{"number for a host", at("https://2130706433/"), []string{"url", "usual form"}},
		{"IPv6 with a zone", at("https://[fe80::1%25eth0]/"), []string{"url", "usual form"}},
		{"empty label", at("https://h..example/"), []string{"url", "usual form"}},
		{"quote in the host", at("https://h\"x/"), []string{"url", "usual form"}},
		{"backslash in the host", at(`https://h.example\@evil.example/`), []string{"url", "user information"}},
		{"line end in the path", at("https://h.example/a\nb"), []string{"url", "control character"}},
		{"spaces around", at(" https://h.example/"), []string{"url", "white space", "url", "does not begin"}},
		{"variable as scheme", at("${UserId}://h.example/"), []string{"url", "does not begin with"}},
		{"variable after the host", at("https://h.example${UserId}"), []string{"url", "in the authority"}},
		{"whole URL", at("${loginURL}"), []string{"url", "does not begin with"}},
		{"split escape", at("https://h.example/?a=%${UserId}"), []string{"url", "hexadecimal"}},
		{"half an escape", at("https://h.example/%2${UserId}"), []string{"url", "hexadecimal"}},
		{"lone percent", at("https://h.example/100%"), []string{"url", "hexadecimal"}},
		{"segment that is never right", at("https://h.example/a%2f..%2F${UserId}"), []string{"url", "path segment"}},
		{"URL too long", at("https://h.example/" + strings.Repeat("a", 2048)), []string{"url", "longer than 2048"}},
		{"not UTF-8", at("https://h.example/\xff"), []string{"url", "not UTF-8"}},
		{"two mistakes", at("https://${UserId}/#${UserId}"), []string{"url", "authority", "url", "fragment"}},
	}
}

// otherRefusals are events and policies that do not exist.
func otherRefusals() []refusal {
	return []refusal{
		{"unknown event", func(w *sessionhooks.Webhook) { w.Events = []sessionhooks.EndEvent{"LOGOUT", "logout"} }, []string{"events[1]", `"logout" is no event`}},
		{"event twice", func(w *sessionhooks.Webhook) { w.Events = []sessionhooks.EndEvent{"LOGOUT", "LOGOUT"} }, []string{"events[1]", "twice"}},
		{"unknown policy", func(w *sessionhooks.Webhook) { w.Missing = "null" }, []string{"missing", "none of"}},
	}
}

// headerRefusals are what a header cannot be.
func headerRefusals() []refusal {
	header := func(name, value string) change {
		return func(w *sessionhooks.Webhook) {
			w.Headers = append(w.Headers, sessionhooks.Header{Name: name, Value: value})
		}
	}
	secret := func(name, value string) change {
		return func(w *sessionhooks.Webhook) {
			w.Headers = append(w.Headers, sessionhooks.Header{Name: name, Secret: sessionhooks.NewSecret(value)})
		}
	}
	long := strings.Repeat("a", 5000)
	return []refusal{
		{"no header name", header("", "x"), []string{`headers[""]`, "no header name"}},
		{"space in a header name", header("X A", "x"), []string{`headers["X A"]`, "no header name"}},
		{"line end in a header name", header("X\n", "x"), []string{`headers["X\n"]`, "no header name"}},
		{"the other variable in a name", header("X-$<UserId>", "x"), []string{`headers["X-$<UserId>"]`, "variable in its name"}},
		{"header twice", func(w *sessionhooks.Webhook) { header("X-A", "1")(w); header("x-a", "2")(w) }, []string{"headers.x-a", "twice"}},
		{"line end in a header", header("X-A", "a\nb"), []string{"headers.X-A", "printable ASCII"}},
		{"tab in a header", header("X-A", "a\tb"), []string{"headers.X-A", "printable ASCII"}},
		{"name in a header", header("X-A", "Zoë"), []string{"headers.X-A", "printable ASCII"}},
		{"header too long", header("X-A", long), []string{"headers.X-A", "longer than 4096"}},
		{"unknown encoding", func(w *sessionhooks.Webhook) {
			w.Headers = []sessionhooks.Header{{Name: "X-A", Value: "x", Encoding: "hex"}}
		}, []string{"headers.X-A", "encoding"}},
		{"media type from a variable", header("Content-Type", "${UserId}"), []string{"headers.Content-Type", "takes no variables"}},
		{"no media type", header("Content-Type", "json"), []string{"headers.Content-Type", "no media type"}},
		{"secret media type", secret("Content-Type", "text/plain"), []string{"headers.Content-Type", "cannot be a secret"}},
		{"value and secret", func(w *sessionhooks.Webhook) {
			w.Headers = []sessionhooks.Header{{Name: "X-A", Value: "x", Secret: sessionhooks.NewSecret("hunter2")}}
		}, []string{"headers.X-A", "both"}},
		{"empty secret", secret("X-A", ""), []string{"headers.X-A", "empty secret"}},
		{"secret with a line end", secret("X-A", "hunter2\n"), []string{"headers.X-A", "printable ASCII"}},
		{"secret too long", secret("X-A", "hunter2"+long), []string{"headers.X-A", "longer than 4096"}},
	}
}

// bodyRefusals are what a body cannot be under its media type.
func bodyRefusals() []refusal {
	body := func(media, text string) change {
		return func(w *sessionhooks.Webhook) { w.Headers, w.Body = contentType(media), text }
	}
	return []refusal{
		{"body without media type", func(w *sessionhooks.Webhook) { w.Body = "${UserId}" }, []string{"body", "no Content-Type"}},
		{"body of another kind", body("text/html", "${UserId}"), []string{"body", "cannot be escaped"}},
		{"body in another charset", body("text/plain; charset=iso-8859-1", "${UserId}"), []string{"body", "charset"}},
		{"body too long", body("text/plain", strings.Repeat("a", 16<<10+1)), []string{"body", "longer than 16384"}},
		{"too many variables", body("text/plain", strings.Repeat("${UserId}", 65)), []string{"body", "65 variables"}},
		{"variable not closed", body("text/plain", "${UserId and $<AuthLevel"), []string{"body", "not closed", "body", "not closed"}},
		{"unknown variables", body("text/plain", "${a} ${b} ${userid}"), []string{"body", "a is an unknown", "body", "b is an unknown", "body", "did you mean UserId"}},
		{"glued name of the seed", body("text/plain", "${UserProfileRequired}"), []string{"body", "unknown variable"}},

		{"JSON without variables", body(asJSON, `{"a":}`), []string{"body", "not JSON"}},
		{"JSON of another name", body("application/vnd.x+json", `{`), []string{"body", "not JSON"}},
		{"variable beside a token", body(asJSON, `{"a":1${UserId}}`), []string{"body", "not JSON"}},
		{"variable beside a variable", body(asJSON, `[${UserId}${UserId}]`), []string{"body", "not JSON"}},
		{"variable beside a string", body(asJSON, `["a"${UserId}]`), []string{"body", "not JSON"}},
		{"bare key", body(asJSON, `{${UserId}:1}`), []string{"body", "in the key"}},
		{"second key", body(asJSON, `{"a":[{}],"b${UserId}":1}`), []string{"body", "in the key"}},
		{"variable in an escape", body(asJSON, `["\u00${AuthLevel}1"]`), []string{"body", "not JSON"}},
		{"two documents", body(asJSON, `{}${UserId}`), []string{"body", "not JSON"}},

		{"line end in a form", body(asForm, "a=${UserId}\n"), []string{"body", "line end"}},
		{"split escape in a form", body(asForm, "a=%4${AuthLevel}"), []string{"body", "hexadecimal"}},

		{"not XML", body(asXML, "<a>${UserId}</b>"), []string{"body", "well-formed"}},
		{"no root", body(asXML, "<!-- -->"), []string{"body", "0 root elements"}},
		{"two roots", body(asXML, "<a/><b/>"), []string{"body", "2 root elements"}},
		{"text after the root", body(asXML, "<a/>x"), []string{"body", "outside its root"}},
		{"another XML charset", body(asXML, `<?xml version="1.0" encoding="latin1"?><a/>`), []string{"body", "UTF-8"}},
		{"variable outside the root", body(asXML, "<a/>${UserId}"), []string{"body", "outside the root", "body", "outside its root"}},
		{"variable in a comment", body(asXML, "<a><!-- ${UserId} --></a>"), []string{"body", "in a comment"}},
		{"variable in CDATA", body(asXML, "<a><![CDATA[${UserId}]]></a>"), []string{"body", "in a CDATA section"}},
		{"variable in an instruction", body(asXML, "<a><?x ${UserId}?></a>"), []string{"body", "in a processing instruction"}},
		{"variable in a declaration", body(asXML, "<!DOCTYPE ${UserId}><a/>"), []string{"body", "in a declaration"}},
		{"variable in an element name", body(asXML, "<a${UserId}/>"), []string{"body", "in a name"}},
		{"variable in an attribute name", body(asXML, `<a ${UserId}="1"/>`), []string{"body", "in a name"}},
		{"variable in an end tag", body(asXML, "<a><x></${UserId}></a>"), []string{"body", "in a name"}},
		{"variable without quotes", body(asXML, "<a b=${UserId}/>"), []string{"body", "well-formed"}},
		{"variable in a namespace", body(asXML, `<a xmlns:b = "${UserId}"/>`), []string{"body", "in a namespace"}},
		{"variable in an entity", body(asXML, "<a>&#${AuthLevel};</a>"), []string{"body", "well-formed"}},
		{"variable hides ]]>", body(asXML, "<a>]]${UserId}></a>"), []string{"body", "where a value is empty"}},
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, c := range slices.Concat(urlRefusals(), otherRefusals(), headerRefusals(), bodyRefusals()) {
		t.Run(c.name, func(t *testing.T) {
			w := sessionhooks.Webhook{ID: "w", URL: "https://h.example/"}
			c.change(&w)
			compiled, problems := sessionhooks.Compile(w, nil)
			if compiled != nil || len(problems)*2 != len(c.want) {
				t.Fatalf("problems %v, want %q", problems, c.want)
			}
			for i, p := range problems {
				if p.Field != c.want[2*i] || !strings.Contains(p.Text, c.want[2*i+1]) {
					t.Errorf("problem %v, want %q", p, c.want[2*i:2*i+2])
				}
				if strings.Contains(p.String(), "hunter2") {
					t.Errorf("problem tells a secret: %v", p)
				}
			}
		})
	}
}

func TestCompileRefusesHeaders(t *testing.T) {
	for _, name := range []string{
		"Host", "content-length", "Transfer-Encoding", "CONNECTION", "Upgrade", "TE", "Trailer", "Expect", "Keep-Alive",
		"Proxy-Authorization", "proxy-connection", "X-IRM-Topic", "x-irm-anything", "webhook-id", "Webhook-Signature",
		"Idempotency-Key", "X-Idempotency-Key",
	} {
		_, problems := sessionhooks.Compile(sessionhooks.Webhook{URL: "https://h.example/", Headers: []sessionhooks.Header{{Name: name, Value: "x"}}}, nil)
		if len(problems) != 1 || problems[0].Field != "headers."+name {
			t.Errorf("%s: problems %v", name, problems)
		}
	}
}

func TestCompileLimitsHeaders(t *testing.T) {
	var many []sessionhooks.Header
	for i := range 21 {
		many = append(many, sessionhooks.Header{Name: fmt.Sprintf("X-%d", i), Value: "x"})
	}
	var large []sessionhooks.Header
	for i := range 5 {
		large = append(large, sessionhooks.Header{Name: fmt.Sprintf("X-%d", i), Value: strings.Repeat("x", 4000)})
	}
	for want, headers := range map[string][]sessionhooks.Header{"at most 20": many, "longer than 16384": large} {
		_, problems := sessionhooks.Compile(sessionhooks.Webhook{URL: "https://h.example/", Headers: headers}, nil)
		if len(problems) != 1 || problems[0].Field != "headers" || !strings.Contains(problems[0].Text, want) {
			t.Errorf("problems %v, want %q", problems, want)
		}
	}
}

// TestCompileReportsEverything has one mistake in each field.
func TestCompileReportsEverything(t *testing.T) {
	_, problems := sessionhooks.Compile(sessionhooks.Webhook{
		URL:     "https://${UserId}/",
		Events:  []sessionhooks.EndEvent{"GONE"},
		Headers: []sessionhooks.Header{{Name: "Host", Value: "x"}, {Name: "X-A", Value: "${nobody}"}},
		Body:    "${UserId}",
		Missing: "sometimes",
	}, nil)
	var fields []string
	for _, p := range problems {
		fields = append(fields, p.Field)
	}
	if want := []string{"url", "events[0]", "headers.Host", "headers.X-A", "body", "missing"}; !slices.Equal(fields, want) {
		t.Errorf("problems in %q, want %q: %v", fields, want, problems)
	}
}

// TestCompileReportsNoFlood: text that is no template at all is not told word by word.
func TestCompileReportsNoFlood(t *testing.T) {
	_, problems := sessionhooks.Compile(sessionhooks.Webhook{URL: "", Headers: contentType(asForm), Body: strings.Repeat("%", 16<<10)}, nil)
	if len(problems) != 21 || problems[0].Field != "url" || !strings.Contains(problems[20].Text, "more problems") {
		t.Errorf("%d problems, the last is %v", len(problems), problems[len(problems)-1])
	}
}

// TestCompileOffsets points into templates with escapes, variables and
// characters of several bytes before the mistake.
func TestCompileOffsets(t *testing.T) {
	for _, c := range []struct {
		media, template, at string
	}{
		{asJSON, `{"ë$${x":"${UserId}","b":!}`, "!"},
		{asJSON, `{"a":${UserId},"b":!}`, "!"},
		{asJSON, `{"ë":"$${", "${UserId}":1}`, "${UserId}"},
		{asJSON, `{"ë":"$${${}"}`, "${}"},
		{"text/plain", `$$<ë ${UserId} ${nobody}`, "${nobody}"},
		{asXML, `<ë>$${ ${UserId}<!--${UserId}--></ë>`, "${UserId}--"},
		{asForm, `ë=$${${UserId}%zz`, "%zz"},
	} {
		_, problems := sessionhooks.Compile(sessionhooks.Webhook{URL: "https://h.example/", Headers: contentType(c.media), Body: c.template}, nil)
		if len(problems) != 1 || problems[0].Offset != strings.Index(c.template, c.at) {
			t.Errorf("%s: problems %v, want one at %d", c.template, problems, strings.Index(c.template, c.at))
		}
	}
}

func TestCompileAccepts(t *testing.T) {
	for _, w := range []sessionhooks.Webhook{
		{URL: "HTTP://h.example:8080"},
		{URL: "https://[2001:db8::1]:8443/x?${UserId}"},
		{URL: "https://192.0.2.1/x"},
		{URL: "https://zoë.example./x"},
		{URL: "https://h.example//a/../${UserId}/", Headers: []sessionhooks.Header{{Name: "accept", Value: "*/*"}}, Body: "static"},
		{URL: "https://h.example/", Headers: contentType("text/html"), Body: "<p>$$<UserId> $5 $$</p>$"},
		{URL: "https://h.example/", Headers: contentType("TEXT/PLAIN; charset=UTF-8"), Body: "${UserId}"},
		{URL: "https://h.example/", Headers: contentType("application/vnd.x+json"), Body: `[ ${UserId} , {"a\\":"\"${UserId}", "b":{}, "c":[$<UserId>]} ]`},
		{URL: "https://h.example/", Headers: contentType(asJSON), Body: "${UserId}\n"},
		{URL: "https://h.example/", Headers: contentType(asJSON)},
		{URL: "https://h.example/", Headers: contentType(asXML), Body: "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<a b='\"${UserId}' c=\"'${UserId}\"><b/>${UserId}</a>\n"},
	} {
		if _, problems := sessionhooks.Compile(w, nil); len(problems) > 0 {
			t.Errorf("%q %q: %v", w.URL, w.Body, problems)
		}
	}
}

func TestCompileWarns(t *testing.T) {
	w := sessionhooks.Webhook{
		URL:             "https://h.example/${AuthType}?p=${Principals}&c=${color}&s=${shape}",
		AllowUndeclared: true,
	}
	compiled, problems := sessionhooks.Compile(w, []string{"color"})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var names []string
	for _, p := range compiled.Warnings() {
		name, _, _ := strings.Cut(p.Text, " ")
		names = append(names, p.Field+" "+name)
		if !strings.HasPrefix(w.URL[p.Offset:], "${"+name+"}") {
			t.Errorf("warning %v points at %q", p, w.URL[p.Offset:])
		}
	}
	if want := []string{"url AuthType", "url Principals", "url shape"}; !slices.Equal(names, want) {
		t.Errorf("warnings %q, want %q", names, want)
	}
}

// TestCompileCustomNames: a declared name that is reserved is not known by that.
func TestCompileCustomNames(t *testing.T) {
	for _, name := range []string{"userid", "Role", "am.protected.x"} {
		w := sessionhooks.Webhook{URL: "https://h.example/?a=${" + name + "}"}
		if _, problems := sessionhooks.Compile(w, []string{name}); len(problems) != 1 {
			t.Errorf("%s: problems %v", name, problems)
		}
	}
}

func TestCompiledEvents(t *testing.T) {
	all, _ := sessionhooks.Compile(sessionhooks.Webhook{ID: "all", URL: "https://h.example/"}, nil)
	two, _ := sessionhooks.Compile(sessionhooks.Webhook{ID: "two", URL: "https://h.example/", Events: []sessionhooks.EndEvent{"LOGOUT", "MAX_TIMEOUT"}}, nil)
	for _, e := range sessionhooks.EndEvents() {
		if !all.Wants(e) {
			t.Errorf("%s does not want %s", all.ID(), e)
		}
		if want := e == sessionhooks.EndLogout || e == sessionhooks.EndMaxTimeout; two.Wants(e) != want {
			t.Errorf("%s wants %s: %t", two.ID(), e, !want)
		}
	}
	if all.Wants("") {
		t.Error("the empty event is wanted")
	}
}
