package page

import (
	"fmt"
	"html"
	"html/template"
	"strings"

	"golang.org/x/text/language"
)

// words are what templates say in one language.
type words struct {
	tag  language.Tag
	own  messages
	rest messages // English, for what has no message
	// texts are the keys of the English descriptions that have a translation.
	texts map[string]string
}

func (w words) find(key string) (message, bool) {
	if m, ok := w.own[key]; ok {
		return m, true
	}
	m, ok := w.rest[key]
	return m, ok
}

// text is a message with its placeholders filled in: pairs of name and value. A
// value that is markup stays that, and the message is markup then.
func (w words) text(key string, pairs ...any) (any, error) {
	m, ok := w.find(key)
	if !ok {
		return nil, fmt.Errorf("no message %q", key)
	}
	values, rich := map[string]any{}, false
	for i := 0; i+1 < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		values[name] = pairs[i+1]
		_, markup := pairs[i+1].(template.HTML)
		rich = rich || markup
	}
	var plain strings.Builder
	for i, part := range m {
		if i%2 == 0 {
			plain.WriteString(escapeIf(rich, part))
			continue
		}
		switch v := values[part].(type) {
		case template.HTML:
			plain.WriteString(string(v))
		case string:
			plain.WriteString(escapeIf(rich, v))
		default:
			return nil, fmt.Errorf("message %q: no value for {%s}", key, part)
		}
	}
	if rich {
		return template.HTML(plain.String()), nil // every part was escaped, or is ours
	}
	return plain.String(), nil
}

func escapeIf(rich bool, text string) string {
	if rich {
		return html.EscapeString(text)
	}
	return text
}

// element is a value inside a message that can be looked for by its id.
func element(name, id, text string) template.HTML {
	return template.HTML("<" + name + ` id="` + html.EscapeString(id) + `">` + html.EscapeString(text) + "</" + name + ">")
}

// scope says what a scope means to the person who is asked.
func (w words) scope(name string) string { return w.means("scope."+name, name) }

// claim says the same of a claim that is asked for by name, which may be in a
// language (OpenID Connect Core 1.0 §5.2).
func (w words) claim(name string) (string, error) {
	base, tag, _ := strings.Cut(name, "#")
	base = strings.ToLower(base)
	other, err := w.text("claims.other", "claim", strings.ReplaceAll(base, "_", " "))
	if err != nil {
		return "", err
	}
	said, _ := other.(string)
	text := w.means("claim."+base, said)
	if tag = tongue(tag); tag != "" {
		text += " (" + tag + ")"
	}
	return text, nil
}

// tongue is a language tag as far as it names a language that there is, empty
// where it does not. It comes from a client, which would otherwise have the page
// say what it likes.
func tongue(tag string) string {
	parsed, err := language.Parse(tag)
	if err != nil {
		return ""
	}
	base, script, region := parsed.Raw()
	if shown, err := language.Compose(base, script, region); err == nil && !shown.IsRoot() {
		return shown.String()
	}
	return ""
}

func (w words) means(key, otherwise string) string {
	if m, ok := w.find(key); ok && len(m) == 1 {
		return m[0]
	}
	return otherwise
}

// described is an English description in this language. Its language is empty
// where it is that of the page.
func (w words) described(english string) (d struct{ Text, Lang string }) {
	d.Text = english
	if base, _ := w.tag.Base(); base.String() == source {
		return d
	}
	if key, known := w.texts[english]; known {
		if m, has := w.own[key]; has {
			d.Text = m[0]
			return d
		}
	}
	d.Lang = source
	return d
}
