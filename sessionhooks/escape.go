package sessionhooks

import (
	"encoding/base64"
	"net/url"
	"strings"
	"unicode/utf8"
)

// placement is where a variable stands, which decides how its value is written.
type placement uint8

const (
	inText          placement = iota // text/plain: as it is
	inJSONString                     // between the quotes of a JSON string
	inJSON                           // as a whole JSON value
	inForm                           // application/x-www-form-urlencoded
	inXML                            // character data or a quoted attribute value
	inPath                           // the path of a URL
	inQuery                          // the query of a URL
	inHeader                         // a header value
	inHeaderPercent                  // a header value, EncodePercent
	inHeaderBase64                   // a header value, EncodeBase64
	inHeaderRFC8187                  // a header value, EncodeRFC8187
)

// Reasons of refused values, for RenderError.
const (
	reasonControl  = "the value has a control character"
	reasonNonASCII = "the value is not ASCII and the header has no encoding"
	reasonXML      = "the value has a character that XML cannot carry"
)

// repair replaces each byte that is not UTF-8 by U+FFFD.
func repair(value string) string {
	if utf8.ValidString(value) {
		return value
	}
	return string([]rune(value))
}

// append writes a value, which is UTF-8, and gives a reason where the context
// cannot carry it. What it writes is one value of that context, whatever the
// value holds: it opens and closes nothing.
func (p placement) append(dst []byte, value string) (out []byte, reason string) {
	switch p {
	case inJSONString:
		return appendJSONText(dst, value), ""
	case inJSON:
		return appendJSONValue(dst, value), ""
	case inForm:
		return appendEncoded(dst, value, '+'), ""
	case inXML:
		return appendXML(dst, value)
	case inPath, inQuery, inHeaderPercent:
		return appendEncoded(dst, value, 0), ""
	case inHeader:
		return appendHeader(dst, value)
	case inHeaderBase64:
		return base64.StdEncoding.AppendEncode(dst, []byte(value)), ""
	case inHeaderRFC8187:
		return appendEncoded(append(dst, "UTF-8''"...), value, 0), ""
	default:
		return append(dst, value...), ""
	}
}

// appendEncoded percent-encodes all but the unreserved characters of RFC 3986
// §2.3. A space becomes space, unless that is 0.
func appendEncoded(dst []byte, value string, space byte) []byte {
	for i := range len(value) {
		switch c := value[i]; {
		case isUnreserved(c):
			dst = append(dst, c)
		case c == ' ' && space != 0:
			dst = append(dst, space)
		default:
			dst = appendPercent(dst, c)
		}
	}
	return dst
}

func appendPercent(dst []byte, c byte) []byte {
	const hex = "0123456789ABCDEF"
	return append(dst, '%', hex[c>>4], hex[c&15])
}

// appendHeader refuses what it cannot write: a header is never altered, so that
// nobody is ever told something other than the value.
func appendHeader(dst []byte, value string) ([]byte, string) {
	for i := range len(value) {
		switch c := value[i]; {
		case isControl(c):
			return dst, reasonControl
		case c >= utf8.RuneSelf:
			return dst, reasonNonASCII
		}
	}
	return append(dst, value...), ""
}

// appendXML writes character data that is the same in an attribute: white space
// other than the space goes out as references, because parsers normalise it
// (XML 1.0 §2.11 and §3.3.3).
func appendXML(dst []byte, value string) ([]byte, string) {
	for _, r := range value {
		switch {
		case r == '<':
			dst = append(dst, "&lt;"...)
		case r == '>':
			dst = append(dst, "&gt;"...)
		case r == '&':
			dst = append(dst, "&amp;"...)
		case r == '"':
			dst = append(dst, "&#34;"...)
		case r == '\'':
			dst = append(dst, "&#39;"...)
		case r == ']':
			dst = append(dst, "&#93;"...) // ]]> must not arise together with text of the template
		case r == '\t':
			dst = append(dst, "&#9;"...)
		case r == '\n':
			dst = append(dst, "&#10;"...)
		case r == '\r':
			dst = append(dst, "&#13;"...)
		case r < ' ', r == 0xFFFE, r == 0xFFFF:
			return dst, reasonXML
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst, ""
}

// validSegment says whether a path segment, as it is sent, stays one step below
// its parent for every server, also for those that decode before they split.
func validSegment(encoded string) bool {
	decoded, err := url.PathUnescape(encoded)
	if err != nil {
		decoded = encoded // refused for that already
	}
	for part := range strings.SplitSeq(strings.ReplaceAll(decoded, `\`, "/"), "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func isUnreserved(c byte) bool {
	return isAlphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~'
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func isControl(c byte) bool { return c < ' ' || c == 0x7f }
