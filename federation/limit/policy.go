package limit

import (
	"net/netip"
	"time"
)

// Rate is how often something may be done. The zero Rate is any number of times.
type Rate struct {
	N   int
	Per time.Duration
}

// Off says that there is no limit.
func (r Rate) Off() bool { return r.N <= 0 || r.Per <= 0 }

// Endpoint is what one endpoint bears.
type Endpoint struct {
	// Address is of one client address, Client of one client.
	Address, Client Rate
}

// Policy says what is limited. The zero Policy limits nothing.
type Policy struct {
	// Endpoints has them by name; those it does not have are not limited.
	Endpoints map[string]Endpoint
	// Failures are attempts to authenticate as one client that fail, from one
	// address.
	Failures Rate
	// SignIns are those of one person, Refreshes those of one refresh family.
	SignIns, Refreshes Rate
}

// Network is what one stranger holds: an address, or in IPv6 a /64. It is empty
// where the address is not known.
func Network(a netip.Addr) string {
	a = a.Unmap()
	if !a.IsValid() {
		return ""
	}
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
