package sessionhooks

import "unicode/utf8"

// maxJSONDigits is how many digits a bare number may have: any integer of so
// many fits in 64 bits.
const maxJSONDigits = 18

// appendJSONText writes what stands between the quotes of a JSON string (RFC
// 8259 §7). Beside what the format demands, < > & and the line separators
// U+2028 and U+2029 are escaped, so that the text is safe inside a script too.
func appendJSONText(dst []byte, value string) []byte {
	start := 0
	for i := 0; i < len(value); {
		c := value[i]
		if c < utf8.RuneSelf {
			if c < ' ' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
				dst = appendJSONEscape(append(dst, value[start:i]...), c)
				start = i + 1
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(value[i:])
		if r == '\u2028' || r == '\u2029' {
			dst = append(append(dst, value[start:i]...), `\u202`...)
			dst = append(dst, byte('8'+r-'\u2028'))
			start = i + size
		}
		i += size
	}
	return append(dst, value[start:]...)
}

func appendJSONEscape(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	default:
		return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
	}
}

// appendJSONValue writes a number or a boolean bare if the value is exactly
// that, and anything else as a string: a value never becomes an object, an
// array or null.
func appendJSONValue(dst []byte, value string) []byte {
	if value == "true" || value == "false" || isJSONNumber(value) {
		return append(dst, value...)
	}
	return append(appendJSONText(append(dst, '"'), value), '"')
}

// isJSONNumber holds a value to -?(0|[1-9][0-9]*)(\.[0-9]+)? with at most 18
// digits. There are no exponents: 1e999 is a number that few readers can hold.
func isJSONNumber(value string) bool {
	if value != "" && value[0] == '-' {
		value = value[1:]
	}
	whole := digits(value)
	if whole == 0 || whole > 1 && value[0] == '0' || whole > maxJSONDigits {
		return false
	}
	if whole == len(value) {
		return true
	}
	fraction := digits(value[whole+1:])
	return value[whole] == '.' && fraction > 0 && whole+1+fraction == len(value) && whole+fraction <= maxJSONDigits
}

// digits counts the digits that a text begins with.
func digits(text string) int {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return n
}
