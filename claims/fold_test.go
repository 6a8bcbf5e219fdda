package claims

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

func TestFold(t *testing.T) {
	for _, tc := range []struct{ name, want string }{
		{"sub", "sub"},
		{"SUB", "sub"},
		{"sUb", "sub"},
		{"\u017fub", "sub"}, // LATIN SMALL LETTER LONG S
		{"URN:ONEGINI.COM:OIDC:X", "urn:onegini.com:oidc:x"}, //
		{"\u212ac", "kc"},                                      // KELVIN SIGN
		{"s\u00fcb", fold("S\u00dcB")},                         //
		{"\u03c3\u03c2", fold("\u03a3\u03a3")},                 // both sigmas are one
		{"\uff53ub", "\uff33ub"},                               // full width is another letter, also folded
		{"su\u0062\u0301", "su\u0062\u0301"},                   // combining marks are not touched
		{"\u0130", "\u0130"}, {"\u0131", "\u0131"}, {"i", "i"}, // Turkish i's fold to nothing else
	} {
		if got := fold(tc.name); got != tc.want {
			t.Errorf("fold(%q) = %q, want %q", tc.name, got, tc.want)
		}
	}
}

// Every rune folds exactly with those that strings.EqualFold folds it with.
func TestFoldRuneAgreesWithEqualFold(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if r >= 0xD800 && r <= 0xDFFF {
			continue
		}
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			if foldRune(next) != foldRune(r) {
				t.Fatalf("%U and %U are in one orbit, but fold to %U and %U", r, next, foldRune(r), foldRune(next))
			}
		}
		if f := foldRune(r); !strings.EqualFold(string(f), string(r)) {
			t.Fatalf("%U folds to %U, which is not its equal", r, f)
		}
	}
}

func FuzzFold(f *testing.F) {
	f.Add("sub", "ſUB")
	f.Add("k", "\u212a")
	f.Add("ß", "ẞ")
	f.Fuzz(func(t *testing.T, a, b string) {
		if checkName(a) != nil || checkName(b) != nil {
			return // not two names: nothing to compare
		}
		if got, want := fold(a) == fold(b), strings.EqualFold(a, b); got != want {
			t.Fatalf("fold says %t of %q and %q, EqualFold %t", got, a, b, want)
		}
		if a != b {
			err := checkNames(map[string]any{a: 1, b: 2})
			if got, want := err != nil, strings.EqualFold(a, b); got != want {
				t.Fatalf("checkNames says %v of %q and %q, EqualFold %t", err, a, b, want)
			}
		}
	})
}

func TestClass(t *testing.T) {
	g, err := NewGuard([]string{"Employee_ID", "corp:*"}, false)
	if err != nil {
		t.Fatal(err)
	}
	names := "iss aud sub exp iat nbf jti nonce azp at_hash c_hash s_hash sid auth_time acr amr cnf events client_id scope typ"
	for name := range strings.FieldsSeq(names) {
		for _, spelled := range []string{name, strings.ToUpper(name), strings.ReplaceAll(name, "s", "ſ")} {
			if got := g.Class(spelled); got != Minted {
				t.Errorf("%q is %s, want minted", spelled, got)
			}
		}
	}
	for _, name := range []string{
		"verified_claims", "VERIFIED_CLAIMS", "verified_claimſ", "group_permissions", "Group_Permissions",
		"urn:onegini.com:oidc:", "urn:onegini.com:oidc:x", "URN:ONEGINI.COM:OIDC:X", "urn:onegini.com:oidc:ſ", "urn:Onegini.com:oidc:a.b",
		"employee_id", "EMPLOYEE_ID", "corp:", "CORP:x", "corp:a:b",
	} {
		if got := g.Class(name); got != Protected {
			t.Errorf("%q is %s, want protected", name, got)
		}
	}
	for _, name := range []string{
		"email", "subject", "su", "urn:onegini.com:oidc", "urn:onegini.com:oid", "xurn:onegini.com:oidc:a",
		"employee_ids", "corp", "__proto__", "constructor", "ｓｕｂ", "sub\u200b", "ѕub", "iss ", "s.ub",
	} {
		if got := g.Class(name); got != Free {
			t.Errorf("%q is %s, want free", name, got)
		}
	}
	if got := new(Guard).Class("Verified_Claims"); got != Protected {
		t.Errorf("the zero guard leaves verified_claims %s", got)
	}
}

func TestNewGuardRefusesWhatIsNoName(t *testing.T) {
	for _, entry := range []string{"", "*", "a*b", "a**", "a\x00b", "\xff", "*a"} {
		if _, err := NewGuard([]string{"fine", entry}, false); err == nil || !strings.Contains(err.Error(), "protected[1]") {
			t.Errorf("%q: %v", entry, err)
		}
	}
}

// What encoding/json would read into a field named like a minted claim is
// minted, whichever way it is spelled.
func FuzzClassAgreesWithEncodingJSON(f *testing.F) {
	for _, seed := range []string{"sub", "ſub", "SUB", "ſUb", "su", "sub ", "\u212a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if checkName(name) != nil {
			return // no claim can have it
		}
		data, err := json.Marshal(map[string]string{name: "forged"})
		if err != nil {
			t.Fatal(err)
		}
		var read struct {
			Sub string `json:"sub"`
			VC  string `json:"verified_claims"`
			GP  string `json:"group_permissions"`
		}
		if err := json.Unmarshal(data, &read); err != nil {
			t.Fatal(err)
		}
		class := new(Guard).Class(name)
		if read.Sub != "" && class != Minted || (read.VC != "" || read.GP != "") && class != Protected {
			t.Fatalf("%q is %s, but encoding/json reads %+v", name, class, read)
		}
	})
}
