package federation

import "time"

// LogoutNotice is what an upstream has told of logins of its own that are over
// (OpenID Connect Back-Channel Logout 1.0 §2.4, Front-Channel Logout 1.0 §3),
// once it is proven to come from there.
type LogoutNotice struct {
	Upstream, Issuer string
	// Subject and SID say whose logins; at least one of them is there, and where
	// both are a login must have both.
	Subject, SID string
	// ID is the token's jti, empty for a notice that was no token.
	ID string
	// Issued is the token's iat, by the upstream's clock.
	Issued time.Time
}

// Names says whether a login is one of those that are over. A sid names one
// session of the upstream's, whenever the login was. A subject alone stands for
// all logins that there were when the notice was issued, and for none that came
// later: a notice that is late, or shown again, ends nothing new. Both moments
// are the upstream's, so no clocks are compared; they are to the second, and a
// login of the very same second counts as earlier.
func (n LogoutNotice) Names(l Login) bool {
	switch {
	case l.Upstream != n.Upstream || l.Issuer != n.Issuer || n.SID == "" && n.Subject == "":
		return false
	case n.SID != "":
		return l.SID == n.SID && (n.Subject == "" || l.Subject == n.Subject)
	}
	return l.Subject == n.Subject && !l.Issued.After(n.Issued)
}
