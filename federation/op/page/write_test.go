package page

import (
	"html/template"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/text/language"
)

// shown is a page as it is written; it fails where the page cannot be made.
func shown(t *testing.T, s *Set, f Frame, p Page) string {
	t.Helper()
	if f.Status == 0 {
		f.Status = 200
	}
	w := httptest.NewRecorder()
	s.Write(w, f, p)
	if w.Code != f.Status {
		_, err := s.execute(f, p)
		t.Fatalf("%T: %d, %v", p, w.Code, err)
	}
	return w.Body.String()
}

// TestEveryPageInEveryLanguage makes them all, and looks at what makes a page
// one that everybody can use.
func TestEveryPageInEveryLanguage(t *testing.T) {
	s := made(t, Options{})
	types := map[string]bool{}
	for name, p := range samples() {
		types[reflect.TypeOf(p).Name()] = true
		said := map[string]bool{}
		for i, tag := range s.Languages() {
			t.Run(name+" "+tag, func(t *testing.T) {
				text := shown(t, s, Frame{Lang: Lang{i}, Tenant: "Acme & Sons", Logo: "https://shop.example/logo.png"}, p)
				said[text] = true
				judge(t, text, tag)
			})
		}
		if len(said) != len(s.Languages()) {
			t.Errorf("%s: two languages say the same", name)
		}
	}
	if all := len(s.pages[0]); len(types) != all {
		t.Errorf("%d types of %d pages were shown: %v", len(types), all, types)
	}
}

func judge(t *testing.T, text, tag string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	count, ids := map[string]int{}, map[string]bool{}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		count[n.Data]++
		id := attribute(n, "id")
		if id != "" && ids[id] {
			t.Errorf("two elements are called %q", id)
		}
		ids[id] = true
		if (n.Data == "a" || n.Data == "button") && id == "" {
			t.Errorf("a %s has no id", n.Data)
		}
		if attribute(n, "style") != "" || n.Data == "link" || n.Data == "b" {
			t.Errorf("there is a %s, or a style of its own: %v", n.Data, n.Attr)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Val == "" && a.Key != "alt" && a.Key != "value" && a.Key != "required" && a.Key != "autofocus" && a.Key != "novalidate" && a.Key != "action" {
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
		}
		if n.Data == "html" && attribute(n, "lang") != tag {
			t.Errorf("the page is %q", attribute(n, "lang"))
		}
	}
	for n := range doc.Descendants() {
		for _, key := range []string{"aria-labelledby", "aria-describedby", "for"} {
			for id := range strings.FieldsSeq(attribute(n, key)) {
				if !ids[id] {
					t.Errorf("%s names %q, which is not there", key, id)
				}
			}
		}
	}
	if count["h1"] != 1 || count["main"] != 1 || count["title"] != 1 || count["footer"] != 1 || !ids["tenant"] {
		t.Errorf("%v", count)
	}
	if strings.Contains(text, "ZgotmplZ") || strings.Contains(text, "&amp;lt;") || strings.Contains(text, "<no value>") {
		t.Errorf("%s", text)
	}
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func TestPolicy(t *testing.T) {
	s := made(t, Options{})
	for _, tc := range []struct {
		frame Frame
		page  Page
		want  []string
		not   string
	}{
		{Frame{}, StillSignedIn{}, []string{"default-src 'none'", "style-src 'sha256-", "form-action 'self';", "base-uri 'none'", "frame-ancestors 'none'"}, "img-src"},
		{Frame{Logo: "https://shop.example:8443/a/logo.png?x", Target: "https://b.example"}, Choose{}, []string{"img-src https://shop.example:8443;", "form-action 'self' https://b.example;"}, "script"},
		{Frame{Logo: "http://127.0.0.1:9100/logo.png"}, Choose{}, []string{"img-src http://127.0.0.1:9100;"}, "script"},
		{Frame{Logo: "http://localhost/logo.png"}, Choose{}, []string{"img-src http://localhost;"}, "script"},
		{Frame{Logo: "http://shop.example/logo.png"}, Choose{}, nil, "img-src"},
		{Frame{Logo: "https://shop.example;script-src *"}, Choose{}, nil, "img-src"},
		{Frame{Logo: "https://*.example/logo.png"}, Choose{}, nil, "img-src"},
		{Frame{Logo: "data:image/png;base64,AA"}, Choose{}, nil, "img-src"},
		{Frame{}, SignedOut{Frames: []template.URL{"https://a.example/"}, Sources: []string{"https://a.example"}}, []string{"frame-src https://a.example;"}, "script"},
		{Frame{}, SignedOut{Next: "https://a.example/"}, []string{"script-src 'sha256-"}, "frame-src"},
		{Frame{Target: "https://shop.example"}, FormPost{}, []string{"script-src 'sha256-", "form-action https://shop.example;"}, "'self'"},
	} {
		w := httptest.NewRecorder()
		tc.frame.Status = 200
		s.Write(w, tc.frame, tc.page)
		policy := w.Header().Get("Content-Security-Policy")
		for _, part := range tc.want {
			if !strings.Contains(policy, part) {
				t.Errorf("%+v: %q is not in %q", tc.frame, part, policy)
			}
		}
		if strings.Contains(policy, tc.not) || strings.Contains(policy, "unsafe") {
			t.Errorf("%+v: %q is in %q", tc.frame, tc.not, policy)
		}
		if hasLogo := strings.Contains(w.Body.String(), "<img"); hasLogo != strings.Contains(policy, "img-src") {
			t.Errorf("%+v: the policy does not go with the page", tc.frame)
		}
	}
}

// TestOpener: a window that an application opened for a sign-in keeps its
// opener, and the page about the user has none.
func TestOpener(t *testing.T) {
	s := made(t, Options{})
	for name, p := range samples() {
		w := httptest.NewRecorder()
		s.Write(w, Frame{Status: 200}, p)
		_, me := p.(Me)
		_, nobody := p.(MeNobody)
		if alone := w.Header().Get("Cross-Origin-Opener-Policy") == "same-origin"; alone != (me || nobody) {
			t.Errorf("%s: %v", name, alone)
		}
	}
}

// TestWhatIsSaidIsNoMarkup puts markup wherever something is filled in.
func TestWhatIsSaidIsNoMarkup(t *testing.T) {
	const evil = `"'><script>alert(1)</script>{{.}}{client}`
	s := made(t, Options{Messages: folder(map[string]string{"de.yaml": "consent.allow: '<script>alert(2)</script>'\naccount.signed_in: '<b>{account}'"})})
	for i := range s.Languages() {
		for _, p := range []Page{
			Choose{Client: evil, Choices: []Choice{{ID: evil, Name: evil, Link: "javascript:alert(1)"}}},
			Link{Client: evil, Account: evil, With: evil, New: evil, Action: evil, Transaction: evil},
			Identify{Client: evil, Action: evil, Transaction: evil, Value: evil},
			Consent{Client: evil, Account: evil, Host: evil, Action: evil, Transaction: evil, Scopes: []string{evil}, Claims: []string{evil}, Home: "javascript:alert(1)", Policy: evil, Terms: evil},
			Logout{Client: evil, Account: evil, Action: evil, Proof: evil},
			Error{Text: evil, Code: evil, Request: evil, SignOut: "javascript:alert(1)"}, Error{Text: evil, Client: evil, Code: evil},
		} {
			text := shown(t, s, Frame{Lang: Lang{i}, Tenant: evil}, p)
			if strings.Contains(text, "<script") || strings.Contains(text, `"javascript:`) || strings.Contains(text, "<b>") {
				t.Errorf("%T: %s", p, text)
			}
		}
	}
}

// TestToldTextsAreStillTold: translations are found by the English text, which
// is that of the errors themselves.
func TestToldTextsAreStillTold(t *testing.T) {
	all, err := filepath.Glob("../*.go")
	if err != nil || len(all) < 10 {
		t.Fatalf("%q, %v", all, err)
	}
	below, err := filepath.Glob("../../upstream/*.go")
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, below...)
	var source strings.Builder
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	c, _ := languages(t)
	for key, m := range c[language.English] {
		if strings.HasPrefix(key, "told.") && !strings.Contains(source.String(), `"`+m[0]+`"`) {
			t.Errorf("nobody tells %s any more: %q", key, m[0])
		}
	}
}

// TestDescriptions: one that has a translation is translated, and one that has
// none is marked as English.
func TestDescriptions(t *testing.T) {
	s := made(t, Options{})
	german := Frame{Lang: s.Lang("de", "")}
	if got := shown(t, s, german, Error{Text: "There is no such page here."}); !strings.Contains(got, ">Diese Seite gibt es hier nicht.<") {
		t.Error(got)
	}
	if got := shown(t, s, german, Error{Text: "Something new."}); !strings.Contains(got, `lang="en" dir="ltr">Something new.<`) {
		t.Error(got)
	}
	if got := shown(t, s, Frame{}, Error{Text: "Something new."}); !strings.Contains(got, `role="alert">Something new.<`) {
		t.Error(got)
	}
	if got := shown(t, made(t, Options{Messages: folder(map[string]string{"he.yaml": "", "en-GB.yaml": ""})}), Frame{Lang: Lang{3}}, StillSignedIn{}); !strings.Contains(got, `lang="he" dir="rtl"`) {
		t.Error(got)
	}
}
