package local_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/bridge"
	"github.com/drawbridge-id/drawbridge/bridge/local"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// register is a room with a few persons; it notes what it was asked.
type register struct {
	persons []local.Person
	asked   []string
}

func (r *register) Get(_ context.Context, at store.Place, id string) (local.Person, error) {
	r.asked = append(r.asked, at.Tenant+" get "+id)
	return r.first(func(p local.Person) bool { return p.ID == id })
}

func (r *register) ByAlias(_ context.Context, at store.Place, upstream, subject string) (local.Person, error) {
	r.asked = append(r.asked, at.Tenant+" alias "+upstream+" "+subject)
	return r.first(func(p local.Person) bool { return p.Upstream == upstream })
}

func (r *register) first(is func(local.Person) bool) (local.Person, error) {
	if i := slices.IndexFunc(r.persons, is); i >= 0 {
		return r.persons[i], nil
	}
	return local.Person{}, bridge.Fail(bridge.KindNotFound)
}

func (r *register) all(is func(local.Person) bool) (found []local.Person) {
	for _, p := range r.persons {
		if is(p) {
			found = append(found, p)
		}
	}
	return found
}

func (r *register) FindByEmail(_ context.Context, _ store.Place, email string) ([]local.Person, error) {
	return r.all(func(p local.Person) bool { return p.Email == email }), nil
}

func (r *register) FindByCustomer(_ context.Context, _ store.Place, customer string) ([]local.Person, error) {
	return r.all(func(p local.Person) bool { return p.Customer == customer }), nil
}

func (r *register) Delete(_ context.Context, at store.Place, id string) error {
	r.asked = append(r.asked, at.Tenant+" delete "+id)
	return nil
}

func (r *register) MarkEmailVerified(_ context.Context, at store.Place, id, email string) error {
	r.asked = append(r.asked, at.Tenant+" mark "+id+" "+email)
	return nil
}

const (
	ada = "0192f5a4-7b1e-7c3a-9d55-000000000001"
	bob = "0192f5a4-7b1e-7c3a-9d55-000000000002"
	eve = "0192f5a4-7b1e-7c3a-9d55-000000000003"
)

func directory(t *testing.T, r *register) bridge.Directory {
	t.Helper()
	d, err := local.New(local.Options{Persons: r, ResetPages: func(tenant string) map[string]string {
		if tenant != "acme" {
			return nil
		}
		return map[string]string{"corp": "https://corp.example/reset"}
	}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestIDs(t *testing.T) {
	for id, want := range map[string]string{
		ada:                                    "acme get " + ada,
		"0192F5A4-7B1E-7C3A-9D55-000000000001": "acme get " + ada,
		"corp|65a1":                            "acme alias corp 65a1",
		"corp|a|b/c":                           "acme alias corp a|b/c",
		"corp|" + ada:                          "acme alias corp " + ada,
		"":                                     "",
		"65a1":                                 "",
		"corp|":                                "",
		"|65a1":                                "",
		"|":                                    "",
		"urn:uuid:" + ada:                      "",
		"{" + ada + "}":                        "",
		"0192f5a47b1e7c3a9d55000000000001":     "",
		ada + " ":                              "",
	} {
		r := &register{persons: []local.Person{{ID: ada, Upstream: "corp"}}}
		u, err := directory(t, r).Get(t.Context(), store.Place{Tenant: "acme"}, id)
		if want == "" {
			if len(r.asked) != 0 || bridge.KindOf(err) != bridge.KindNotFound {
				t.Errorf("%q: %v, asked %v", id, err, r.asked)
			}
			continue
		}
		if err != nil || u.ID != ada || !slices.Equal(r.asked, []string{want}) {
			t.Errorf("%q: %+v, %v, asked %v", id, u, err, r.asked)
		}
	}
}

func TestUserOfPerson(t *testing.T) {
	at := time.Date(2026, 11, 20, 15, 7, 24, 0, time.UTC)
	p := local.Person{
		ID: ada, Customer: "c", Email: "ada@example.org", EmailVerified: true, Blocked: true, Upstream: "corp", Logins: 7,
		Created: at, Updated: at.Add(time.Hour), LastLogin: at.Add(2 * time.Hour),
	}
	u, err := directory(t, &register{persons: []local.Person{p}}).Get(t.Context(), store.Place{Tenant: "acme"}, ada)
	if err != nil || u.LoginsCount == nil || *u.LoginsCount != 7 {
		t.Fatalf("%+v, %v", u, err)
	}
	u.LoginsCount = nil
	want := bridge.User{
		Tenant: "acme", ID: ada, Customer: "c", Email: "ada@example.org", EmailVerified: true, Blocked: true,
		CreateTime: at, UpdateTime: at.Add(time.Hour), LoginTime: at.Add(2 * time.Hour),
	}
	if u != want {
		t.Errorf("got  %+v\nwant %+v", u, want)
	}
}

// An address belongs to whoever proved it; only among those who merely say so,
// or those who all proved it, is there a doubt.
func TestWhoseAddressItIs(t *testing.T) {
	proved := func(id string) local.Person { return local.Person{ID: id, Email: "x@example.org", EmailVerified: true} }
	said := func(id string) local.Person { return local.Person{ID: id, Email: "x@example.org"} }
	for name, tc := range map[string]struct {
		persons []local.Person
		id      string
		kind    bridge.Kind
	}{
		"nobody":                 {nil, "", bridge.KindNotFound},
		"one who says so":        {[]local.Person{said(ada)}, ada, ""},
		"one who proved it":      {[]local.Person{proved(ada)}, ada, ""},
		"two who say so":         {[]local.Person{said(ada), said(bob)}, "", bridge.KindAmbiguous},
		"two who proved it":      {[]local.Person{proved(ada), proved(bob), said(eve)}, "", bridge.KindAmbiguous},
		"one proved, others say": {[]local.Person{said(eve), proved(bob), said(ada)}, bob, ""},
	} {
		u, err := directory(t, &register{persons: tc.persons}).FindByEmail(t.Context(), store.Place{Tenant: "acme"}, "x@example.org")
		if u.ID != tc.id || bridge.KindOf(err) != tc.kind || (err == nil) != (tc.kind == "") {
			t.Errorf("%s: %q, %v", name, u.ID, err)
		}
	}
}

func TestCustomers(t *testing.T) {
	d := directory(t, &register{persons: []local.Person{{ID: ada, Customer: "a"}, {ID: bob, Customer: "b", EmailVerified: true}, {ID: eve, Customer: "b"}}})
	if u, err := d.FindByCustomer(t.Context(), store.Place{Tenant: "acme"}, "a"); err != nil || u.ID != ada {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := d.FindByCustomer(t.Context(), store.Place{Tenant: "acme"}, "b"); bridge.KindOf(err) != bridge.KindAmbiguous {
		t.Errorf("two: %v", err)
	}
}

func TestResetPages(t *testing.T) {
	d := directory(t, &register{persons: []local.Person{{ID: ada, Upstream: "corp"}, {ID: bob, Upstream: "other"}}})
	acme, beta := store.Place{Tenant: "acme"}, store.Place{Tenant: "beta"}
	if !d.Resets(acme) || d.Resets(beta) {
		t.Error("the tenants with reset pages are mixed up")
	}
	for id, want := range map[string]string{ada: "https://corp.example/reset", bob: ""} {
		if got, err := d.ResetPage(t.Context(), acme, id); got != want || err != nil {
			t.Errorf("%s: %q, %v", id, got, err)
		}
	}
	if _, err := d.ResetPage(t.Context(), acme, eve); bridge.KindOf(err) != bridge.KindNotFound {
		t.Errorf("nobody: %v", err)
	}
	if d.SendVerificationEmail != nil || d.SendPasswordResetEmail != nil {
		t.Error("the local directory says that it sends mails")
	}
}

func TestWritesGoThrough(t *testing.T) {
	r := &register{}
	d := directory(t, r)
	at := store.Place{Tenant: "acme"}
	if err := d.Delete(t.Context(), at, ada); err != nil {
		t.Error(err)
	}
	if err := d.MarkEmailVerified(t.Context(), at, bob, "b@example.org"); err != nil {
		t.Error(err)
	}
	if want := []string{"acme delete " + ada, "acme mark " + bob + " b@example.org"}; !slices.Equal(r.asked, want) {
		t.Errorf("asked %v", r.asked)
	}
	if _, err := local.New(local.Options{}); err == nil {
		t.Error("a directory of nobody was made")
	}
}
