package federation

import (
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
)

// Grant is what a client was given for a person: the content of a code, of a
// refresh family and of an access token. Every token and answer that comes of
// it is a projection of its Snapshot, so they cannot disagree.
type Grant struct {
	Tenant string `json:"tenant"`
	Client string `json:"client"`
	Person string `json:"person"`
	// Subject is the sub that this client knows the person as.
	Subject string `json:"subject"`
	// Upstream is the one whose login stands behind the grant.
	Upstream string `json:"upstream"`
	// Session is the sid; the grant ends with that session unless Offline.
	Session string `json:"session"`
	// At is when its code was issued: what is withdrawn later ends it. Zero in what
	// an older version issued.
	At      time.Time `json:"at,omitzero"`
	Offline bool      `json:"offline,omitempty"`
	// EndsOn are the ends of that session which end the grant although it is
	// offline.
	EndsOn []Cause `json:"ends_on,omitempty"`
	// Resources are whom access tokens are meant for (RFC 8707): of a code and of
	// a refresh family all that were granted, of an access token those it is for.
	Resources []string `json:"resources,omitempty"`
	// Scopes were granted, in the order asked for.
	Scopes   []string  `json:"scopes"`
	Nonce    string    `json:"nonce,omitempty"`
	AuthTime time.Time `json:"auth_time"`
	ACR      string    `json:"acr,omitempty"`
	AMR      []string  `json:"amr,omitempty"`
	// Asked are the claims that were asked for by name, beside the scopes.
	Asked claims.Asked `json:"asked,omitzero"`
	// Context is the hook's contextCustomParams, kept for refreshes.
	Context  map[string][]string `json:"context,omitempty"`
	Snapshot claims.Snapshot     `json:"snapshot"`
}

// Binding is the sid of the session that the grant ends with; empty where it is
// offline.
func (g Grant) Binding() string {
	if g.Offline {
		return ""
	}
	return g.Session
}

// Has says whether a scope was granted.
func (g Grant) Has(scope string) bool { return slices.Contains(g.Scopes, scope) }
