package federation

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
)

// Attempt is one try to sign a user in at an upstream. It is bound to one
// browser by a cookie, and holds what the answer will be checked against.
type Attempt struct {
	// State comes back with the answer.
	State string
	// Nonce comes back in the ID token.
	Nonce string
	// Verifier is the PKCE code verifier (RFC 7636 §4.1).
	Verifier string
	// RedirectURI is our callback at this upstream.
	RedirectURI string
	// What a relying party asked for and the upstream is asked in turn
	// (OpenID Connect Core 1.0 §3.1.2.1).
	Prompt    []string
	LoginHint string
	ACRValues []string
	// ACREssential: a login of another acr is of no use (Core §5.5.1.1).
	ACREssential bool
	UILocales    string
	// MaxAge is in seconds; negative when not asked for.
	MaxAge int
	// At is when the relying party asked: what had to be new or recent is
	// measured from there, however long the user took.
	At time.Time
}

// Anew says whether the user had to authenticate anew (prompt=login).
func (a Attempt) Anew() bool { return slices.Contains(a.Prompt, "login") }

// Callback is the upstream's answer at our redirect URI.
type Callback struct {
	Code string
	// Issuer is the iss parameter (RFC 9207), if the answer had one.
	Issuer string
	// Error and ErrorDescription are set instead of Code by a refusal.
	Error, ErrorDescription string
}

// Connector speaks to one upstream. Its errors are *Error values whose code
// says who is at fault: access_denied (the user or the upstream refused),
// login_required and its kin (the upstream could not do what prompt=none
// asked), temporarily_unavailable (not reachable), server_error (the answer
// is not to be believed; the cause says why).
type Connector interface {
	// AuthURL is the address at the upstream that the browser is sent to.
	AuthURL(ctx context.Context, a Attempt) (string, error)
	// Exchange turns the answer into a verified login.
	Exchange(ctx context.Context, a Attempt, cb Callback) (Login, error)
}

// Rechecker is a Connector that can ask its upstream again about a login, while
// the user is away (DESIGN decision 16).
type Rechecker interface {
	// Recheck is the login with what the upstream says now. Who the user is, and
	// when and how they authenticated, stays. The error is ErrGone where the
	// upstream stands by the login no longer, ErrNothingToCheck where there is
	// nothing to ask with, and an *Error as of Exchange for everything else. The
	// login that comes with an error has the tokens that are good from now on.
	Recheck(ctx context.Context, l Login) (Login, error)
}

// What a Rechecker finds out.
var (
	ErrGone           = errors.New("the upstream stands by the login no longer")
	ErrNothingToCheck = errors.New("the upstream left nothing to check the login with")
	// ErrUnanswered is part of an error where the question was sent: the upstream
	// may have replaced the refresh token all the same.
	ErrUnanswered = errors.New("the upstream did not answer")
)

// SubjectMode says what a relying party sees as sub.
type SubjectMode string

const (
	// SubjectOwn is the person's UUID.
	SubjectOwn SubjectMode = "own"
	// SubjectUpstream passes the upstream's own subject through, allowed where
	// a tenant has just that one upstream.
	SubjectUpstream SubjectMode = "upstream"
)

// Upstream is an external identity provider as configured.
type Upstream struct {
	// ID is unique within the tenant, and part of the callback's path.
	ID, Tenant string
	// Name is shown to users who choose.
	Name      string
	Issuer    string
	Connector Connector
	// Domains are those whose addresses the upstream is believed about, in
	// lower case; TrustAnyEmail believes it about all.
	Domains       []string
	TrustAnyEmail bool
	Subject       SubjectMode
	// CustomerFrom and EmailFrom are the claims, first one that has a value,
	// that name the customer and the e-mail address.
	CustomerFrom, EmailFrom []string
	// Freshness says when the upstream is asked about its logins again.
	Freshness Freshness
	// PasswordResetURL is the upstream's own page, or empty.
	PasswordResetURL string
	// EndSessionURL is the address that ends the upstream's session, empty where
	// the upstream has none; nil where its session is to be left alone.
	EndSessionURL func(ctx context.Context, idTokenHint, back, state string) (string, error)
	// ReadLogout verifies a logout token that came in at a moment (OpenID Connect
	// Back-Channel Logout 1.0 §2.6); nil where the upstream's are not taken. It
	// fails with invalid_request for what is not to be believed, and with
	// temporarily_unavailable where that cannot be told now.
	ReadLogout func(ctx context.Context, token string, received time.Time) (LogoutNotice, error)
	// FrontChannelLogout says that the upstream may have browsers sign out by
	// a page of ours in a frame (OpenID Connect Front-Channel Logout 1.0).
	FrontChannelLogout bool
}

// Vouches says whether the upstream has authority over an e-mail address.
func (u Upstream) Vouches(email string) bool {
	if u.TrustAnyEmail {
		return email != ""
	}
	at := strings.LastIndexByte(email, '@')
	if at < 1 {
		return false
	}
	domain := strings.ToLower(email[at+1:])
	return slices.Contains(u.Domains, domain)
}

// Believe is the claims of a login as far as the upstream is believed: an
// address that it has no authority over is not verified, whatever it says.
func (u Upstream) Believe(said claims.Set) claims.Set {
	email, _ := said["email"].(string)
	if _, told := said["email_verified"]; !told || u.Vouches(email) {
		return said
	}
	believed := maps.Clone(said)
	believed["email_verified"] = false
	return believed
}

// Login is what one upstream said about a person in one session.
type Login struct {
	Upstream string `json:"upstream"`
	Issuer   string `json:"issuer"`
	// Subject is the upstream's own, meaningless without Upstream.
	Subject string `json:"subject"`
	// SID is the upstream's session id, if it told one.
	SID string `json:"sid,omitempty"`
	// Claims is the whole bag: ID token and userinfo together.
	Claims claims.Set `json:"claims"`
	// AuthTime is when the upstream says that the user authenticated, or when
	// the login came in where it does not say.
	AuthTime time.Time `json:"auth_time"`
	ACR      string    `json:"acr,omitempty"`
	AMR      []string  `json:"amr,omitempty"`
	// IDToken is the raw token, the hint for the upstream's end of session.
	IDToken string `json:"id_token,omitempty"`
	// AuthTimeUntold: the upstream did not say when, AuthTime is a guess.
	AuthTimeUntold bool `json:"auth_time_untold,omitempty"`
	// RefreshToken of the upstream, where it gave one. AccessToken is good until
	// AccessExpires, or for a time that nobody said.
	RefreshToken  string    `json:"refresh_token,omitempty"`
	AccessToken   string    `json:"access_token,omitempty"`
	AccessExpires time.Time `json:"access_expires,omitzero"`
	// Kept: the login is kept beside its session, with the upstream's tokens; see
	// package freshness.
	Kept bool      `json:"kept,omitempty"`
	At   time.Time `json:"at"`
	// Issued is the ID token's iat, by the upstream's clock, to the second.
	Issued time.Time `json:"issued,omitzero"`
}
