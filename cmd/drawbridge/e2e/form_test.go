//go:build e2e

package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// filledForm is a form as a browser would send it.
type filledForm struct {
	action, method string
	fields         url.Values
}

func firstForm(page string, values map[string]string) (filledForm, bool) {
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return filledForm{}, false // html.Parse fails for its reader only
	}
	form := find(root, func(n *html.Node) bool { return n.Data == "form" })
	if form == nil {
		return filledForm{}, false
	}
	filled := filledForm{
		action: attribute(form, "action"),
		method: strings.ToUpper(attribute(form, "method")),
		fields: url.Values{},
	}
	for n := range form.Descendants() {
		addField(filled.fields, n, values)
	}
	if button := pickButton(root, form, values); button != nil && attribute(button, "name") != "" {
		filled.fields.Add(attribute(button, "name"), attribute(button, "value"))
	}
	return filled, true
}

func addField(fields url.Values, n *html.Node, values map[string]string) {
	name, kind, value := attribute(n, "name"), attribute(n, "type"), attribute(n, "value")
	if n.Data != "input" || name == "" || kind == "submit" {
		return
	}
	given, ok := values[name]
	switch {
	case kind == "checkbox" || kind == "radio":
		if _, checked := lookup(n, "checked"); checked || ok && given == value {
			fields.Add(name, value)
		}
	case ok && kind != "hidden":
		fields.Add(name, given)
	default:
		fields.Add(name, value)
	}
}

// pickButton looks inside the form and, for buttons that name the form by its id, anywhere.
func pickButton(root, form *html.Node, values map[string]string) *html.Node {
	submits := func(n *html.Node) bool {
		kind := attribute(n, "type")
		return n.Data == "button" && kind != "button" && kind != "reset" || n.Data == "input" && kind == "submit"
	}
	id := attribute(form, "id")
	belongs := func(n *html.Node) bool {
		if owner := attribute(n, "form"); owner != "" {
			return owner == id
		}
		return within(n, form)
	}
	chosen := find(root, func(n *html.Node) bool {
		given, ok := values[attribute(n, "name")]
		return submits(n) && belongs(n) && ok && given == attribute(n, "value")
	})
	if chosen != nil {
		return chosen
	}
	return find(root, func(n *html.Node) bool { return submits(n) && belongs(n) })
}

func find(root *html.Node, is func(*html.Node) bool) *html.Node {
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && is(n) {
			return n
		}
	}
	return nil
}

func within(n, form *html.Node) bool {
	for parent := range n.Ancestors() {
		if parent == form {
			return true
		}
	}
	return false
}

func attribute(n *html.Node, name string) string {
	value, _ := lookup(n, name)
	return value
}

func lookup(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func TestFormsAreFilledInAsABrowserWould(t *testing.T) {
	const page = `<p>before</p><form action="/go?x=1" method="post" id="f">
		<input type="hidden" name="token" value="a&#43;b&amp;c"><input name="login" value=""><input name="kept" value="as is">
		<input type="checkbox" name="remember" value="yes"><input type="checkbox" name="terms" value="on" checked>
		<button type="button" name="no" value="script">Menu</button><button name="go" value="first">First</button>
		<input type="submit" name="go" value="second"></form><button form="f" name="go" value="outside">Third</button>
		<form action="/other"><button name="go" value="elsewhere">Other</button></form>`
	tests := []struct {
		name   string
		values map[string]string
		want   string
	}{
		{"first button", map[string]string{"login": "alice"}, "go=first&kept=as+is&login=alice&terms=on&token=a%2Bb%26c"},
		{"named button", map[string]string{"go": "second"}, "go=second&kept=as+is&login=&terms=on&token=a%2Bb%26c"},
		{"button outside the form", map[string]string{"go": "outside"}, "go=outside&kept=as+is&login=&terms=on&token=a%2Bb%26c"},
		{"another form's button", map[string]string{"go": "elsewhere"}, "go=first&kept=as+is&login=&terms=on&token=a%2Bb%26c"},
		{"checkbox, and hidden fields stay", map[string]string{"remember": "yes", "token": "mine"}, "go=first&kept=as+is&login=&remember=yes&terms=on&token=a%2Bb%26c"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			filled, ok := firstForm(page, test.values)
			if !ok {
				t.Fatal("no form found")
			}
			if filled.method != http.MethodPost || filled.action != "/go?x=1" {
				t.Errorf("got %s %s, want POST /go?x=1", filled.method, filled.action)
			}
			if got := filled.fields.Encode(); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
	if _, ok := firstForm("<p>nothing to fill in</p>", nil); ok {
		t.Error("found a form on a page without one")
	}
}
