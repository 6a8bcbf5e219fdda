package federation

import (
	"strings"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// DefaultTenant is the tenant that there always is, served at the issuer's root.
const DefaultTenant = "default"

// Tenant is an organisation: the owner of persons, upstreams and clients.
type Tenant struct {
	// ID is the slug, `^[0-9a-z-]+$`, part of every key, token and cookie name.
	ID string
	// UUID is the tenant's public id: OwnerId of events, X-IRM-TenantId.
	UUID string
	Name string
	// Issuer is the issuer identifier, exactly as relying parties know it.
	Issuer string
	// Place is where the tenant's records live.
	Place store.Place
}

// URL is the address of a path below the tenant's issuer. A slash at the end
// of the issuer is not doubled (OpenID Connect Discovery 1.0 §4.1).
func (t Tenant) URL(path string) string { return strings.TrimSuffix(t.Issuer, "/") + path }

// Secure says whether the tenant is served by https, so that cookies may be
// held to it.
func (t Tenant) Secure() bool { return strings.HasPrefix(strings.ToLower(t.Issuer), "https:") }
