package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// ErrRefused says that the guard refused to dial. Its text names no address:
// whoever chose the address must not learn what stands there.
var ErrRefused = errors.New("address is not allowed for this purpose")

// Guard judges addresses at dial time.
type Guard struct {
	// Allow are ranges that this purpose may reach although they are private.
	Allow []netip.Prefix
	// Own are our own listeners, never reached. An unspecified address stands
	// for every address of this host with that port.
	Own []netip.AddrPort
}

// Check says whether the guard lets a connection to the address happen.
func (g Guard) Check(to netip.AddrPort) error {
	addr := to.Addr().Unmap().WithZone("")
	if !addr.IsValid() || g.own(netip.AddrPortFrom(addr, to.Port())) {
		return ErrRefused
	}
	within := func(p netip.Prefix) bool { return p.Contains(addr) }
	if slices.ContainsFunc(g.Allow, within) {
		return nil
	}
	if slices.ContainsFunc(special(), within) {
		return ErrRefused
	}
	return nil
}

func (g Guard) own(to netip.AddrPort) bool {
	for _, o := range g.Own {
		if o.Port() != to.Port() {
			continue
		}
		if o.Addr().IsUnspecified() && (to.Addr().IsLoopback() || to.Addr().IsUnspecified() || local(to.Addr())) {
			return true
		}
		if o.Addr() == to.Addr() || o.Addr().IsLoopback() && to.Addr().IsUnspecified() {
			return true
		}
	}
	return false
}

// local says whether the address is one of this host's interfaces.
func local(addr netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return true // fail closed
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap() == addr {
			return true
		}
	}
	return false
}

// special are the ranges that are not for everybody (RFC 6890 and successors).
func special() []netip.Prefix {
	list := []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
		"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
		"3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	}
	all := make([]netip.Prefix, len(list))
	for i, s := range list {
		all[i] = netip.MustParsePrefix(s)
	}
	return all
}

// Dialer is a dialer that asks the guard, for HTTP and for everything else.
func (g Guard) Dialer() *net.Dialer {
	ranges := Guard{Allow: slices.Clone(g.Allow), Own: slices.Clone(g.Own)}
	return &net.Dialer{
		Timeout:   5 * time.Second,
		KeepAlive: 30 * time.Second,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("dial: %w", ErrRefused)
			}
			return ranges.Check(to)
		},
	}
}

// EgressOptions say what a client is for.
type EgressOptions struct {
	Guard Guard
	// Timeout bounds a whole call, the reading of the body included.
	Timeout time.Duration
	// PerHost bounds the connections to one host; 0 is the default of 64.
	PerHost int
	// TLS is a private CA or a client certificate, or nil.
	TLS *tls.Config
}

// NewClient makes a client for one purpose: guarded, without redirects, cookies
// or proxies, TLS 1.2 at least, with deadlines on every step.
func NewClient(o EgressOptions) *http.Client {
	if o.PerHost == 0 {
		o.PerHost = 64
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.TLS != nil {
		conf = o.TLS.Clone()
		conf.MinVersion = max(conf.MinVersion, tls.VersionTLS12)
	}
	return &http.Client{
		Timeout: o.Timeout,
		Transport: &http.Transport{
			DialContext:            o.Guard.Dialer().DialContext,
			TLSClientConfig:        conf,
			TLSHandshakeTimeout:    5 * time.Second,
			ResponseHeaderTimeout:  10 * time.Second,
			IdleConnTimeout:        90 * time.Second,
			MaxIdleConnsPerHost:    o.PerHost,
			MaxConnsPerHost:        o.PerHost,
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Private are all ranges that the guard refuses unless they are allowed, for
// addresses that an operator wrote and nobody else can.
func Private() []netip.Prefix { return special() }
