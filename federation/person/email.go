package person

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// longestEmail is 64 for the local part, one for the @ and 255 for the domain
// (RFC 5321 §4.5.3.1).
const longestEmail = 320

// NormalEmail is the form in which addresses are compared: NFC, the local part
// in lower case, the domain as A-labels. Nothing else is folded: plus-addresses
// and dots tell people apart. ErrMalformedEmail for what is no address; quoted
// local parts and address literals are taken for none.
func NormalEmail(address string) (string, error) {
	if len(address) > longestEmail || !utf8.ValidString(address) {
		return "", ErrMalformedEmail
	}
	local, domain, found := strings.Cut(norm.NFC.String(address), "@")
	if !found || local == "" || strings.ContainsFunc(local, notInLocal) {
		return "", ErrMalformedEmail
	}
	profile := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))
	ascii, err := profile.ToASCII(domain)
	if err != nil {
		return "", fmt.Errorf("%w: its domain is none", ErrMalformedEmail)
	}
	return norm.NFC.String(strings.ToLower(local)) + "@" + ascii, nil
}

// notInLocal says which characters no unquoted local part holds (RFC 5322
// §3.2.3, with the letters of RFC 6531).
func notInLocal(r rune) bool {
	return unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`"(),:;<>@[\]`, r)
}

// sameEmail compares two addresses in their normal form. What is no address is
// not the same as anything.
func sameEmail(a, b string) bool {
	x, err := NormalEmail(a)
	if err != nil {
		return false
	}
	y, err := NormalEmail(b)
	return err == nil && x == y
}
