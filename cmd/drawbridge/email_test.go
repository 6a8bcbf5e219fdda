package main

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/bridge"
	"github.com/drawbridge-id/drawbridge/federation/person"
)

// TestBothSidesCompareAddressesAlike: the Users contract asks for a person by
// an address that federation indexed. The two may not import each other, so
// each has the rule, and this holds them to one.
func TestBothSidesCompareAddressesAlike(t *testing.T) {
	for _, address := range []string{
		"ada@corp.example", "Ada@Corp.Example", "a+b@corp.example", "a.d.a@corp.example", "Zoë@corp.example", "Zoe\u0308@corp.example",
		"ada@bücher.example", "ada@xn--bcher-kva.example", "", "ada", "@corp.example", "ada@", "a b@corp.example", "a\r\nb@corp.example",
		"a@b@corp.example", `"a b"@corp.example`, "ada@[127.0.0.1]", "ada@-corp.example", "ada@corp..example", "a\x00@corp.example",
		"\xff@corp.example", "ada@corp.example.",
	} {
		ours, err1 := bridge.NormalEmail(address)
		theirs, err2 := person.NormalEmail(address)
		if ours != theirs || (err1 == nil) != (err2 == nil) {
			t.Errorf("%q is %q (%v) to the Users contract and %q (%v) to federation", address, ours, err1, theirs, err2)
		}
	}
}
