package token

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
)

// familyRecord is a grant that can be refreshed.
type familyRecord struct {
	// Grant is as the code had it: a refresh narrows and renews what it gives
	// out, never what it began with.
	Grant federation.Grant `json:"grant"`
	// Key and the secret of the handle, which is not stored, together make the
	// refresh tokens of all generations.
	Key        material  `json:"key"`
	Generation uint64    `json:"generation"`
	Began      time.Time `json:"began"`
	// Rotated is when the current generation began.
	Rotated time.Time `json:"rotated"`
	// Listed is how long the family's entry in the index by person lasts.
	Listed time.Time `json:"listed,omitzero"`
	// Access are the live access tokens, oldest first.
	Access []issued `json:"access,omitempty"`
}

// issued is a live access token of a family.
type issued struct {
	ID      string    `json:"id"`
	Expires time.Time `json:"expires"`
}

// maxAccess is how many live access tokens a family has. One that refreshes so
// fast that it would have more loses the oldest.
const maxAccess = 128

func newFamilyKey() material {
	key := make(material, 32)
	rand.Read(key) // never fails: crypto/rand ends the program instead
	return key
}

// family is a new family of a grant that was let through.
func (p Permit) family(key material, now time.Time) familyRecord {
	return familyRecord{Grant: p.grant, Key: key, Began: now, Rotated: now}
}

// refreshToken is the text of a refresh token taken apart:
// `<handle>.<generation>.<tag>`.
type refreshToken struct {
	handle     federation.Handle
	generation uint64
	tag        string
}

// tagLength is the length of an HMAC-SHA256 in base64url.
const tagLength = 43

// parseRefresh reads what familyRecord.token wrote.
func parseRefresh(s string) (r refreshToken, ok bool) {
	last := strings.LastIndexByte(s, '.')
	if last < 0 || len(s) > 256 || len(s)-last-1 != tagLength {
		return r, false
	}
	middle := strings.LastIndexByte(s[:last], '.')
	if middle < 0 {
		return r, false
	}
	number := s[middle+1 : last]
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil || number != strconv.FormatUint(n, 10) {
		return r, false
	}
	h, ok := federation.ParseHandle(s[:middle])
	return refreshToken{handle: h, generation: n, tag: s[last+1:]}, ok
}

// token is the refresh token of the current generation.
func (f familyRecord) token(h federation.Handle) string {
	return h.String() + "." + strconv.FormatUint(f.Generation, 10) + "." + f.tag(f.Generation)
}

// tag proves a generation. The holder of one generation lacks the key to make
// the next, the reader of the store lacks the secret that goes before the tag.
func (f familyRecord) tag(generation uint64) string {
	mac := hmac.New(sha256.New, f.Key)
	mac.Write(strconv.AppendUint(nil, generation, 10))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// made says whether the family gave a refresh token out, at any time.
func (f familyRecord) made(r refreshToken) bool {
	return len(f.Key) > 0 && hmac.Equal([]byte(f.tag(r.generation)), []byte(r.tag))
}

// standing is what a refresh token is to its family.
type standing int

const (
	// foreign: nobody's, or another client's; nothing follows from it.
	foreign standing = iota
	// current, or just rotated and within the grace.
	current
	// reused: it was rotated, and it is too late for grace.
	reused
)

// judge says what a refresh token of a client is at an instant.
func (f familyRecord) judge(client string, r refreshToken, now time.Time, grace time.Duration) standing {
	if f.Grant.Client != client || !f.made(r) {
		return foreign
	}
	switch {
	case r.generation == f.Generation:
		return current
	case r.generation > f.Generation:
		return foreign // the store was put back to an earlier state
	case r.generation+1 == f.Generation && !now.After(f.Rotated.Add(grace)):
		return current
	}
	return reused
}

// issue notes an access token and forgets those that expired. It answers the
// ids of those that are too many and have to go.
func (f *familyRecord) issue(token issued, now time.Time) (surplus []string) {
	kept := make([]issued, 0, len(f.Access)+1)
	for _, a := range f.Access {
		if now.Before(a.Expires) {
			kept = append(kept, a)
		}
	}
	kept = append(kept, token)
	for len(kept) > maxAccess {
		surplus = append(surplus, kept[0].ID)
		kept = kept[1:]
	}
	f.Access = kept
	return surplus
}

// has says whether the family names an access token.
func (f familyRecord) has(id string) bool {
	for _, a := range f.Access {
		if a.ID == id {
			return true
		}
	}
	return false
}

// expires is when the record goes if nobody refreshes. sessionEnd, unless zero,
// is when a session-bound grant is dead in any case.
func (f familyRecord) expires(now time.Time, l Lifetimes, sessionEnd time.Time) time.Time {
	at := now.Add(l.RefreshIdle)
	for _, limit := range []time.Time{f.Began.Add(l.RefreshMax), sessionEnd} {
		if !limit.IsZero() && limit.Before(at) {
			at = limit
		}
	}
	return at
}

// sessionEnd is the latest time that a session can have come to. An upgrade
// before its maximum begins it anew under the same sid, so that is twice its
// maximum; every refresh looks again. It is the zero time for no session.
func sessionEnd(s federation.Session) time.Time {
	if s.ID == "" {
		return time.Time{}
	}
	return s.Began.Add(2 * s.Max)
}
