package freshness

import (
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
)

// record is a login that can be asked about.
type record struct {
	// Login has the upstream's tokens.
	Login federation.Login `json:"login"`
	// Checked is when the upstream last stood by it, Tried when it was last asked
	// in vain.
	Checked time.Time `json:"checked"`
	Tried   time.Time `json:"tried,omitzero"`
	// Doubt: what it answered then is not to be believed.
	Doubt bool `json:"doubt,omitempty"`
	// Offline: a grant that outlives the session rests on it.
	Offline bool `json:"offline,omitempty"`
	// Gone: the upstream stands by it no longer. Lost: its refresh token got lost.
	Gone bool `json:"gone,omitempty"`
	Lost bool `json:"lost,omitempty"`
	// Claim is who asks at the moment, until Until.
	Claim string    `json:"claim,omitempty"`
	Until time.Time `json:"until,omitzero"`
	// Unsure: the upstream may have replaced the refresh token without our knowing
	// the new one.
	Unsure bool `json:"unsure,omitempty"`
}

// claimed says whether somebody is asking.
func (r record) claimed(now time.Time) bool { return r.Claim != "" && now.Before(r.Until) }

// by is the record claimed. A claim that was never given back is one whose
// outcome nobody knows.
func (r record) by(claim string, now time.Time) record {
	r.Unsure = r.Unsure || r.Claim != "" && r.Login.RefreshToken != ""
	r.Claim, r.Until = claim, now.Add(claimLife)
	return r
}

// settled is the record after a call: the claim is given back.
func (r record) settled(v verdict, now time.Time) record {
	r.Claim, r.Until, r.Tried, r.Doubt = "", time.Time{}, time.Time{}, v.what == disbelieved
	before := r.Login.RefreshToken
	switch v.what {
	case stands:
		r.Login, r.Checked, r.Unsure = v.login, now, false
	case gone:
		r.Gone, r.Lost = !r.Unsure, r.Unsure
		r.Login.RefreshToken, r.Login.AccessToken, r.Unsure = "", "", false
	case nothing:
	default:
		r.Tried = now
		r.Login.RefreshToken, r.Login.AccessToken, r.Login.AccessExpires = v.login.RefreshToken, v.login.AccessToken, v.login.AccessExpires
		if v.login.RefreshToken != before {
			r.Unsure = false
		} else if v.unanswered && before != "" {
			r.Unsure = true
		}
	}
	return r
}

// enough says whether what is known need not be asked for: young enough, or
// found out while this caller was waiting.
func (r record) enough(f federation.Freshness, began, now time.Time) bool {
	if r.Checked.After(began) {
		return true
	}
	return f.Check == federation.CheckAfter && now.Sub(r.Checked) < f.After
}

// bare: the upstream left nothing to ask with, or not for so long.
func (r record) bare(now time.Time) bool {
	l := r.Login
	return l.RefreshToken == "" && (l.AccessToken == "" || !l.AccessExpires.IsZero() && !now.Before(l.AccessExpires))
}

// verdict is what came of a call.
type verdict struct {
	what outcome
	// login has what the upstream says now, or at least the tokens that are good.
	login federation.Login
	// unanswered: the question was sent, and nobody knows what became of it.
	unanswered bool
	err        error
}

type outcome int

const (
	stands outcome = iota
	gone
	nothing
	unreachable
	disbelieved
)
