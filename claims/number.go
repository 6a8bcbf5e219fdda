package claims

import (
	"encoding/json"
	"strconv"
	"strings"
)

// holdable reports whether a number lies within the range of a float64, the
// widest type that every reader of JSON has: 1e999 would break a relying
// party's parser.
func holdable(n json.Number) bool {
	if len(n) <= 300 && !strings.ContainsAny(string(n), "eE") {
		return true
	}
	_, err := strconv.ParseFloat(string(n), 64)
	return err == nil
}

// decimal is a number as its exact value: digits × 10^exp, with neither leading
// nor trailing zeros among the digits; zero has none.
type decimal struct {
	negative bool
	digits   string
	exp      int
}

// exact parses JSON number text. It fails for what is no number and for an
// exponent that no decoded number has.
func exact(n json.Number) (decimal, bool) {
	text, negative := strings.CutPrefix(string(n), "-")
	mantissa, exponent := text, 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		var err error
		if exponent, err = strconv.Atoi(text[i+1:]); err != nil || exponent > 1e9 || exponent < -1e9 {
			return decimal{}, false
		}
		mantissa = text[:i]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return decimal{}, false
	}
	exponent -= len(fraction)
	trimmed := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(trimmed)
	trimmed = strings.TrimLeft(trimmed, "0")
	if trimmed == "" {
		return decimal{}, true // zero has no sign and no exponent
	}
	return decimal{negative, trimmed, exponent}, true
}

// integer writes a number that is whole, however it was written (5.0, 5e0), as
// plain digits. Beyond 40 digits nothing is an identifier or a count any more.
func (d decimal) integer() (json.Number, bool) {
	switch {
	case d.digits == "":
		return "0", true
	case d.exp < 0 || len(d.digits)+d.exp > 40:
		return "", false
	}
	out := d.digits + strings.Repeat("0", d.exp)
	if d.negative {
		out = "-" + out
	}
	return json.Number(out), true
}

// sameValue compares exactly: 1.0 is 1, and 2^53+1 is not 2^53.
func sameValue(a, b json.Number) bool {
	if a == b {
		return true
	}
	x, okX := exact(a)
	y, okY := exact(b)
	return okX && okY && x == y
}

// sameRounded compares as a reader with nothing but float64 sees it.
func sameRounded(a, b json.Number) bool {
	if sameValue(a, b) {
		return true
	}
	x, errX := strconv.ParseFloat(string(a), 64)
	y, errY := strconv.ParseFloat(string(b), 64)
	return errX == nil && errY == nil && x == y
}
