package bridge

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// maxEmail is the length of a path without its brackets (RFC 5321 §4.5.3.1.3).
const maxEmail = 254

// NormalEmail is the form in which addresses are compared: NFC, the local part
// in lower case, the domain as A-labels. An error of KindMalformedEmail for what
// is no address; quoted local parts and address literals are taken for none.
func NormalEmail(address string) (string, error) {
	if len(address) > maxEmail || !utf8.ValidString(address) {
		return "", Fail(KindMalformedEmail)
	}
	local, domain, found := strings.Cut(norm.NFC.String(address), "@")
	if !found || local == "" || strings.ContainsFunc(local, notInLocal) {
		return "", Fail(KindMalformedEmail)
	}
	profile := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))
	ascii, err := profile.ToASCII(domain)
	if err != nil {
		return "", Fail(KindMalformedEmail) // without the cause, which repeats the address
	}
	return norm.NFC.String(strings.ToLower(local)) + "@" + ascii, nil
}

// notInLocal says which characters no unquoted local part holds (RFC 5322
// §3.2.3, with the letters of RFC 6531).
func notInLocal(r rune) bool {
	return unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`"(),:;<>@[\]`, r)
}

// sameEmail compares two addresses; what is no address is the same as nothing.
func sameEmail(a, b string) bool {
	x, err := NormalEmail(a)
	if err != nil {
		return false
	}
	y, err := NormalEmail(b)
	return err == nil && x == y
}

// needsSMTPUTF8 says whether only a relay with the extension of RFC 6531 can
// carry mail to the address: its local part is not ASCII.
func needsSMTPUTF8(address string) bool {
	local, _, _ := strings.Cut(address, "@")
	return strings.ContainsFunc(local, func(r rune) bool { return r >= utf8.RuneSelf })
}
