package sessionhooks_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

const (
	asJSON = "application/json"
	asForm = "application/x-www-form-urlencoded"
	asXML  = "application/xml"
)

// vector is one case of the template vectors. Its template is that of the body
// if media is set, of the header if name is set, and of the URL otherwise. One
// of want, refused and fails is expected.
type vector struct {
	number   int
	media    string
	name     string
	template string
	event    sessionhooks.EndEvent
	custom   map[string]string
	want     string
	empty    bool   // want is the empty text
	refused  string // part of a problem that Compile reports
	fails    string // part of the error of Render
}

type custom = map[string]string

func vectors() []vector {
	const inj = `x","role":"admin`
	return []vector{
		{number: 1, media: asJSON, template: `{"user":"${UserId}","event":"${WebhookEventType}"}`, event: sessionhooks.EndLogout, want: `{"user":"bjensen","event":"LOGOUT"}`},
		{number: 2, media: asJSON, template: `{"lvl":${AuthLevel}}`, want: `{"lvl":5}`},
		{number: 3, media: asJSON, template: `{"lvl":"${AuthLevel}"}`, want: `{"lvl":"5"}`},
		{number: 4, media: asJSON, template: `{"n":"${q}"}`, custom: custom{"q": `a"b\c`}, want: `{"n":"a\"b\\c"}`},
		{number: 5, media: asJSON, template: `{"n":"${nl}"}`, custom: custom{"nl": "l1\r\nl2"}, want: `{"n":"l1\r\nl2"}`},
		{number: 6, media: asJSON, template: `{"n":"${inj}"}`, custom: custom{"inj": inj}, want: `{"n":"x\",\"role\":\"admin"}`},
		{number: 7, media: asJSON, template: `{"n":${inj}}`, custom: custom{"inj": inj}, want: `{"n":"x\",\"role\":\"admin"}`},
		{number: 8, media: asJSON, template: `{"n":${v}}`, custom: custom{"v": "007"}, want: `{"n":"007"}`},
		{number: 9, media: asJSON, template: `{"n":${v}}`, custom: custom{"v": "true"}, want: `{"n":true}`},
		{number: 10, media: asJSON, template: `{"n":${v}}`, custom: custom{"v": "1e999"}, want: `{"n":"1e999"}`},
		{number: 11, media: asJSON, template: `{"n":${v}}`, custom: custom{"v": `{"a":1}`}, want: `{"n":"{\"a\":1}"}`},
		{number: 12, media: asJSON, template: `{"n":"${v}"}`, custom: custom{"v": `</script>&`}, want: `{"n":"\u003c/script\u003e\u0026"}`},
		{number: 13, media: asJSON, template: `{"n":"${v}"}`, custom: custom{"v": "a\xffb"}, want: "{\"n\":\"a\uFFFDb\"}"},
		{number: 14, media: asJSON, template: `{"n":"${ls}${nul}"}`, custom: custom{"ls": "a\u2028b", "nul": "a\x00b"}, want: `{"n":"a\u2028ba\u0000b"}`},
		{number: 15, media: asJSON, template: `{"n":"${nope}","m":${nope}}`, want: `{"n":"","m":null}`},
		{number: 16, media: asJSON, template: `{"n":"${rec}"}`, custom: custom{"rec": `${UserId}`}, want: `{"n":"${UserId}"}`},
		{number: 17, media: asJSON, template: `{"n":"$${UserId}","p":"$5","q":"$<UserId>","r":"$$<UserId>"}`, want: `{"n":"${UserId}","p":"$5","q":"bjensen","r":"$<UserId>"}`},
		{number: 18, media: asJSON, template: `{"n":"${UserId}"`, refused: "not JSON"},
		{number: 19, media: asJSON, template: `{"n":"\${UserId}"}`, refused: "after a backslash"},
		{number: 20, media: asJSON, template: `{"dn":"${sun.am.UniversalIdentifier}"}`, want: `{"dn":"id=bjensen,ou=user,o=alpha"}`},
		{number: 21, media: asJSON, template: `{"a":"${UserId"}`, refused: "bad name"},
		{number: 22, media: asJSON, template: `{"a":"${a${UserId}}"}`, refused: "bad name"},
		{number: 23, media: asJSON, template: `{"a":"${}"}`, refused: "bad name"},
		{number: 24, media: asJSON, template: `{"a":"${env:HOME}"}`, refused: "is no variable"},
		{number: 25, media: asForm, template: `user=${UserId}&event=${WebhookEventType}`, event: sessionhooks.EndLogout, want: `user=bjensen&event=LOGOUT`},
		{number: 26, media: asForm, template: `user=${v}&x=${w}`, custom: custom{"v": "a&role=admin", "w": "a+b c=d%"}, want: `user=a%26role%3Dadmin&x=a%2Bb+c%3Dd%25`},
		{number: 27, media: asForm, template: `n=${nl}&u=${u}`, custom: custom{"nl": "l1\r\nl2", "u": "Zoë"}, want: `n=l1%0D%0Al2&u=Zo%C3%AB`},
		{number: 28, media: asForm, template: `a=${nope}&b=${empty}`, custom: custom{"empty": ""}, want: `a=&b=`},
		{number: 29, template: `https://h.example/hook?u=${UserId}&event=${WebhookEventType}`, event: sessionhooks.EndLogout, want: `https://h.example/hook?u=bjensen&event=LOGOUT`},
		{number: 30, template: `https://h.example/hook?u=${v}`, custom: custom{"v": "a&role=admin"}, want: `https://h.example/hook?u=a%26role%3Dadmin`},
		{number: 31, template: `https://h.example/hook?e=${v}`, custom: custom{"v": "%0d%0aX: 1"}, want: `https://h.example/hook?e=%250d%250aX%3A%201`},
		{number: 32, template: `https://h.example?u=${UserId}`, want: `https://h.example?u=bjensen`},
		{number: 33, template: `https://h.example/u/${UserId}/end`, want: `https://h.example/u/bjensen/end`},
		{number: 34, template: `https://h.example/f/${v}`, custom: custom{"v": "a/b"}, want: `https://h.example/f/a%2Fb`},
		{number: 35, template: `https://h.example/u/${v}/end`, custom: custom{"v": "../../admin"}, fails: "path segment"},
		{number: 36, template: `https://h.example/u/${v}/end`, custom: custom{"v": ".."}, fails: "path segment"},
		{number: 36, template: `https://h.example/u/${v}/end`, custom: custom{"v": ""}, fails: "path segment"},
		{number: 37, template: `https://h.example/f/.${v}`, custom: custom{"v": "."}, fails: "path segment"},
		{number: 38, template: `https://h.example/u/${v}`, custom: custom{"v": "?a=b#c"}, want: `https://h.example/u/%3Fa%3Db%23c`},
		{number: 39, template: `https://h.example/dn/${Organization}`, want: `https://h.example/dn/o%3Dalpha%2Cou%3Dservices%2Cdc%3Dam`},
		{number: 40, template: `https://${host}/x`, refused: "in the authority"},
		{number: 40, template: `https://h.example:${AuthLevel}/x`, refused: "in the authority"},
		{number: 40, template: `https://u:${UserId}@h.example/`, refused: "in the authority"},
		{number: 41, template: `https://h.example/x#${UserId}`, refused: "in the fragment"},
		{number: 42, name: "X-V", template: `${v}`, custom: custom{"v": "a\r\nX-Admin: 1"}, fails: "control character"},
		{number: 43, name: "X-V", template: `${v}`, custom: custom{"v": "Zoë"}, fails: "not ASCII"},
		{number: 43, name: "X-V", template: `v=${sp}`, custom: custom{"sp": " trail "}, want: "v= trail"},
		{number: 43, name: "X-V", template: `${nope}`, empty: true},
		{number: 44, media: asXML, template: `<u a="${v}">${v}</u>`, custom: custom{"v": `<a href="x">'&`}, want: `<u a="&lt;a href=&#34;x&#34;&gt;&#39;&amp;">&lt;a href=&#34;x&#34;&gt;&#39;&amp;</u>`},
		{number: 44, media: asXML, template: `<u>${nul}</u>`, custom: custom{"nul": "a\x00b"}, fails: "XML cannot carry"},
		{number: 45, name: "X-${UserId}", template: `x`, refused: "variable in its name"},
		{number: 45, name: "Host", template: `${v}`, refused: "cannot be set"},
		{number: 45, name: "X-IRM-Signature", template: `x`, refused: "reserved"},
		{number: 46, media: asJSON, template: `{"${UserId}":1}`, refused: "in the key"},
		{number: 47, media: asJSON, template: `{"v":"${v}"}`, custom: custom{"v": strings.Repeat("v", 4097)}, fails: "longer than 4096 bytes"},
		{number: 47, media: asForm, template: `v=${v}`, custom: custom{"v": strings.Repeat("v", 4097)}, fails: "longer than 4096 bytes"},
		{number: 47, media: asXML, template: `<v>${v}</v>`, custom: custom{"v": strings.Repeat("v", 4097)}, fails: "longer than 4096 bytes"},
		{number: 47, media: "text/plain", template: `${v}`, custom: custom{"v": strings.Repeat("v", 4097)}, fails: "longer than 4096 bytes"},
		{number: 47, template: `https://h.example/${v}`, custom: custom{"v": strings.Repeat("v", 4097)}, fails: "longer than 4096 bytes"},
		{number: 47, name: "X-V", template: `${v}`, custom: custom{"v": strings.Repeat("v", 4097)}, fails: "longer than 4096 bytes"},
		{number: 47, media: "text/plain", template: strings.Repeat("${v}", 64) + "x", custom: custom{"v": strings.Repeat("v", 4096)}, fails: "longer than 262144 bytes"},
		{number: 47, media: "text/plain", template: strings.Repeat("${v}", 64), custom: custom{"v": strings.Repeat("v", 4096)}, want: strings.Repeat("v", 256<<10)},
		{number: 48, media: asJSON, template: `{"u":"${UserId}"}`, custom: custom{"UserId": "admin"}, want: `{"u":"bjensen"}`},
	}
}

func TestVectors(t *testing.T) {
	seen := make(map[int]int)
	for _, v := range vectors() {
		seen[v.number]++
		t.Run(fmt.Sprintf("%d/%d", v.number, seen[v.number]), func(t *testing.T) { v.check(t) })
	}
	for number := range 48 {
		if seen[number+1] == 0 {
			t.Errorf("vector %d has no case", number+1)
		}
	}
}

func (v vector) check(t *testing.T) {
	compiled, problems := sessionhooks.Compile(v.webhook(), []string{"q", "nl", "inj", "v", "w", "u", "ls", "nul", "nope", "rec", "empty", "host", "sp"})
	if v.refused != "" {
		if compiled != nil || !mentions(problems, v.refused) {
			t.Fatalf("compiled to %v with problems %v, want one with %q", compiled, problems, v.refused)
		}
		return
	}
	if len(problems) > 0 {
		t.Fatalf("refused: %v", problems)
	}
	rendered, err := compiled.Render(v.values())
	if v.fails != "" {
		failure, ok := errors.AsType[*sessionhooks.RenderError](err)
		if !ok || !strings.Contains(failure.Error(), v.fails) {
			t.Fatalf("error %v, want one with %q", err, v.fails)
		}
		for _, value := range v.custom {
			if len(value) > 2 && strings.Contains(failure.Error(), value) {
				t.Fatalf("the error tells the value: %v", failure)
			}
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := v.field(rendered); got != v.want || v.want == "" && !v.empty {
		t.Errorf("rendered %s, want %s", got, v.want)
	}
}

func (v vector) webhook() sessionhooks.Webhook {
	w := sessionhooks.Webhook{ID: "vector", URL: "https://h.example/"}
	switch {
	case v.media != "":
		w.Headers = []sessionhooks.Header{{Name: "Content-Type", Value: v.media}}
		w.Body = v.template
	case v.name != "":
		w.Headers = []sessionhooks.Header{{Name: v.name, Value: v.template}}
	default:
		w.URL = v.template
	}
	return w
}

func (v vector) values() sessionhooks.Values {
	builtin := map[sessionhooks.Property]string{
		sessionhooks.PropertyUserID:              "bjensen",
		sessionhooks.PropertyAuthLevel:           "5",
		sessionhooks.PropertyOrganization:        "o=alpha,ou=services,dc=am",
		sessionhooks.PropertyUniversalIdentifier: sessionhooks.UniversalIdentifier("bjensen", "alpha"),
	}
	if v.event != "" {
		builtin[sessionhooks.PropertyWebhookEventType] = string(v.event)
	}
	return sessionhooks.NewValues(builtin, v.custom)
}

func (v vector) field(r sessionhooks.Rendered) string {
	switch {
	case v.media != "":
		return string(r.Body)
	case v.name != "":
		return r.Header.Get(v.name)
	default:
		return r.URL
	}
}

func mentions(problems []sessionhooks.Problem, text string) bool {
	for _, p := range problems {
		if strings.Contains(p.String(), text) {
			return true
		}
	}
	return false
}
