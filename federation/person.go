package federation

import (
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
)

// Person is someone Drawbridge has seen.
type Person struct {
	// ID is a UUID (version 7) of ours.
	ID     string `json:"id"`
	Tenant string `json:"tenant"`
	// Upstream and Subject are where the person comes from. Together they are
	// the person's alias. What is said of the person here, that upstream has said.
	Upstream string `json:"upstream"`
	Subject  string `json:"subject"`
	// Links are further aliases, the oldest first, at most one per upstream.
	// Unlinked are aliases that were taken away.
	Links    []Link   `json:"links,omitempty"`
	Unlinked []string `json:"unlinked,omitempty"`
	// Name is for people to read, never an identifier.
	Name string `json:"name,omitempty"`
	// Email is the address as the upstream wrote it.
	Email string `json:"email,omitempty"`
	// EmailVouched says that the upstream called the address verified and has
	// the authority to. It is all that may ever link accounts.
	EmailVouched bool `json:"email_vouched,omitempty"`
	// EmailConfirmed is the address, normalised, that the person or an
	// operator confirmed to us. It counts while it is the current address.
	EmailConfirmed string `json:"email_confirmed,omitempty"`
	// Customer is the customer id in the tenant's scope.
	Customer  string    `json:"customer,omitempty"`
	Created   time.Time `json:"created"`
	Updated   time.Time `json:"updated"`
	LastLogin time.Time `json:"last_login"`
	Logins    int64     `json:"logins"`
	Blocked   bool      `json:"blocked,omitempty"`
	// Barred is when the person was blocked last, Withdrawn when they took back,
	// per client, what they had agreed to. Grants from before do not count, also
	// once the person is no longer blocked.
	Barred    time.Time            `json:"barred,omitzero"`
	Withdrawn map[string]time.Time `json:"withdrawn,omitempty"`
	// Claims is the newest bag of the person's upstream: the base of refreshes
	// that outlive their session.
	Claims claims.Set `json:"claims,omitempty"`
}

// Honours says whether a grant of the person's still counts: they are not
// blocked, and were not since, and have not taken it back.
func (p Person) Honours(g Grant) bool {
	since := func(end time.Time) bool { return end.IsZero() || g.At.After(end) }
	return p.ID == g.Person && !p.Blocked && since(p.Barred) && since(p.Withdrawn[g.Client])
}
