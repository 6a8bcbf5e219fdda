package federation

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

func spreadTenant(partitions int) Tenant {
	over := store.Layout{Partitions: partitions}
	return Tenant{ID: "acme", Place: over.Place("acme"), Spread: over}
}

func TestATenantThatIsNotSpreadHasOnePlace(t *testing.T) {
	home := store.Place{Tenant: "acme", Partition: 3}
	for _, over := range []int{0, 1} {
		org := Tenant{ID: "acme", Place: home, Spread: store.Layout{Partitions: over}}
		for _, id := range []string{"", "x", "corp/y"} {
			if got := org.PlaceOf(id); got != home {
				t.Errorf("%q is at %v", id, got)
			}
		}
		if got := org.Places(); len(got) != 1 || got[0] != home || org.Order() != OrderTenant {
			t.Errorf("places %v, order %s", got, org.Order())
		}
		if org.Owns(store.Place{Tenant: "acme"}) || !org.Owns(home) {
			t.Error("owns another place than its home")
		}
		if got := org.Beside("x", func() string { return "y" }); got != "y" {
			t.Errorf("minted %q", got)
		}
	}
}

func TestOwns(t *testing.T) {
	org := spreadTenant(16)
	for place, want := range map[store.Place]bool{
		{Tenant: "acme", Partition: 0}: true, {Tenant: "acme", Partition: 15}: true, org.Place: true,
		{Tenant: "acme", Partition: 16}: false, {Tenant: "acme", Partition: 65535}: false, {Tenant: "other", Partition: 3}: false, {Partition: 3}: false,
	} {
		if org.Owns(place) != want {
			t.Errorf("%v: %v", place, !want)
		}
	}
}

// What is minted beside an id lives where it does, over any number of
// partitions that a tenant may be spread over.
func TestBeside(t *testing.T) {
	for _, n := range []int{2, 16, 100, MaxSpread} {
		org := spreadTenant(n)
		for i := range 20 {
			alias := fmt.Sprintf("corp/%d", i)
			who := org.Beside(alias, uuid.NewString)
			if sid := org.Beside(who, NewSecret); org.PlaceOf(who) != org.PlaceOf(alias) || org.PlaceOf(sid) != org.PlaceOf(alias) {
				t.Errorf("over %d: %v, %v, %v", n, org.PlaceOf(alias), org.PlaceOf(who), org.PlaceOf(sid))
			}
		}
	}
	tries, org := 0, spreadTenant(16)
	org.Beside("x", func() string {
		tries++
		return "the same, and elsewhere"
	})
	if org.PlaceOf("x") == org.PlaceOf("the same, and elsewhere") || tries > 64*16+1 {
		t.Errorf("%d tries", tries)
	}
}

// Persons are spread evenly, whatever their subjects have in common, and no two
// tenants alike.
func TestPlacesAreUsedEvenly(t *testing.T) {
	const persons, partitions = 16_000, 16
	org, other := spreadTenant(partitions), spreadTenant(partitions)
	other.ID = "other"
	count, alike := map[store.Place]int{}, 0
	for i := range persons {
		id := fmt.Sprintf("corp/%08d", i)
		count[org.PlaceOf(id)]++
		if org.PlaceOf(id).Partition == other.PlaceOf(id).Partition {
			alike++
		}
	}
	for _, place := range org.Places() {
		if n := count[place]; n < persons/partitions*9/10 || n > persons/partitions*11/10 {
			t.Errorf("%v has %d of %d", place, n, persons)
		}
	}
	if len(count) != partitions || alike < persons/partitions*9/10 || alike > persons/partitions*11/10 {
		t.Errorf("%d places, %d alike in both tenants", len(count), alike)
	}
}

func TestPlaceOfAChange(t *testing.T) {
	org := spreadTenant(16)
	ada, eve := "a person", "another person"
	for name, c := range map[string]struct {
		change Change
		want   store.Place
	}{
		"of a person":              {Change{Person: &Person{ID: ada}}, org.PlaceOf(ada)},
		"of a session":             {Change{Session: &Session{Person: eve}}, org.PlaceOf(eve)},
		"of both":                  {Change{Person: &Person{ID: ada}, Session: &Session{Person: ada}}, org.PlaceOf(ada)},
		"of nobody known yet":      {Change{Person: &Person{}, Verdicts: []claims.Verdict{{}}}, org.Place},
		"of the tenant, or nobody": {Change{}, org.Place},
	} {
		c.change.Tenant = org
		if got := c.change.Place(); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func BenchmarkBeside(b *testing.B) {
	for _, n := range []int{16, MaxSpread} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			org := spreadTenant(n)
			for b.Loop() {
				org.Beside("corp/1", uuid.NewString)
			}
		})
	}
}
