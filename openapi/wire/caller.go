package wire

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unicode"
)

// EveryTenant in Caller.Tenants or Credential.Tenants stands for all tenants.
const EveryTenant = "*"

// agentLength is how many characters of an agent header are kept.
const agentLength = 256

// Caller is who makes a management call, as proven by Authenticate.
type Caller struct {
	// Name is the credential's user name, or what the bearer token names.
	Name string
	// Tenants are the slugs of the tenants that the caller may name, or
	// EveryTenant.
	Tenants []string
	// Scopes are the operations that the caller may use; see Allows.
	Scopes []string
	// AgentUser and AgentApp say on whose behalf the caller says it calls
	// (x-onegini-api-agent-user and -app). They are claims of the caller, at
	// most 256 characters without control characters, for the audit trail only.
	AgentUser, AgentApp string
	// Addr is the address the call came from; invalid when it is not known.
	Addr netip.Addr
	// RequestID names the request in answers and in the log.
	RequestID string
}

// Allows says whether the caller may use a scope on a tenant. Having `users`
// is having every `users:…`.
func (c Caller) Allows(scope, tenant string) bool {
	return c.mayName(tenant) && c.has(scope)
}

func (c Caller) mayName(tenant string) bool {
	return slices.Contains(c.Tenants, tenant) || slices.Contains(c.Tenants, EveryTenant)
}

func (c Caller) has(scope string) bool {
	family, _, _ := strings.Cut(scope, ":")
	return slices.Contains(c.Scopes, scope) || slices.Contains(c.Scopes, family)
}

// only is the one tenant that the caller may name, if it is one.
func (c Caller) only() (string, bool) {
	if len(c.Tenants) != 1 || c.Tenants[0] == EveryTenant {
		return "", false
	}
	return c.Tenants[0], true
}

type callerKey struct{}

// WithCaller is a context that knows who calls.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerFrom is who calls; not ok when nobody was authenticated.
func CallerFrom(ctx context.Context) (c Caller, ok bool) {
	c, ok = ctx.Value(callerKey{}).(Caller)
	return c, ok
}

// Require answers a 401 Problem when nobody was authenticated and a 403 one
// when the caller may not use the scope on the tenant.
func Require(r *http.Request, scope, tenant string) (Caller, error) {
	c, ok := CallerFrom(r.Context())
	if !ok {
		return Caller{}, Unauthenticated()
	}
	if !c.mayName(tenant) {
		return Caller{}, TenantRefused()
	}
	if !c.has(scope) {
		return Caller{}, Forbidden("The credential does not include this operation.")
	}
	return c, nil
}

// meet completes a caller with what the request says about itself.
func (c Caller) meet(r *http.Request) Caller {
	c.AgentUser = agent(r.Header.Get("x-onegini-api-agent-user"))
	c.AgentApp = agent(r.Header.Get("x-onegini-api-agent-app"))
	info := RequestInfoFrom(r.Context())
	c.Addr, c.RequestID = info.Addr, info.ID
	return c
}

func agent(value string) string {
	kept := make([]rune, 0, min(len(value), agentLength))
	for _, c := range strings.ToValidUTF8(value, "") {
		if len(kept) == agentLength {
			break
		}
		if !unicode.IsControl(c) {
			kept = append(kept, c)
		}
	}
	return strings.TrimSpace(string(kept))
}
