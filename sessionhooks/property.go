package sessionhooks

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Property is the name of a built-in variable: a default session property, or
// WebhookEventType. Names are exact, also in case.
//
// What each holds is chosen so that no variable is ever a credential: no token,
// cookie value, session secret, code or client secret is a property.
type Property string

// The default session properties and the event type.
const (
	// PropertyAMCtxID is the session's audit id, as the audit trail names it. A
	// session that takes another's place has an audit id of its own.
	PropertyAMCtxID Property = "AMCtxId"
	// PropertyAMLBCookie is the name of the node that began the session.
	PropertyAMLBCookie Property = "amlbcookie"
	// PropertyAuthInstant is when authentication completed, RFC 3339 in UTC
	// with seconds: 2022-02-28T14:06:31Z.
	PropertyAuthInstant Property = "authInstant"
	// PropertyAuthLevel is the authentication level, a decimal integer.
	PropertyAuthLevel Property = "AuthLevel"
	// PropertyAuthType is accepted for compatibility and never has a value.
	PropertyAuthType Property = "AuthType"
	// PropertyCharSet is always UTF-8.
	PropertyCharSet Property = "CharSet"
	// PropertyClientType is always genericHTML.
	PropertyClientType Property = "clientType"
	// PropertyFullLoginURL is the authorization request with which sign-in
	// began: its URL with the query, without parameters that are secret or
	// prove possession (state, nonce, hints, code challenge, request objects).
	PropertyFullLoginURL Property = "FullLoginURL"
	// PropertyHost is the client's IP address, found behind trusted proxies
	// only.
	PropertyHost Property = "Host"
	// PropertyHostName is the host name of ours under which the user
	// authenticated.
	PropertyHostName Property = "HostName"
	// PropertyIndexType is always service: a session is begun by naming an
	// upstream.
	PropertyIndexType Property = "IndexType"
	// PropertyLocale is the language that the user was spoken to in; absent
	// where the browser named none.
	PropertyLocale Property = "Locale"
	// PropertyLoginURL is the path of the page at which sign-in began, without
	// host and query: /authorize, below the issuer's own path.
	PropertyLoginURL Property = "loginURL"
	// PropertyOidcSid is the sid claim of the session's ID tokens.
	PropertyOidcSid Property = "OidcSid"
	// PropertyOrganization is the tenant's slug.
	PropertyOrganization Property = "Organization"
	// PropertyPrincipal is the same as PropertyUniversalIdentifier.
	PropertyPrincipal Property = "Principal"
	// PropertyPrincipals is accepted for compatibility and never has a value.
	PropertyPrincipals Property = "Principals"
	// PropertyService is the id of the upstream that began the session.
	PropertyService Property = "Service"
	// PropertySuccessURL is where the browser was sent after sign-in: the
	// redirect URI, without the response parameters.
	PropertySuccessURL Property = "successURL"
	// PropertyUniversalIdentifier is what UniversalIdentifier returns for the
	// session's person and tenant.
	PropertyUniversalIdentifier Property = "sun.am.UniversalIdentifier"
	// PropertyUserID is the person's id, the id part of Principal.
	PropertyUserID Property = "UserId"
	// PropertyUserProfile is always Required: every session has a person on
	// record. The seed table runs the name and this value together
	// (UserProfileRequired); only UserProfile is a variable.
	PropertyUserProfile Property = "UserProfile"
	// PropertyUserToken is the name that the user is known by: the e-mail address
	// that the upstream gave, otherwise the person's id.
	PropertyUserToken Property = "UserToken"
	// PropertyXUSRef is the cross-upgrade session reference: it moves to the
	// session that takes this one's place, so it is constant over UPGRADE.
	PropertyXUSRef Property = "XUSRef"
	// PropertyWebhookEventType is the EndEvent. It is no session property, but
	// a variable like them.
	PropertyWebhookEventType Property = "WebhookEventType"
)

// Properties lists the 24 default session properties and WebhookEventType, in a
// slice of the caller's own.
func Properties() []Property {
	return []Property{
		PropertyAMCtxID, PropertyAMLBCookie, PropertyAuthInstant, PropertyAuthLevel, PropertyAuthType,
		PropertyCharSet, PropertyClientType, PropertyFullLoginURL, PropertyHost, PropertyHostName,
		PropertyIndexType, PropertyLocale, PropertyLoginURL, PropertyOidcSid, PropertyOrganization,
		PropertyPrincipal, PropertyPrincipals, PropertyService, PropertySuccessURL, PropertyUniversalIdentifier,
		PropertyUserID, PropertyUserProfile, PropertyUserToken, PropertyXUSRef, PropertyWebhookEventType,
	}
}

// Supported is false for the two properties that the seed marks as not
// supported. They are accepted as variables, with a warning, and never have a
// value.
func (p Property) Supported() bool { return p != PropertyAuthType && p != PropertyPrincipals }

// UniversalIdentifier names a person of a tenant in one string that never
// changes: id=<person>,ou=user,o=<tenant>. Neither part may hold a character
// that a distinguished name escapes, which ids and slugs of ours never do.
func UniversalIdentifier(person, tenant string) string {
	return "id=" + person + ",ou=user,o=" + tenant
}

// CheckCustomProperty says why a name cannot be that of a custom session
// property: it does not match [A-Za-z_][A-Za-z0-9._-]{0,127}, or it is the name
// of a built-in one, or one that access managers keep for themselves, in
// whatever case.
func CheckCustomProperty(name string) error {
	if !validName(name) {
		return fmt.Errorf("a property name is a letter or _ and then at most %d letters, digits, dots, dashes and underscores", maxName-1)
	}
	for _, p := range Properties() {
		if strings.EqualFold(name, string(p)) {
			return fmt.Errorf("%s is a built-in property", p)
		}
	}
	folded := strings.ToLower(name)
	if folded == "role" || strings.HasPrefix(folded, "am.protected.") {
		return fmt.Errorf("%s is a reserved property", name)
	}
	return nil
}

// Values is what the variables stand for when a session has ended. A property
// with an empty value is not an absent one. Values do not change and may be
// shared. They encode as one JSON object of strings, to be kept in the event
// until the last webhook has been told.
type Values struct {
	set map[string]string
}

// NewValues joins the built-in properties of a session with its custom ones.
// The constant properties (CharSet, clientType, IndexType, UserProfile) need
// not be given. A custom property whose name CheckCustomProperty refuses is left
// out, so that none ever shadows a built-in one; so are the two built-in
// properties that are not supported.
func NewValues(builtin map[Property]string, custom map[string]string) Values {
	set := make(map[string]string, len(builtin)+len(custom)+4)
	for name, value := range custom {
		if CheckCustomProperty(name) == nil {
			set[name] = value
		}
	}
	set[string(PropertyCharSet)] = "UTF-8"
	set[string(PropertyClientType)] = "genericHTML"
	set[string(PropertyIndexType)] = "service"
	set[string(PropertyUserProfile)] = "Required"
	for _, p := range Properties() {
		if value, ok := builtin[p]; ok && p.Supported() {
			set[string(p)] = value
		}
	}
	return Values{set: set}
}

// Lookup returns the value of a property and whether the session has it.
func (v Values) Lookup(name string) (string, bool) {
	value, ok := v.set[name]
	return value, ok
}

// MarshalJSON writes one object with the properties that have a value. The
// shape is for the store: UnmarshalJSON trusts it.
func (v Values) MarshalJSON() ([]byte, error) {
	if v.set == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(v.set)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (v *Values) UnmarshalJSON(text []byte) error {
	var set map[string]string
	if err := json.Unmarshal(text, &set); err != nil {
		return fmt.Errorf("decode property values: %w", err)
	}
	v.set = set
	return nil
}
