package token

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// listed says, in the index by person, whose a refresh family is.
type listed struct {
	Client string `json:"client"`
	// Offline families outlive their session.
	Offline bool `json:"offline,omitempty"`
}

// list enters a family into the index by person, in the commit that writes the
// family, for as long as it can last. Later commits find it there, unless the
// family has come to outlive the entry: it lasts longer after an upgrade of its
// session, and one of an older version was never entered.
func (i *Issuer) list(f *familyRecord, at store.Place, id string, expires time.Time, l Lifetimes, sessionEnd time.Time) []store.Op {
	if !expires.After(f.Listed) {
		return nil
	}
	if f.Listed = f.Began.Add(l.RefreshMax); !sessionEnd.IsZero() && sessionEnd.Before(f.Listed) {
		f.Listed = sessionEnd
	}
	if f.Listed.Before(expires) {
		f.Listed = expires
	}
	entry := listed{Client: f.Grant.Client, Offline: f.Grant.Offline}
	return []store.Op{i.byPerson.Put(at, f.Grant.Person+"/"+id, entry, f.Listed)}
}

// families are the ids of a person's refresh families of one client, or, where
// that is empty, of those that outlive their session.
func (i *Issuer) familiesOf(ctx context.Context, t federation.Tenant, person, client string) (ids []string, err error) {
	prefix, after := person+"/", ""
	for {
		rows, err := i.byPerson.Scan(ctx, t.PlaceOf(person), prefix, after, scanned)
		if err != nil {
			return nil, fmt.Errorf("scan refresh families of %s: %w", person, err)
		}
		for _, row := range rows {
			after = row.ID
			if row.Value.Client == client || client == "" && row.Value.Offline {
				ids = append(ids, strings.TrimPrefix(row.ID, prefix))
			}
		}
		if len(rows) < scanned {
			return ids, nil
		}
	}
}

// scanned is how many entries are read at once.
const scanned = 100

// EndGrants takes away the refresh families that a person has given a client,
// with their access tokens, each in a commit of its own, and says how many there
// were. Where client is empty it is those of all clients that do not end with a
// session. After an error the rest may live on; calling again goes on. Access
// tokens that belong to no family end by themselves.
func (i *Issuer) EndGrants(ctx context.Context, t federation.Tenant, person, client string) (int, error) {
	ids, err := i.familiesOf(ctx, t, person, client)
	if err != nil {
		return 0, err
	}
	at := t.PlaceOf(person)
	for n, id := range ids {
		if err := i.kill(ctx, at, id, ""); err != nil {
			return n, fmt.Errorf("end grants of %s: %w", person, err)
		}
		// The family may have gone by itself, and left its entry.
		if _, err := i.o.Engine.Commit(ctx, i.byPerson.Drop(at, person+"/"+id)); err != nil {
			return n, fmt.Errorf("end grants of %s: %w", person, err)
		}
	}
	return len(ids), nil
}

// HasGrants says whether a client has refresh families of a person.
func (i *Issuer) HasGrants(ctx context.Context, t federation.Tenant, person, client string) (bool, error) {
	ids, err := i.familiesOf(ctx, t, person, client)
	return len(ids) > 0, err
}
