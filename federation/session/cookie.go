package session

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// ID is what names a session that begins, minted before its commit is planned
// so that planning again keeps it.
type ID struct {
	// Session is the sid, of 160 random bits.
	Session string
	// Secret is for the cookie, of 256 random bits.
	Secret federation.Secret
	// Audit and Reference are UUIDs (version 4).
	Audit, Reference string
	// planned says that a commit was planned with them before; see PlanBegin.
	planned *bool
}

// NewID mints the names and the secret of one session.
func (m *Manager) NewID() ID {
	return ID{
		Session:   newSID(),
		Secret:    federation.Secret(federation.NewSecret()),
		Audit:     uuid.NewString(),
		Reference: uuid.NewString(),
		planned:   new(bool),
	}
}

// For is the same names for a session of a person. Of a tenant that is spread
// the sid is minted anew, until it is one that lives where the person does:
// PlanBegin takes no other.
func (id ID) For(t federation.Tenant, person string) ID {
	first := true
	id.Session = t.Beside(person, func() string {
		if first {
			first = false
			return id.Session
		}
		return newSID()
	})
	return id
}

func newSID() string {
	var sid [20]byte
	rand.Read(sid[:]) // never fails: crypto/rand ends the program instead
	return federation.Moment() + base64.RawURLEncoding.EncodeToString(sid[:])
}

// CookieName is the name of a tenant's session cookie. Where the issuer is
// https it has the prefix that binds it to the host (RFC 6265bis §4.1.3.2).
func CookieName(tenant string, secure bool) string {
	if secure {
		return "__Host-drawbridge-" + tenant
	}
	return "drawbridge-" + tenant
}

// Cookie is the cookie of a session that has begun. It lasts as long as the
// browser's own session: when it ends is ours to say, not the browser's.
func (m *Manager) Cookie(s Started, secure bool) *http.Cookie {
	return cookie(s.Session.Tenant, s.CookieValue.Reveal(), secure)
}

// ClearCookie removes a tenant's session cookie from the browser.
func (m *Manager) ClearCookie(tenant string, secure bool) *http.Cookie {
	c := cookie(tenant, "", secure)
	c.MaxAge = -1
	return c
}

func cookie(tenant, value string, secure bool) *http.Cookie {
	return &http.Cookie{
		Name: CookieName(tenant, secure), Value: value, Path: "/",
		Secure: secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// ticket is a cookie's value: where the session is, and what opens it.
type ticket struct {
	place  store.Place
	sid    string
	secret string
}

func (c ticket) String() string {
	return c.place.Tenant + "." + strconv.FormatUint(uint64(c.place.Partition), 10) + "." + c.sid + "." + c.secret
}

// opens compares in constant time. A session without a hash opens to nobody.
func (c ticket) opens(s federation.Session) bool {
	return s.SecretHash != "" &&
		subtle.ConstantTimeCompare([]byte(federation.HashSecret(c.secret)), []byte(s.SecretHash)) == 1
}

// parseCookie reads `<tenant>.<partition>.<sid>.<secret>`, and nothing that
// ticket.String cannot have written.
func parseCookie(value string) (ticket, bool) {
	if len(value) > 256 {
		return ticket{}, false
	}
	parts := strings.Split(value, ".")
	if len(parts) != 4 || !ValidID(parts[2]) {
		return ticket{}, false
	}
	h, ok := federation.ParseHandle(parts[0] + "." + parts[1] + "." + parts[3])
	return ticket{place: h.Place, sid: parts[2], secret: h.Secret}, ok
}
