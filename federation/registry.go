package federation

import "fmt"

// Registry is one revision of who is configured: immutable, replaced whole
// when the configuration is read again.
type Registry struct {
	tenants   map[string]Tenant
	clients   map[name]Client
	upstreams map[name]Upstream
	order     map[string][]string
}

type name struct{ tenant, id string }

// NewRegistry gathers the parts. It refuses duplicates and parts of tenants
// that do not exist, which the configuration has been checked for already.
func NewRegistry(tenants []Tenant, upstreams []Upstream, clients []Client) (*Registry, error) {
	r := &Registry{
		tenants: make(map[string]Tenant), clients: make(map[name]Client),
		upstreams: make(map[name]Upstream), order: make(map[string][]string),
	}
	for _, t := range tenants {
		if _, twice := r.tenants[t.ID]; twice {
			return nil, fmt.Errorf("tenant %q is there twice", t.ID)
		}
		r.tenants[t.ID] = t
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
	}
	if len(r.upstreams) != len(upstreams) || len(r.clients) != len(clients) {
		return nil, fmt.Errorf("an upstream or a client is there twice")
	}
	return r, nil
}

func (r *Registry) admit(kind, tenant, id string) error {
	if _, ok := r.tenants[tenant]; !ok {
		return fmt.Errorf("%s %q belongs to tenant %q, which does not exist", kind, id, tenant)
	}
	return nil
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
