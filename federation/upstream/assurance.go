package upstream

import (
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
)

// fresh holds a provider to what was asked of it: a login that had to be new or
// recent must say when it happened (OpenID Connect Core 1.0 §3.1.2.1). It is
// measured from when it was asked for, not from when the user was done.
func (c *OIDC) fresh(login federation.Login, a federation.Attempt) error {
	if login.AuthTime.After(c.o.Now().Add(c.o.Skew)) {
		return distrust("auth_time", nil)
	}
	asked := a.At
	if asked.IsZero() {
		asked = c.o.Now()
	}
	oldest := asked.Add(-c.o.Skew)
	switch {
	case a.Anew():
	case a.MaxAge >= 0:
		oldest = oldest.Add(-time.Duration(a.MaxAge) * time.Second)
	default:
		return nil
	}
	if login.AuthTimeUntold || login.AuthTime.Before(oldest) {
		return federation.Fail(federation.LoginRequired, "The identity provider did not authenticate the user anew, or not recently enough.").
			Because(&Distrust{Check: "auth_time"})
	}
	return nil
}
