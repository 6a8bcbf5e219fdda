package config

import (
	"encoding/base64"
	"errors"
	"net/mail"
	"net/netip"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"
)

// rule judges one text. It returns what the text must be, or "".
type rule func(given string) string

// rules are the validate tags of our own.
func rules() map[string]rule {
	name := matching(`^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$`, "must be of letters, digits, dots, dashes and underscores, at most 64")
	return map[string]rule{
		"name":  name, // of things in this file
		"param": name, // of the hook's context parameters

		"issuer":     issuerRule,
		"weburl":     webURLRule,
		"resource":   resourceRule,
		"baseurl":    baseURLRule,
		"webhookurl": webhookURLRule,
		"path":       hookPathRule,
		"listen":     listenRule,
		"address":    addressRule,
		"claim":      claimRule,

		"claimpattern":  claimPatternRule,
		"domain":        domainRule,
		"mailbox":       mailboxRule,
		"sealkey":       sealKeyRule,
		"signingsecret": signingSecretRule,
		"storeprefix":   storePrefixRule,

		"locale":   matching(`^[A-Za-z]{2,3}(-[0-9A-Za-z]{2,8}){0,3}$`, "must be a language such as de or pt-BR (BCP 47)"),
		"slug":     matching(`^[0-9a-z-]{1,63}$`, "must be of lower-case letters, digits and dashes, at most 63"),
		"uuid":     matching(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, "must be a UUID in lower case"),
		"clientid": matching(`^[!-~]{1,255}$`, "must be of printable ASCII without spaces, at most 255 (RFC 6749 appendix A.1)"),
		"scope":    matching(`^[!#-\[\]-~]{1,255}$`, "must be a scope: printable ASCII without spaces, quotes and backslashes (RFC 6749 §3.3)"),
		"username": matching(`^[^:]{1,255}$`, "must be without a colon (RFC 7617 §2)"),
		"password": passwordRule,
		"notall": func(given string) string {
			return unless(!strings.HasSuffix(given, "/0"), "must be a range smaller than all addresses")
		},
	}
}

func matching(pattern, complaint string) rule {
	compiled := regexp.MustCompile(pattern)
	return func(given string) string { return unless(compiled.MatchString(given), complaint) }
}

// passwordRule refuses what could be guessed over the wire. That a password
// should come from a generator is advice, which Weak gives.
func passwordRule(given string) string {
	return unless(utf8.RuneCountInString(given) >= 8, "must have at least 8 characters, better 16 from a password generator")
}

// Weak says whether the credential's password looks made by a person. It is
// kept as a plain hash, which only a password that nobody guesses can bear.
func (c Credential) Weak() bool {
	distinct := make(map[rune]bool)
	for _, r := range c.Password.Reveal() {
		distinct[r] = true
	}
	return utf8.RuneCountInString(c.Password.Reveal()) < 16 || len(distinct) < 6
}

func domainRule(given string) string {
	switch {
	case strings.HasPrefix(given, "@"):
		return "must be a mail domain without the @"
	case strings.ContainsFunc(given, func(c rune) bool { return c > unicode.MaxASCII }):
		return "must be a mail domain as its A-label (xn--...)"
	case !isHost(given) || !strings.Contains(given, ".") || strings.Contains(given, "_"):
		return "must be a mail domain such as example.org"
	}
	return ""
}

func mailboxRule(given string) string {
	_, err := mail.ParseAddress(given)
	return unless(err == nil, "must be a mail address, such as Drawbridge <no-reply@example.org>")
}

func sealKeyRule(given string) string {
	key, ok := keyBytes(given)
	switch {
	case !ok:
		return "must be 32 bytes as base64 or as 64 hexadecimal digits"
	case strings.Count(string(key), string(key[:1])) == len(key):
		return "must be 32 random bytes"
	}
	return ""
}

func signingSecretRule(given string) string {
	encoded, prefixed := strings.CutPrefix(given, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	ok := given == "" || prefixed && err == nil && len(key) >= 24 && len(key) <= 64
	return unless(ok, "must be whsec_ followed by 24 to 64 bytes as base64")
}

// validate holds the configuration to its tags, each complaint at the place of
// the value.
func (c *checker) validate(cfg *Config) {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(field reflect.StructField) string {
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		return name
	})
	v.RegisterCustomTypeFunc(func(field reflect.Value) any {
		secret, _ := reflect.TypeAssert[Secret](field)
		return secret.Reveal()
	}, Secret{})
	v.RegisterCustomTypeFunc(func(field reflect.Value) any {
		prefix, _ := reflect.TypeAssert[netip.Prefix](field)
		return prefix.String()
	}, netip.Prefix{})
	for tag, judge := range c.rules {
		// Fails for unusable tag names only, and those are constants here.
		_ = v.RegisterValidation(tag, func(field validator.FieldLevel) bool { return judge(field.Field().String()) == "" })
	}
	found, _ := errors.AsType[validator.ValidationErrors](v.Struct(cfg))
	for _, fault := range found {
		_, path, _ := strings.Cut(fault.Namespace(), ".")
		c.violated(path, fault, c.rules[fault.Tag()])
	}
}

// violated words one complaint of the validator.
func (c *checker) violated(path string, fault validator.FieldError, own rule) {
	given, _ := fault.Value().(string)
	switch tag, kind := fault.Tag(), fault.Kind(); {
	case own != nil:
		c.bad(path, own(given))
	case tag == "required" && !c.given(path):
		c.fault(path, "is required")
	case tag == "required", tag == "min" && kind == reflect.Slice:
		c.fault(path, "must not be empty")
	case tag == "oneof":
		allowed := strings.Fields(fault.Param())
		c.bad(path, "must be "+either(allowed)+meant(given, allowed))
	case tag == "min":
		c.bad(path, "must be at least "+inDays(fault.Param()))
	case tag == "max" && kind == reflect.String:
		c.fault(path, "must have at most %s characters", fault.Param())
	case tag == "max":
		c.bad(path, "must be at most "+inDays(fault.Param()))
	}
}

// inDays writes a limit the way the file would: 720h is 30d.
func inDays(limit string) string {
	hours, isHours := strings.CutSuffix(limit, "h")
	if n, err := strconv.Atoi(hours); isHours && err == nil && n%24 == 0 {
		return strconv.Itoa(n/24) + "d"
	}
	return limit
}

// either lists alternatives in words.
func either(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
