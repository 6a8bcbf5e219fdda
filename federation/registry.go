package federation

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Registry is one revision of who is configured: immutable, replaced whole
// when the configuration is read again. Every look-up costs the same however
// many tenants, clients and upstreams there are.
type Registry struct {
	tenants   map[string]Tenant
	clients   map[name]Client
	upstreams map[name]Upstream
	order     map[string][]string
	// algs are what the tenants' clients want to be signed with.
	algs map[string][]SigningAlg
	// served says which tenant is served where, hosts which hosts that names.
	served map[address]string
	hosts  map[string]bool
	// home is the host of the default tenant; depth is how many segments the
	// longest path of an issuer has.
	home  string
	depth int
}

type name struct{ tenant, id string }

// address is where an issuer is served: a host in one spelling, and a path
// without a slash at its end.
type address struct{ host, path string }

// NewRegistry gathers the parts. It refuses duplicates, parts of tenants that
// do not exist, and issuers whose requests could not be told apart, all of
// which the configuration has been checked for already.
func NewRegistry(tenants []Tenant, upstreams []Upstream, clients []Client) (*Registry, error) {
	r := &Registry{
		tenants: make(map[string]Tenant), clients: make(map[name]Client),
		upstreams: make(map[name]Upstream), order: make(map[string][]string),
		served: make(map[address]string), hosts: make(map[string]bool), algs: make(map[string][]SigningAlg),
	}
	for _, t := range tenants {
		if err := r.settle(t); err != nil {
			return nil, err
		}
	}
	for _, u := range upstreams {
		if err := r.admit("upstream", u.Tenant, u.ID); err != nil {
			return nil, err
		}
		r.upstreams[name{u.Tenant, u.ID}] = u
		r.order[u.Tenant] = append(r.order[u.Tenant], u.ID)
	}
	for _, c := range clients {
		if err := r.admit("client", c.Tenant, c.ID); err != nil {
			return nil, err
		}
		r.clients[name{c.Tenant, c.ID}] = c
		for _, alg := range c.signedWith() {
			if !slices.Contains(r.algs[c.Tenant], alg) {
				r.algs[c.Tenant] = append(r.algs[c.Tenant], alg)
			}
		}
	}
	if len(r.upstreams) != len(upstreams) || len(r.clients) != len(clients) {
		return nil, fmt.Errorf("an upstream or a client is there twice")
	}
	return r, nil
}

// settle gives a tenant its address.
func (r *Registry) settle(t Tenant) error {
	if _, twice := r.tenants[t.ID]; twice {
		return fmt.Errorf("tenant %q is there twice", t.ID)
	}
	u, err := url.Parse(t.Issuer)
	if err != nil || u.Host == "" {
		return fmt.Errorf("tenant %q has the issuer %q, which is no absolute URL", t.ID, t.Issuer)
	}
	at := address{canonicalHost(u.Host), strings.TrimSuffix(u.EscapedPath(), "/")}
	if other, taken := r.served[at]; taken {
		return fmt.Errorf("tenants %q and %q are served at one address", other, t.ID)
	}
	r.tenants[t.ID], r.served[at], r.hosts[at.host] = t, t.ID, true
	r.depth = max(r.depth, strings.Count(at.path, "/"))
	if t.ID == DefaultTenant {
		r.home = at.host
	}
	return nil
}

func (r *Registry) admit(kind, tenant, id string) error {
	if _, ok := r.tenants[tenant]; !ok {
		return fmt.Errorf("%s %q belongs to tenant %q, which does not exist", kind, id, tenant)
	}
	return nil
}

// Serving finds the tenant that a request is for, by its host and its escaped
// path, and says what the path is below the tenant's issuer. The longest path
// of an issuer wins. A host that belongs to an issuer leads to the tenants of
// that host only. Any other one, such as the inner name of a node behind a
// proxy, is taken for the default tenant's.
func (r *Registry) Serving(host, path string) (t Tenant, rest string, ok bool) {
	if path != "" && path[0] != '/' {
		return t, "", false
	}
	if host = canonicalHost(host); !r.hosts[host] {
		host = r.home
	}
	for end := reach(path, r.depth); end >= 0; end = strings.LastIndexByte(path[:end], '/') {
		if id, found := r.served[address{host, path[:end]}]; found {
			return r.tenants[id], path[end:], true
		}
	}
	return t, "", false
}

// reach is where the first n segments of a path end.
func reach(path string, n int) int {
	end := 0
	for ; n > 0 && end < len(path); n-- {
		next := strings.IndexByte(path[end+1:], '/')
		if next < 0 {
			return len(path)
		}
		end += 1 + next
	}
	return end
}

// canonicalHost is one spelling for what a browser takes for one host. Both
// default ports go, since who stands behind a proxy cannot tell the scheme.
func canonicalHost(host string) string {
	name, port := strings.ToLower(host), ""
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, ']') {
		name, port = name[:i], name[i:]
	}
	if port == ":443" || port == ":80" {
		port = ""
	}
	return strings.TrimSuffix(name, ".") + port
}

// Tenant finds a tenant by its slug.
func (r *Registry) Tenant(id string) (Tenant, bool) { t, ok := r.tenants[id]; return t, ok }

// Tenants are all tenants, in no order.
func (r *Registry) Tenants() []Tenant {
	all := make([]Tenant, 0, len(r.tenants))
	for _, t := range r.tenants {
		all = append(all, t)
	}
	return all
}

// Client finds a client of a tenant.
func (r *Registry) Client(tenant, id string) (Client, bool) {
	c, ok := r.clients[name{tenant, id}]
	return c, ok
}

// SigningAlgs are those that the clients of a tenant want to be signed with.
func (r *Registry) SigningAlgs(tenant string) []SigningAlg { return r.algs[tenant] }

// Upstream finds an upstream of a tenant.
func (r *Registry) Upstream(tenant, id string) (Upstream, bool) {
	u, ok := r.upstreams[name{tenant, id}]
	return u, ok
}

// Upstreams are a tenant's, in the order of the configuration.
func (r *Registry) Upstreams(tenant string) []Upstream {
	ids := r.order[tenant]
	all := make([]Upstream, 0, len(ids))
	for _, id := range ids {
		all = append(all, r.upstreams[name{tenant, id}])
	}
	return all
}
