package wire

import (
	"net/http"
	"strings"

	"github.com/gorilla/mux"
)

// TenantHeader names a tenant by its UUID.
const TenantHeader = "X-IRM-TenantId"

// Tenancy knows the tenants there are.
type Tenancy struct {
	// Known says whether there is a tenant with this slug.
	Known func(slug string) bool
	// Slug finds the tenant with this UUID, in lower case.
	Slug func(uuid string) (slug string, ok bool)
}

// Resolve is the slug of the tenant that a request is about: the variable
// {tenant} of its path, or the header, or the only tenant of its credential.
// The caller may name the tenant that is answered. Every error is a Problem;
// whether a tenant exists that the caller may not name cannot be seen from it.
func (t Tenancy) Resolve(r *http.Request) (string, error) {
	c, ok := CallerFrom(r.Context())
	if !ok {
		return "", Unauthenticated()
	}
	header, named, err := t.header(r)
	if err != nil {
		return "", err
	}
	slug, inPath := mux.Vars(r)["tenant"]
	switch {
	case inPath && !t.open(c, slug):
		return "", TenantRefused()
	case inPath && named && header != slug:
		return "", Malformed("tenant_mismatch", "The path and the header name different tenants.").In(TenantHeader)
	case inPath:
		return slug, nil
	case named && !t.open(c, header):
		return "", TenantRefused()
	case named:
		return header, nil
	}
	only, single := c.only()
	if !single {
		return "", Malformed("tenant_required", "The credential is good for several tenants: name one.").In("tenant")
	}
	if !t.open(c, only) {
		return "", TenantRefused()
	}
	return only, nil
}

func (t Tenancy) open(c Caller, slug string) bool {
	return slug != "" && c.mayName(slug) && t.Known(slug)
}

// header is the tenant that the header names; empty where nobody has the UUID.
func (t Tenancy) header(r *http.Request) (slug string, named bool, err error) {
	values := r.Header.Values(TenantHeader)
	if len(values) == 0 {
		return "", false, nil
	}
	uuid := strings.ToLower(strings.TrimSpace(values[0]))
	if len(values) > 1 || !isUUID(uuid) {
		return "", true, Malformed("malformed_tenant", "One UUID is expected.").In(TenantHeader)
	}
	slug, _ = t.Slug(uuid)
	return slug, true, nil
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range s {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdef", c) {
			return false
		}
	}
	return true
}
