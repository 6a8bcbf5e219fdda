package edge

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ClientAddr is the address of the client. X-Forwarded-For is read from its
// right end for as long as the hop that wrote an entry is a trusted proxy, so
// what a client writes itself is never believed.
func ClientAddr(r *http.Request, proxies []netip.Prefix) netip.Addr {
	addr := peer(r)
	if !trusted(addr, proxies) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		hop, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			return addr
		}
		addr = hop.Unmap().WithZone("")
		if !trusted(addr, proxies) {
			return addr
		}
	}
	return addr
}

func peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

func trusted(addr netip.Addr, proxies []netip.Prefix) bool {
	for _, p := range proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
