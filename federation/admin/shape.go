package admin

import (
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
)

// shown is a session as the door shows it: schema Session of the document.
type shown struct {
	ID     string `json:"id"`
	Tenant string `json:"tenant"`
	// Order is how far the order of the tenant's events reaches.
	Order         federation.Order  `json:"order"`
	Person        string            `json:"person"`
	Logins        []shownLogin      `json:"logins"`
	Clients       []shownVisit      `json:"clients"`
	Began         time.Time         `json:"began"`
	Active        time.Time         `json:"active"`
	IdleDeadline  time.Time         `json:"idle_deadline"`
	MaxDeadline   time.Time         `json:"max_deadline"`
	Deadline      time.Time         `json:"deadline"`
	DeadlineCause federation.Cause  `json:"deadline_cause"`
	Level         int               `json:"level"`
	AuditID       string            `json:"audit_id"`
	Reference     string            `json:"reference"`
	Origin        shownOrigin       `json:"origin"`
	Properties    map[string]string `json:"properties,omitempty"`
	Webhooks      []string          `json:"webhooks,omitempty"`
}

// shownLogin is a login without its claims and tokens.
type shownLogin struct {
	Upstream string    `json:"upstream"`
	Subject  string    `json:"subject"`
	ACR      string    `json:"acr,omitempty"`
	AMR      []string  `json:"amr,omitempty"`
	AuthTime time.Time `json:"auth_time,omitzero"`
}

type shownVisit struct {
	Client string    `json:"client"`
	First  time.Time `json:"first"`
	Last   time.Time `json:"last"`
}

// shownOrigin is where the session began.
type shownOrigin struct {
	Addr      string `json:"addr,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
}

type page struct {
	Sessions []shown `json:"sessions"`
	Next     string  `json:"next,omitempty"`
}

func show(t federation.Tenant, s federation.Session) shown {
	deadline, cause := s.Deadline()
	v := shown{
		ID: s.ID, Tenant: s.Tenant, Order: t.Order(), Person: s.Person,
		Logins: make([]shownLogin, 0, len(s.Logins)), Clients: make([]shownVisit, 0, len(s.Clients)),
		Began: s.Began.UTC(), Active: s.Active.UTC(),
		IdleDeadline: s.Active.Add(s.Idle).UTC(), MaxDeadline: s.Began.Add(s.Max).UTC(),
		Deadline: deadline.UTC(), DeadlineCause: cause,
		Level: s.Level, AuditID: s.AuditID, Reference: s.Reference,
		Origin:     shownOrigin{Addr: s.Origin.Addr, UserAgent: s.Origin.UserAgent},
		Properties: s.Properties, Webhooks: s.Webhooks,
	}
	for _, l := range s.Logins {
		v.Logins = append(v.Logins, shownLogin{Upstream: l.Upstream, Subject: l.Subject, ACR: l.ACR, AMR: l.AMR, AuthTime: l.AuthTime.UTC()})
	}
	for _, c := range s.Clients {
		v.Clients = append(v.Clients, shownVisit{Client: c.Client, First: c.First.UTC(), Last: c.Last.UTC()})
	}
	return v
}
