package person

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
)

// Only an upstream with authority, speaking of that very address, vouches.
func TestEmailIsAnAssertionWithAnAuthority(t *testing.T) {
	verified := func(email any) claims.Set { return claims.Set{"email": email, "email_verified": true} }
	from := func(sources ...string) func(*federation.Upstream) {
		return func(u *federation.Upstream) { u.EmailFrom = sources }
	}
	anything := func(u *federation.Upstream) { u.TrustAnyEmail = true }
	for name, c := range map[string]struct {
		bag     claims.Set
		change  func(*federation.Upstream)
		email   string
		vouched bool
	}{
		"own domain":                    {bag: verified("ada@corp.example"), email: "ada@corp.example", vouched: true},
		"own domain in another case":    {bag: verified("Ada@CORP.Example"), email: "Ada@CORP.Example", vouched: true},
		"word for boolean":              {bag: claims.Set{"email": "ada@corp.example", "email_verified": "true"}, email: "ada@corp.example", vouched: true},
		"not verified":                  {bag: claims.Set{"email": "ada@corp.example", "email_verified": false}, email: "ada@corp.example"},
		"verified not said":             {bag: claims.Set{"email": "ada@corp.example"}, email: "ada@corp.example"},
		"verified is 1":                 {bag: claims.Set{"email": "ada@corp.example", "email_verified": json.Number("1")}, email: "ada@corp.example"},
		"verified is a list":            {bag: claims.Set{"email": "ada@corp.example", "email_verified": []any{true}}, email: "ada@corp.example"},
		"foreign domain":                {bag: verified("ada@bank.example"), email: "ada@bank.example"},
		"foreign domain, trusted":       {bag: verified("ada@bank.example"), change: anything, email: "ada@bank.example", vouched: true},
		"trusted but not verified":      {bag: claims.Set{"email": "ada@bank.example"}, change: anything, email: "ada@bank.example"},
		"subdomain":                     {bag: verified("ada@x.corp.example"), email: "ada@x.corp.example"},
		"suffix":                        {bag: verified("ada@notcorp.example"), email: "ada@notcorp.example"},
		"two at signs":                  {bag: verified("ada@bank.example@corp.example")},
		"no address":                    {bag: verified("ada")},
		"control characters":            {bag: verified("ada@corp.example\r\nBcc: x@y.example")},
		"not text":                      {bag: verified(json.Number("7"))},
		"missing":                       {bag: claims.Set{}},
		"another claim":                 {bag: claims.Set{"upn": "ada@corp.example", "email_verified": true}, change: from("upn"), email: "ada@corp.example"},
		"another claim, other address":  {bag: claims.Set{"upn": "ada@corp.example", "email": "x@corp.example", "email_verified": true}, change: from("upn"), email: "ada@corp.example"},
		"another claim, same address":   {bag: claims.Set{"upn": "ADA@corp.example", "email": "ada@corp.example", "email_verified": true}, change: from("upn"), email: "ADA@corp.example", vouched: true},
		"first source that has a value": {bag: claims.Set{"mail": "", "email": "ada@corp.example"}, change: from("mail", "upn", "email"), email: "ada@corp.example"},
		"source that is no address":     {bag: claims.Set{"upn": "ada", "email": "ada@corp.example"}, change: from("upn", "email"), email: "ada@corp.example"},
		"list":                          {bag: claims.Set{"emails": []any{"ada@corp.example", "b@corp.example"}}, change: from("emails"), email: "ada@corp.example"},
		"path":                          {bag: claims.Set{"contact": map[string]any{"mail": "ada@corp.example"}}, change: from("contact.mail"), email: "ada@corp.example"},
	} {
		u := corp()
		if c.change != nil {
			c.change(&u)
		}
		if email, vouched := emailOf(u, login("1", c.bag)); email != c.email || vouched != c.vouched {
			t.Errorf("%s: %q vouched %v, want %q %v", name, email, vouched, c.email, c.vouched)
		}
	}
}

func TestCustomer(t *testing.T) {
	deep := claims.Set{
		"https://corp.example/org.id": "dotted", "org": map[string]any{"id": "nested", "units": []any{map[string]any{"no": json.Number("12")}}},
	}
	for name, c := range map[string]struct {
		bag  claims.Set
		from []string
		want string
	}{
		"first":           {claims.Set{"customer_id": "C/100% é", "sub": "1"}, []string{"customer_id", "sub"}, "C/100% é"},
		"second":          {claims.Set{"customer_id": "", "sub": "1"}, []string{"customer_id", "sub"}, "1"},
		"number":          {claims.Set{"customer_id": json.Number("9007199254740993")}, []string{"customer_id"}, "9007199254740993"},
		"not text":        {claims.Set{"customer_id": true, "sub": "1"}, []string{"customer_id", "sub"}, "1"},
		"sub not in bag":  {claims.Set{}, []string{"customer_id", "sub"}, "s"},
		"nothing":         {claims.Set{}, []string{"customer_id"}, ""},
		"no sources":      {claims.Set{"sub": "1"}, nil, ""},
		"dotted name":     {deep, []string{"https://corp.example/org.id"}, "dotted"},
		"path":            {deep, []string{"org.id"}, "nested"},
		"path with index": {deep, []string{"org.units.0.no"}, "12"},
		"index too great": {deep, []string{"org.units.1.no"}, ""},
		"no index":        {deep, []string{"org.units.-0.no"}, ""},
		"null":            {claims.Set{"customer_id": nil}, []string{"customer_id"}, ""},
		"spaces are kept": {claims.Set{"customer_id": " 7 "}, []string{"customer_id"}, " 7 "},
	} {
		u := corp(func(u *federation.Upstream) { u.CustomerFrom = c.from })
		if got := describe(federation.Person{}, u, login("s", c.bag)).Customer; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestName(t *testing.T) {
	for _, c := range []struct {
		bag  claims.Set
		want string
	}{
		{claims.Set{"name": "Ada Lovelace", "given_name": "A"}, "Ada Lovelace"},
		{claims.Set{"given_name": "Ada", "family_name": "Lovelace"}, "Ada Lovelace"},
		{claims.Set{"family_name": "Lovelace"}, "Lovelace"},
		{claims.Set{"preferred_username": "ada"}, "ada"},
		{claims.Set{}, ""},
	} {
		if got := nameOf(login("1", c.bag)); got != c.want {
			t.Errorf("%v: %q, want %q", c.bag.Names(), got, c.want)
		}
	}
}

func TestNormalEmail(t *testing.T) {
	for address, want := range map[string]string{
		"ada@corp.example":                  "ada@corp.example",
		"ADA@Corp.EXAMPLE":                  "ada@corp.example",
		"a+b@x.example":                     "a+b@x.example",
		"a.b@x.example":                     "a.b@x.example",
		"ada@bücher.example":                "ada@xn--bcher-kva.example",
		"ada@BU\u0308CHER.example":          "ada@xn--bcher-kva.example",
		"ada@xn--bcher-kva.example":         "ada@xn--bcher-kva.example",
		"J\u00d6RG@x.example":               "j\u00f6rg@x.example",
		"jo\u0308rg@x.example":              "j\u00f6rg@x.example",
		"root@localhost":                    "root@localhost",
		"ada@corp\u3002example":             "ada@corp.example",
		"":                                  "",
		"@x.example":                        "",
		"ada@":                              "",
		"ada":                               "",
		"a b@x.example":                     "",
		"a@b@x.example":                     "",
		`"a b"@x.example`:                   "",
		"ada@[192.0.2.1]":                   "",
		"ada@x..example":                    "",
		"ada@-x.example":                    "",
		"ada@x_y.example":                   "",
		"ada@x.example\n":                   "",
		"a\x00b@x.example":                  "",
		"a\u200b@x.example":                 "",
		"\xff@x.example":                    "",
		"ada@xn--zz.example":                "",
		"Ada <ada@x.example>":               "",
		strings.Repeat("a", 400) + "@x.com": "",
		"a@" + strings.Repeat("a", 64) + ".example": "",
	} {
		got, err := NormalEmail(address)
		if got != want || (err != nil) != (want == "") || err != nil && !errors.Is(err, ErrMalformedEmail) {
			t.Errorf("%q: %q, %v; want %q", address, got, err, want)
		}
	}
}

func FuzzNormalEmail(f *testing.F) {
	for _, s := range []string{"ada@corp.example", "J\u00d6RG@B\u00dcCHER.example", "\u0130@x.example", "a@b@c", "\u03a3@x.example", "\u1e9e@\u00df.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, address string) {
		normal, err := NormalEmail(address)
		if err != nil {
			return
		}
		if again, err := NormalEmail(normal); err != nil || again != normal {
			t.Errorf("%q becomes %q and then %q, %v", address, normal, again, err)
		}
		if strings.Count(normal, "@") != 1 || strings.ContainsAny(normal, " \r\n\t\x00<>,;") {
			t.Errorf("%q becomes %q", address, normal)
		}
	})
}
