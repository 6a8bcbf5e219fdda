package upstream

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
)

// Assurance is how a provider's words about a login and ours go together. The
// zero value takes every word as it is.
type Assurance struct {
	// ACR maps ours to theirs. Where it has any, words that it does not know are
	// neither asked for nor believed, unless PassUnknown.
	ACR         map[string]string
	PassUnknown bool
	// DefaultACR is that of a login about which the provider says none.
	DefaultACR string
	// AMR maps theirs to ours; what it does not know stays.
	AMR map[string]string
}

// ask is what to ask the provider for. A word that it would not understand is
// left out.
func (s Assurance) ask(ours []string) []string {
	var theirs []string
	for _, acr := range ours {
		word, known := s.ACR[acr]
		if !known && !s.passes() {
			continue
		}
		if !known {
			word = acr
		}
		if !slices.Contains(theirs, word) {
			theirs = append(theirs, word)
		}
	}
	return theirs
}

// heard is our word for what the provider said: one that was asked for, if it
// means several. A word of ours that it did not learn from us means nothing: it
// must not claim a level by guessing how we call it.
func (s Assurance) heard(theirs string, asked []string) string {
	if theirs == "" {
		return s.DefaultACR
	}
	for _, acr := range asked {
		if word, known := s.ACR[acr]; known && word == theirs {
			return acr
		}
	}
	for _, acr := range slices.Sorted(maps.Keys(s.ACR)) {
		if s.ACR[acr] == theirs {
			return acr
		}
	}
	if _, ours := s.ACR[theirs]; ours || !s.passes() {
		return ""
	}
	return theirs
}

func (s Assurance) passes() bool { return len(s.ACR) == 0 || s.PassUnknown }

// methods are our words for how the user authenticated, each once.
func (s Assurance) methods(theirs []string) []string {
	var ours []string
	for _, m := range theirs {
		if word, known := s.AMR[m]; known {
			m = word
		}
		if !slices.Contains(ours, m) {
			ours = append(ours, m)
		}
	}
	return ours
}

// demand puts the acr that was asked for into a request. What is essential and
// cannot be asked for is not worth the user's way.
func (s Assurance) demand(form url.Values, a federation.Attempt, claimsParameter bool) error {
	theirs := s.ask(a.ACRValues)
	if a.ACREssential && len(theirs) == 0 && !slices.Contains(a.ACRValues, s.DefaultACR) {
		return unmet()
	}
	if len(theirs) > 0 {
		form.Set("acr_values", strings.Join(theirs, " "))
		if a.ACREssential && claimsParameter {
			form.Set("claims", essential(theirs))
		}
	}
	return nil
}

func unmet() *federation.Error {
	return federation.Fail(federation.UnmetAuthentication, "The identity provider cannot meet the authentication requirements.").
		Because(&Distrust{Check: "acr"})
}

// assured puts our words for what the provider said into a login, and holds it
// to an acr that was insisted on.
func (s Assurance) assured(login federation.Login, a federation.Attempt) (federation.Login, error) {
	login.ACR, login.AMR = s.heard(login.ACR, a.ACRValues), s.methods(login.AMR)
	if a.ACREssential && !slices.Contains(a.ACRValues, login.ACR) {
		return login, unmet()
	}
	return login, nil
}

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
		return stale()
	}
	return nil
}

func stale() *federation.Error {
	return federation.Fail(federation.LoginRequired, "The identity provider did not authenticate the user anew, or not recently enough.").
		Because(&Distrust{Check: "auth_time"})
}
