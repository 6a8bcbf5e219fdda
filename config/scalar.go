package config

import (
	"encoding/json"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// SpaceSeparated is a list written as one text, as OAuth writes scopes.
type SpaceSeparated []string

// scalar fills a single value: from what the file says, or from what it refers
// to. Only what is referred to is converted from text, since a variable cannot
// say a number otherwise.
func (d *decoder) scalar(n *node, into reflect.Value, path string, rules reflect.StructTag) {
	_, secret := reflect.TypeAssert[Secret](into)
	given, reference, ok := d.resolve(n, path, secret)
	if !ok {
		return
	}
	m := mark{place: n.place, shown: quote(given), reference: reference}
	switch {
	case reference != "":
		m.shown = "the value of " + reference
	case secret, strings.Contains(given, "://") && strings.Contains(given, "@"): // the latter may hold a password
		m.shown = "the value given"
	}
	d.marks[path] = m
	if reference == "" && !d.fits(n, into, path) {
		return
	}
	complaint := badText(given, strings.HasSuffix(rules.Get("yaml"), ",multiline"))
	if complaint == "" {
		complaint = setScalar(into, given)
	}
	if complaint != "" {
		d.report.fail(n.place, path, "%s", worded(complaint, m.shown))
	}
}

// worded completes a complaint with what was given, before the hint that may
// follow a semicolon.
func worded(complaint, shown string) string {
	head, hint, hinted := strings.Cut(complaint, "; ")
	if hinted {
		return head + ", not " + shown + "; " + hint
	}
	return complaint + ", not " + shown
}

// fits reports a scalar of another kind than the field takes.
func (d *decoder) fits(n *node, into reflect.Value, path string) bool {
	want := wanted(into)
	_, duration := reflect.TypeAssert[time.Duration](into)
	switch {
	case n.kind == want:
		return true
	case n.kind == number && duration:
		d.report.fail(n.place, path, "must be a duration with its unit: write %ss, or another of ms, s, m, h, d", n.text)
	case into.Type() == reflect.TypeFor[Rate]():
		d.wrong(n, path, "a number and a time, such as 300/1m, or off")
	case duration:
		d.wrong(n, path, "a duration such as 30s or 10m")
	case want == text && (n.kind == number || n.kind == boolean):
		d.report.fail(n.place, path, "must be text, not %s: put it in quotes", n.kind)
	case n.kind == text: // never a Secret, which takes text
		d.report.fail(n.place, path, "must be %s, not %s", want, quote(n.text))
	default:
		d.wrong(n, path, string(want))
	}
	return false
}

// wanted is the kind of value that a field takes.
func wanted(into reflect.Value) kind {
	if _, ok := reflect.TypeAssert[time.Duration](into); ok {
		return text
	}
	switch into.Kind() {
	case reflect.Bool:
		return boolean
	case reflect.Int:
		return number
	}
	return text
}

// setScalar converts text to the type of v. It returns what the text should
// have been, to be followed by what it is.
func setScalar(v reflect.Value, given string) string {
	switch v.Interface().(type) {
	case Secret:
		v.Set(reflect.ValueOf(NewSecret(given)))
		return ""
	case SpaceSeparated:
		v.Set(reflect.ValueOf(SpaceSeparated(strings.Fields(given))))
		return ""
	case time.Duration:
		length, ok := parseDuration(given)
		v.SetInt(int64(length))
		return unless(ok, "must be a duration with its unit, such as 1500ms, 30s, 10m, 8h or 30d")
	case Rate:
		rate, complaint := parseRate(given)
		v.Set(reflect.ValueOf(rate))
		return complaint
	case netip.Prefix:
		prefix, complaint := parsePrefix(given)
		v.Set(reflect.ValueOf(prefix))
		return complaint
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(given)
	case reflect.Bool:
		v.SetBool(given == "true")
		return unless(given == "true" || given == "false", "must be true or false")
	case reflect.Int:
		i, err := strconv.Atoi(given)
		v.SetInt(int64(i))
		return unless(err == nil, "must be a whole number in decimal digits")
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return setScalar(v.Elem(), given)
	}
	return ""
}

func unless(ok bool, complaint string) string {
	if ok {
		return ""
	}
	return complaint
}

// parseDuration reads one or more numbers with units, where d is 24 hours.
func parseDuration(given string) (time.Duration, bool) {
	var total time.Duration
	for rest := given; rest != ""; {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789."))
		amount, err := strconv.ParseFloat(rest[:digits], 64)
		if err != nil || digits > 18 {
			return 0, false
		}
		rest = rest[digits:]
		unit := rest[:len(rest)-len(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyz"))]
		rest = rest[len(unit):]
		length := map[string]time.Duration{
			"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
		}[unit]
		part := amount * float64(length)
		if length == 0 || part > math.MaxInt64/2 || total > math.MaxInt64/2 {
			return 0, false
		}
		total += time.Duration(math.Round(part))
	}
	return total, given != ""
}

// parsePrefix reads an address range; a bare address is a range of one.
func parsePrefix(given string) (netip.Prefix, string) {
	const want = "must be an address range such as 10.0.0.0/8 or fd00::/8"
	if addr, err := netip.ParseAddr(given); err == nil && addr.Zone() == "" && !addr.Is4In6() {
		return netip.PrefixFrom(addr, addr.BitLen()), ""
	}
	prefix, err := netip.ParsePrefix(given)
	switch {
	case err != nil || prefix.Addr().Is4In6():
		return netip.Prefix{}, want
	case prefix != prefix.Masked():
		return netip.Prefix{}, "must be an address range without host bits, such as " + prefix.Masked().String()
	}
	return prefix, ""
}

// badText refuses what no key of ours takes: a NUL or a line break that came in
// through an escape changes what a header or a log line says.
func badText(given string, multiline bool) string {
	bad := strings.ContainsFunc(given, func(c rune) bool {
		return unicode.IsControl(c) && (!multiline || c != '\n' && c != '\r' && c != '\t')
	})
	return unless(!bad, "must be without control characters and line breaks")
}

// free reads a value that may be anything JSON can say. Numbers keep their text.
func (d *decoder) free(n *node, path string, depth int) any {
	if d.visits++; d.visits > maxVisits || depth > maxDepth {
		if depth > maxDepth || d.visits == maxVisits+1 {
			d.report.fail(n.place, path, "too deep, or too many values")
		}
		return nil
	}
	switch n.kind {
	case boolean:
		return n.text == "true"
	case number:
		if !json.Valid([]byte(n.text)) {
			d.report.fail(n.place, path, "must be a number as JSON writes it, not %s", quote(n.text))
			return nil
		}
		return json.Number(n.text)
	case text:
		given, _, _ := d.resolve(n, path, false)
		return given
	case list:
		items := make([]any, len(n.items))
		for i, item := range n.items {
			items[i] = d.free(item, itemPath(path, i), depth+1)
		}
		return items
	case mapping:
		members := make(map[string]any, len(n.entries))
		for _, e := range n.entries {
			members[e.key] = d.free(e.value, childPath(path, e.key), depth+1)
		}
		return members
	case refused:
		d.report.broken[path] = true
	}
	return nil
}
