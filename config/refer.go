package config

import (
	"strings"
	"unicode/utf8"
)

// resolve returns the text of a scalar, or of what a whole ${env:NAME} or
// ${file:PATH} stands for. The text that comes back is never looked at again.
func (d *decoder) resolve(n *node, path string, secret bool) (given, reference string, ok bool) {
	if n.kind != text {
		return n.text, "", true
	}
	scheme, name, whole := cutReference(n.text)
	switch {
	case whole && scheme == "env":
		given, ok = d.fromEnv(n, path, name)
		return given, n.text, ok
	case whole && scheme == "file":
		given, ok = d.fromFile(n, path, name)
		return given, n.text, ok
	case scheme != "":
		d.report.fail(n.place, path, "${env:NAME} and ${file:PATH}, in lower case, stand for a whole value, never for a part of one")
		return "", "", false
	case secret && strings.HasPrefix(n.text, "${"):
		d.report.fail(n.place, path, "looks like a reference but is none: write ${env:NAME} or ${file:PATH}")
		return "", "", false
	case secret && n.text == "":
		d.report.fail(n.place, path, "is empty")
		return "", "", false
	}
	return n.text, "", true
}

func (d *decoder) fromEnv(n *node, path, name string) (string, bool) {
	if !isWord(name) || strings.Contains(name, "-") || name[0] <= '9' {
		d.report.fail(n.place, path, "%s is not the name of an environment variable", quote(name))
		return "", false
	}
	value, set := "", false
	if d.options.Env != nil {
		value, set = d.options.Env(name)
	}
	return value, d.usable(n, path, "the environment variable "+name, value, unless(set, "is not set"))
}

func (d *decoder) fromFile(n *node, path, name string) (string, bool) {
	what := "the file " + quote(name)
	if d.options.ReadFile == nil {
		d.report.fail(n.place, path, "%s cannot be read here", what)
		return "", false
	}
	content, err := d.options.ReadFile(name)
	if err != nil {
		return "", d.usable(n, path, what, "", unreadable(err))
	}
	value, _ := strings.CutSuffix(string(content), "\n")
	value, _ = strings.CutSuffix(value, "\r")
	return value, d.usable(n, path, what, value, unless(len(content) <= maxIncluded, "is larger than 64 KiB"))
}

// usable reports why a reference gives no value. An empty one is refused too:
// it is an unfilled secret far more often than a wish.
func (d *decoder) usable(n *node, path, what, value, reason string) bool {
	switch {
	case reason != "":
	case value == "":
		reason = "is empty"
	case !utf8.ValidString(value):
		reason = "is not UTF-8"
	default:
		return true
	}
	d.report.fail(n.place, path, "%s %s", what, reason)
	return false
}

// cutReference takes ${env:NAME} apart. It also finds references that are part
// of a longer text, which then are not whole; $${env: is text, not a reference.
func cutReference(value string) (scheme, name string, whole bool) {
	for _, scheme := range []string{"env", "file"} {
		opening := "${" + scheme + ":"
		if rest, ok := strings.CutPrefix(value, opening); ok {
			if name, ok := strings.CutSuffix(rest, "}"); ok && !strings.ContainsAny(name, "{}") && badText(name, false) == "" {
				return scheme, name, true
			}
		}
		lower := strings.ToLower(value)
		for i := range len(lower) {
			if strings.HasPrefix(lower[i:], opening) && (i == 0 || lower[i-1] != '$') {
				return scheme, "", false
			}
		}
	}
	return "", "", false
}
