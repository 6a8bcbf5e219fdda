package federation_test

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
)

func TestLevels(t *testing.T) {
	none, some := federation.Tenant{}, federation.Tenant{ACRLevels: []string{"bronze", "silver", "gold"}}
	for acr, want := range map[string]int{"": 0, "bronze": 1, "silver": 2, "gold": 3, "Gold": 0, "platinum": 0} {
		if got := some.Level(acr); got != want || none.Level(acr) != 0 {
			t.Errorf("%q is level %d, and %d without levels", acr, got, none.Level(acr))
		}
	}
	for name, c := range map[string]struct {
		acr   string
		asked []string
		with  bool // where the tenant has levels
		alone bool // where it has none
	}{
		"nothing asked":            {acr: "bronze", with: true, alone: true},
		"the very one":             {acr: "gold", asked: []string{"gold"}, with: true, alone: true},
		"a higher one":             {acr: "gold", asked: []string{"silver"}, with: true},
		"a lower one":              {acr: "bronze", asked: []string{"silver"}},
		"the lowest counts":        {acr: "silver", asked: []string{"gold", "bronze"}, with: true},
		"not told":                 {asked: []string{"bronze"}, alone: true},
		"not told, none is listed": {asked: []string{"urn:x"}, with: true, alone: true},
		"listed, none asked is":    {acr: "gold", asked: []string{"urn:x"}},
		"not listed, but asked":    {acr: "urn:x", asked: []string{"gold", "urn:x"}, with: true, alone: true},
		"not listed":               {acr: "urn:x", asked: []string{"bronze"}},
	} {
		t.Run(name, func(t *testing.T) {
			if with, alone := some.Reaches(c.acr, c.asked), none.Reaches(c.acr, c.asked); with != c.with || alone != c.alone {
				t.Errorf("with levels %v, without %v", with, alone)
			}
		})
	}
}
