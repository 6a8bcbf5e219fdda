package bridge_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/bridge"
	"github.com/drawbridge-id/drawbridge/bridge/local"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// people are persons in memory: what the rooms behind the local directory do,
// as far as the directory can see.
type people struct {
	mu    sync.Mutex
	all   map[string]local.Person // by tenant/id
	alias map[string]string       // tenant/upstream|subject to tenant/id
	asked int                     // how often anybody was asked for
	enter chan struct{}           // when set, Delete says that it was entered,
	leave chan struct{}           // and waits
	fail  error                   // when set, the answer to everything
}

func (p *people) add(tenant, subject string, who local.Person) {
	who.Upstream = "corp"
	p.all[tenant+"/"+who.ID] = who
	p.alias[tenant+"/corp|"+subject] = tenant + "/" + who.ID
}

func (p *people) ask() (func(), error) {
	p.mu.Lock()
	p.asked++
	return p.mu.Unlock, p.fail
}

func (p *people) Get(_ context.Context, at store.Place, id string) (local.Person, error) {
	done, err := p.ask()
	defer done()
	who, ok := p.all[at.Tenant+"/"+id]
	if err == nil && !ok {
		err = bridge.Fail(bridge.KindNotFound)
	}
	return who, err
}

func (p *people) ByAlias(ctx context.Context, at store.Place, upstream, subject string) (local.Person, error) {
	p.mu.Lock()
	_, id, _ := strings.Cut(p.alias[at.Tenant+"/"+upstream+"|"+subject], "/")
	p.mu.Unlock()
	return p.Get(ctx, at, id)
}

func (p *people) find(at store.Place, is func(local.Person) bool) (found []local.Person, err error) {
	done, err := p.ask()
	defer done()
	for _, key := range slices.Sorted(maps.Keys(p.all)) {
		if strings.HasPrefix(key, at.Tenant+"/") && is(p.all[key]) {
			found = append(found, p.all[key])
		}
	}
	return found, err
}

func (p *people) FindByEmail(_ context.Context, at store.Place, email string) ([]local.Person, error) {
	want, err := bridge.NormalEmail(email)
	if err != nil {
		return nil, err
	}
	return p.find(at, func(who local.Person) bool {
		have, err := bridge.NormalEmail(who.Email)
		return err == nil && have == want
	})
}

func (p *people) FindByCustomer(_ context.Context, at store.Place, customer string) ([]local.Person, error) {
	return p.find(at, func(who local.Person) bool { return who.Customer == customer })
}

func (p *people) Delete(ctx context.Context, at store.Place, id string) error {
	if p.enter != nil {
		select {
		case p.enter <- struct{}{}:
			<-p.leave
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	done, err := p.ask()
	defer done()
	if _, ok := p.all[at.Tenant+"/"+id]; err == nil && !ok {
		err = bridge.Fail(bridge.KindNotFound)
	}
	if err == nil {
		delete(p.all, at.Tenant+"/"+id)
	}
	return err
}

func (p *people) MarkEmailVerified(_ context.Context, at store.Place, id, email string) error {
	done, err := p.ask()
	defer done()
	who, ok := p.all[at.Tenant+"/"+id]
	switch {
	case err != nil:
		return err
	case !ok:
		return bridge.Fail(bridge.KindNotFound)
	}
	want, _ := bridge.NormalEmail(email)
	if have, err := bridge.NormalEmail(who.Email); err != nil || have != want {
		return bridge.Fail(bridge.KindEmailChanged)
	}
	who.EmailVerified = true
	p.all[at.Tenant+"/"+id] = who
	return nil
}

// change edits a person, as a sign-in would.
func (p *people) change(tenant, id string, edit func(*local.Person)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	who := p.all[tenant+"/"+id]
	edit(&who)
	p.all[tenant+"/"+id] = who
}

func (p *people) calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

const (
	ada, bob, eve   = "0192f5a4-7b1e-7c3a-9d55-000000000001", "0192f5a4-7b1e-7c3a-9d55-000000000002", "0192f5a4-7b1e-7c3a-9d55-000000000003"
	twin1, twin2    = "0192f5a4-7b1e-7c3a-9d55-000000000004", "0192f5a4-7b1e-7c3a-9d55-000000000005"
	idn, eai, plus  = "0192f5a4-7b1e-7c3a-9d55-000000000006", "0192f5a4-7b1e-7c3a-9d55-000000000007", "0192f5a4-7b1e-7c3a-9d55-000000000008"
	vera, zoe, liar = "0192f5a4-7b1e-7c3a-9d55-000000000009", "0192f5a4-7b1e-7c3a-9d55-00000000000a", "0192f5a4-7b1e-7c3a-9d55-00000000000b"
	nobody          = "0192f5a4-7b1e-7c3a-9d55-0000000000ff"

	acmeUUID, betaUUID = "0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
)

func population() *people {
	p := &people{all: map[string]local.Person{}, alias: map[string]string{}}
	day := time.Date(2026, 11, 20, 15, 7, 24, 108e6, time.UTC)
	for subject, who := range map[string]local.Person{
		"65a1":  {ID: ada, Customer: "C/100% ?#ü", Email: "Ada@Example.org", Created: day.AddDate(-1, 0, 0), Updated: day, LastLogin: day, Logins: 42},
		"bob":   {ID: bob, Customer: "bob", Email: "bob@example.org", Blocked: true},
		"eve":   {ID: eve},
		"twin1": {ID: twin1, Customer: "twin", Email: "twin@example.org"},
		"twin2": {ID: twin2, Customer: "twin", Email: "TWIN@example.org"},
		"idn":   {ID: idn, Customer: "idn", Email: "info@bücher.example"},
		"eai":   {ID: eai, Customer: "eai", Email: "josé@example.org"},
		"plus":  {ID: plus, Customer: "plus", Email: "ada+shop@example.org", Logins: 1<<53 + 1},
		"vera":  {ID: vera, Customer: "vera", Email: "vera@example.org", EmailVerified: true},
		"liar":  {ID: liar, Customer: "liar", Email: "vera@example.org"},
	} {
		p.add("acme", subject, who)
	}
	p.add("beta", "zoe", local.Person{ID: zoe, Customer: "zoe", Email: "zoe@beta.example"})
	return p
}
