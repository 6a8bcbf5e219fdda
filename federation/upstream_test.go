package federation

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/claims"
)

// TestBelieve holds e-mail addresses to the authority of who asserts them.
func TestBelieve(t *testing.T) {
	corp := Upstream{ID: "corp", Domains: []string{"corp.example"}}
	anybody := Upstream{ID: "any", TrustAnyEmail: true}
	for name, c := range map[string]struct {
		by   Upstream
		said claims.Set
		want any
	}{
		"within its domains":        {corp, claims.Set{"email": "ada@Corp.Example", "email_verified": true}, true},
		"outside its domains":       {corp, claims.Set{"email": "ada@bank.example", "email_verified": true}, false},
		"a subdomain is outside":    {corp, claims.Set{"email": "ada@x.corp.example", "email_verified": true}, false},
		"a domain that ends like":   {corp, claims.Set{"email": "ada@evilcorp.example", "email_verified": true}, false},
		"two at signs":              {corp, claims.Set{"email": "ada@corp.example@bank.example", "email_verified": true}, false},
		"text counts as well":       {corp, claims.Set{"email": "ada@bank.example", "email_verified": "true"}, false},
		"no address":                {corp, claims.Set{"email_verified": true}, false},
		"nothing said":              {corp, claims.Set{"email": "ada@bank.example"}, nil},
		"believed about everything": {anybody, claims.Set{"email": "ada@bank.example", "email_verified": true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			before := c.said.Clone()
			if got := c.by.Believe(c.said)["email_verified"]; got != c.want {
				t.Errorf("email_verified is %v, want %v", got, c.want)
			}
			if !c.said.Equal(before) {
				t.Error("what was said was changed in place")
			}
		})
	}
}
