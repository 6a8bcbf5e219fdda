package redistest

import (
	"bytes"
	"strconv"
	"strings"
)

// frames finds where requests and answers end in a stream of RESP2 or RESP3,
// fed as it comes. Streamed aggregates, which no Redis sends, are not known.
type frames struct {
	kind    byte   // first byte of the frame
	line    []byte // of a header that is not complete
	skip    int    // bytes of a string that are still to come
	missing []int  // elements that are still to come, per nested aggregate
	strange bool   // this is not RESP, nothing more is found
}

// next reads until the end of a frame or of b. It says how much it has read,
// and whether a frame ended there.
func (f *frames) next(b []byte) (n int, ended bool) {
	for n < len(b) && !f.strange {
		if len(f.missing) == 0 && f.skip == 0 && len(f.line) == 0 {
			f.kind = b[n]
			f.strange = !strings.ContainsRune("+-:_#,($!=*~>%|", rune(f.kind))
		}
		if f.skip > 0 {
			step := min(f.skip, len(b)-n)
			n += step
			if f.skip -= step; f.skip == 0 && f.element() {
				return n, true
			}
			continue
		}
		end := bytes.IndexByte(b[n:], '\n') + 1
		if end == 0 {
			f.line = append(f.line, b[n:]...)
			break
		}
		f.line = append(f.line, b[n:n+end]...)
		n += end
		if f.header() && f.element() {
			return n, true
		}
	}
	return len(b), false
}

// header reads the line that begins an element, and says whether the element
// ended with it.
func (f *frames) header() (ended bool) {
	line := f.line
	f.line = f.line[:0]
	if len(line) < 3 || line[len(line)-2] != '\r' {
		f.strange = true
		return false
	}
	count, err := strconv.Atoi(string(line[1 : len(line)-2]))
	aggregate := 0
	switch line[0] {
	case '+', '-', ':', '_', '#', ',', '(':
		return true
	case '$', '!', '=':
		f.skip = count + len("\r\n")
		f.strange = err != nil
		return count < 0
	case '*', '~', '>':
		aggregate = count
	case '%':
		aggregate = 2 * count
	case '|': // attributes stand before the value they belong to
		aggregate = 2*count + 1
	default:
		err = strconv.ErrSyntax
	}
	f.strange = err != nil
	if aggregate > 0 {
		f.missing = append(f.missing, aggregate)
	}
	return aggregate <= 0
}

// element counts an element that has ended, and says whether its frame has.
func (f *frames) element() (ended bool) {
	f.skip = 0
	for top := len(f.missing) - 1; top >= 0; top-- {
		if f.missing[top]--; f.missing[top] > 0 {
			return false
		}
		f.missing = f.missing[:top]
	}
	return true
}

// command is the name of the command in a request, in upper case, or empty
// where the bytes are not a request.
func command(request []byte) string {
	lines := bytes.SplitN(request, []byte("\r\n"), 4)
	if len(lines) < 4 || !bytes.HasPrefix(lines[0], []byte("*")) {
		return ""
	}
	return strings.ToUpper(string(lines[2]))
}
