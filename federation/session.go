package federation

import (
	"slices"
	"time"
)

// Cause is why a session ended. A session ends once, with one cause.
type Cause string

// The five causes.
const (
	// Logout: the user asked for it.
	Logout Cause = "LOGOUT"
	// Upgrade: the user stepped up; another session took this one's place.
	Upgrade Cause = "UPGRADE"
	// Destroy: an administrator, an upstream's logout, the person deleted or
	// blocked, a quota, or another person on the same browser.
	Destroy Cause = "DESTROY"
	// MaxTimeout: the maximum lifetime was reached.
	MaxTimeout Cause = "MAX_TIMEOUT"
	// IdleTimeout: nothing happened for the idle time.
	IdleTimeout Cause = "IDLE_TIMEOUT"
)

// Visit is a relying party's part in a session.
type Visit struct {
	Client string `json:"client"`
	// Subject is the sub that the client knows the person as; empty in sessions
	// of before it was kept.
	Subject string `json:"subject,omitempty"`
	// Pending says that the user was asked to agree and has not: the client was
	// told nothing yet, and is not told of the end either.
	Pending bool      `json:"pending,omitempty"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
}

// Session is one signed-in browser: one person, one login per upstream.
type Session struct {
	// ID is the sid of ID tokens: public, worth nothing without the secret.
	ID     string `json:"id"`
	Tenant string `json:"tenant"`
	// SecretHash is HashSecret of the secret in the browser's cookie.
	SecretHash string `json:"secret_hash"`
	Person     string `json:"person"`
	// Logins is one per upstream, the one that began the session first.
	Logins []Login `json:"logins"`
	// Clients are the relying parties that were told of the session.
	Clients []Visit   `json:"clients,omitempty"`
	Began   time.Time `json:"began"`
	// Active is the last activity that was written down (DESIGN decision 10).
	Active time.Time     `json:"active"`
	Idle   time.Duration `json:"idle"`
	Max    time.Duration `json:"max"`
	// Level is the authentication level, 0 unless something raised it.
	Level int `json:"level"`
	// AuditID names the session in the audit trail; Reference stays the same
	// when an upgrade puts another session in this one's place.
	AuditID   string `json:"audit_id"`
	Reference string `json:"reference"`
	// Node is the name of the node that began the session.
	Node string `json:"node,omitempty"`
	// Origin is the request that began the session.
	Origin Request `json:"origin"`
	// LoginURL is where sign-in began; FullLoginURL is with its parameters but
	// without anything secret; SuccessURL is where the browser was sent then.
	LoginURL     string `json:"login_url,omitempty"`
	FullLoginURL string `json:"full_login_url,omitempty"`
	SuccessURL   string `json:"success_url,omitempty"`
	// Properties are custom ones, for session webhooks.
	Properties map[string]string `json:"properties,omitempty"`
	// Webhooks are the ids of the session webhooks that will be told its end.
	Webhooks []string `json:"webhooks,omitempty"`
	// Due is the id of the due record that ends the session in time.
	Due string `json:"due"`
}

// Deadline is when the session ends if nothing happens any more, and why. The
// earlier deadline wins; on a tie it is MaxTimeout.
func (s Session) Deadline() (time.Time, Cause) {
	idle, most := s.Active.Add(s.Idle), s.Began.Add(s.Max)
	if idle.Before(most) {
		return idle, IdleTimeout
	}
	return most, MaxTimeout
}

// Login finds what an upstream said in this session.
func (s Session) Login(upstream string) (Login, bool) {
	for _, l := range s.Logins {
		if l.Upstream == upstream {
			return l, true
		}
	}
	return Login{}, false
}

// WithLogin is the session with a login added, or put in the place of the
// earlier one of the same upstream.
func (s Session) WithLogin(l Login) Session {
	s.Logins = slices.Clone(s.Logins)
	for i := range s.Logins {
		if s.Logins[i].Upstream == l.Upstream {
			s.Logins[i] = l
			return s
		}
	}
	s.Logins = append(s.Logins, l)
	return s
}

// WithVisit is the session with a relying party's visit noted: v says whose it
// is, and what is new of it.
func (s Session) WithVisit(v Visit, at time.Time) Session {
	s.Clients = slices.Clone(s.Clients)
	for i := range s.Clients {
		had := &s.Clients[i]
		if had.Client != v.Client {
			continue
		}
		had.Last, had.Pending = at, had.Pending && v.Pending
		if v.Subject != "" {
			had.Subject = v.Subject
		}
		return s
	}
	v.First, v.Last = at, at
	s.Clients = append(s.Clients, v)
	return s
}

// Knows says whether a visit is noted already with all that it says.
func (s Session) Knows(v Visit) bool {
	return slices.ContainsFunc(s.Clients, func(had Visit) bool {
		return had.Client == v.Client && (v.Subject == "" || had.Subject == v.Subject) && (v.Pending || !had.Pending)
	})
}
