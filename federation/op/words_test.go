package op

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClip(t *testing.T) {
	for given, want := range map[string]string{
		"": "", "short": "short", "exactly ten": "exactly te", "a\r\nb\x00c\x7fd": "abcd", "ééééé!": "ééééé", "xéééééé": "xéééé",
		"\xff\xfeab": "ab", strings.Repeat("\n", 40) + "late": "",
	} {
		if got := clip(given, 10); got != want {
			t.Errorf("clip(%q) is %q, want %q", given, got, want)
		}
	}
}

func FuzzClip(f *testing.F) {
	f.Add("é\x00\xff", 3)
	f.Fuzz(func(t *testing.T, s string, n int) {
		n &= 0xff
		if got := clip(s, n); len(got) > n || !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x00\x7f") {
			t.Fatalf("clip(%q, %d) is %q", s, n, got)
		}
	})
}

func TestWithParams(t *testing.T) {
	for _, tc := range []struct{ to, state, want string }{
		{"https://a.example/cb", "", "https://a.example/cb?code=c"},
		{"https://a.example/cb", "s t", "https://a.example/cb?code=c&state=s+t"},
		{"https://a.example/cb?", "", "https://a.example/cb?code=c"},
		{"https://a.example/cb?x=%2f&", "", "https://a.example/cb?x=%2f&code=c"},
		{"https://a.example/cb?x=a%20b", "s", "https://a.example/cb?x=a%20b&code=c&state=s"},
		{"com.example.app:/cb", "s", "com.example.app:/cb?code=c&state=s"},
	} {
		if got := withParams(tc.to, tc.state, url.Values{"code": {"c"}}); got != tc.want {
			t.Errorf("got %s, want %s", got, tc.want)
		}
	}
	if got := withParams("https://a.example/bye", "", nil); got != "https://a.example/bye" {
		t.Errorf("got %s", got)
	}
}

func TestFormTargetAndSource(t *testing.T) {
	for to, want := range map[string][2]string{
		"": {}, "https://a.example:8443/cb?x#y": {"https:", "https://a.example:8443"}, "http://127.0.0.1:9100/cb": {"http: https:", "http://127.0.0.1:9100"},
		"com.example.app:/cb": {"com.example.app:", "com.example.app:"}, "https://a.example;script-src *": {}, "%": {}, "/cb": {},
		"https://[::1]:80/": {"https:", "https:"}, "http://[::1]:80/": {"http: https:", "http:"},
	} {
		if got := [2]string{formTarget(to), source(to)}; got != want {
			t.Errorf("%q: %q, want %q", to, got, want)
		}
	}
}

func TestLink(t *testing.T) {
	for to, good := range map[string]bool{
		"https://a.example/?x=1": true, "HTTP://a.example": true, "com.example.app:/cb": true,
		"javascript:alert(1)": false, "JavaScript:x": false, "data:text/html,x": false, "vbscript:x": false, "/cb": false, "": false,
	} {
		if got := link(to); (got != "") != good {
			t.Errorf("link(%q) is %q", to, got)
		}
	}
}
