package config

import (
	"net/url"
	"slices"
	"strings"
)

// DefaultTenant is the id of the tenant that always exists.
const DefaultTenant = "default"

func (c *checker) tenantNames(cfg *Config) names {
	out := c.declared("tenant", "tenants", "id", len(cfg.Tenants), func(i int) (string, string) { return cfg.Tenants[i].ID, "" })
	if _, declared := out.tenant[DefaultTenant]; !declared {
		out.order = append(out.order, DefaultTenant)
		out.tenant[DefaultTenant] = ""
	}
	return out
}

func (c *checker) tenants(cfg *Config) {
	path := func(key string) func(int) string { return func(i int) string { return at("tenants", i, "%s", key) } }
	c.unique(len(cfg.Tenants), path("id"), func(i int) string { return cfg.Tenants[i].ID })
	c.unique(len(cfg.Tenants), path("uuid"), func(i int) string { return cfg.Tenants[i].UUID })
	const top = -1
	taken := map[string]int{sameIssuer(cfg.Issuer): top}
	for i, tenant := range cfg.Tenants {
		for j, acr := range tenant.ACRLevels {
			c.bad(at("tenants", i, "acr_levels[%d]", j), acrWord(acr))
		}
		if tenant.Linking != "never" && tenant.Spread == "person" && c.sound(at("tenants", i, "linking"), at("tenants", i, "spread")) {
			c.fault(at("tenants", i, "linking"), "must be never where the tenant is spread: a login lives in one partition with its user")
		}
		issuerAt := at("tenants", i, "issuer")
		if tenant.ID == DefaultTenant {
			if tenant.Issuer != "" {
				c.fault(issuerAt, "must be left out: the tenant default has the top-level issuer")
			}
			continue
		}
		if tenant.ID == "" || !c.sound("issuer", issuerAt, at("tenants", i, "id")) {
			continue
		}
		issuer := sameIssuer(tenantIssuer(cfg.Issuer, tenant))
		switch owner, used := taken[issuer]; {
		case !used:
			taken[issuer] = i
		case owner == top:
			c.fault(issuerAt, "is the issuer of the tenant default already")
		case cfg.Tenants[owner].ID != tenant.ID: // one id given twice is reported as that
			c.fault(issuerAt, "is the issuer of tenants[%d] already", owner)
		}
	}
}

// tenantIssuer is the issuer of a tenant that is not the default one.
func tenantIssuer(top string, tenant Tenant) string {
	if tenant.Issuer != "" {
		return tenant.Issuer
	}
	return strings.TrimSuffix(top, "/") + "/t/" + tenant.ID
}

// sameIssuer returns one spelling for issuers whose requests cannot be told apart.
func sameIssuer(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return issuer
	}
	return strings.ToLower(u.Scheme+"://"+u.Host) + strings.TrimSuffix(u.EscapedPath(), "/")
}

func (c *checker) upstreamNames(cfg *Config) names {
	return c.declared("upstream", "upstreams", "id", len(cfg.Upstreams), func(i int) (string, string) {
		return cfg.Upstreams[i].ID, cfg.Upstreams[i].Tenant
	})
}

func (c *checker) upstreams(cfg *Config) {
	tenants := c.tenantNames(cfg)
	c.unique(len(cfg.Upstreams), func(i int) string { return at("upstreams", i, "id") },
		func(i int) string { return cfg.Upstreams[i].ID })
	perTenant := make(map[string]int)
	for _, upstream := range cfg.Upstreams {
		perTenant[upstream.Tenant]++
	}
	type domain struct{ tenant, name string }
	owner := make(map[domain]int)
	for i, upstream := range cfg.Upstreams {
		c.refers(at("upstreams", i, "tenant"), upstream.Tenant, tenants, "")
		c.upstream(i, upstream)
		if issuerAt := at("upstreams", i, "issuer"); sameIssuer(upstream.Issuer) == sameIssuer(cfg.Issuer) && c.sound("issuer") {
			c.fault(issuerAt, "is our own issuer: Drawbridge cannot be its own upstream")
		}
		if upstream.Subject == "upstream" && perTenant[upstream.Tenant] > 1 {
			c.fault(at("upstreams", i, "subject"), "must be own where a tenant has several upstreams: two of them may mean different users by one subject")
		}
		if upstream.Subject == "upstream" && linking(cfg, upstream.Tenant) {
			c.fault(at("upstreams", i, "subject"), "must be own where the tenant links logins: a user has several subjects then")
		}
		for j, name := range upstream.Domains {
			key := domain{upstream.Tenant, strings.ToLower(name)}
			if other, taken := owner[key]; taken {
				c.fault(at("upstreams", i, "domains[%d]", j), "belongs to upstreams[%d] already", other)
				continue
			}
			owner[key] = i
		}
	}
}

// linking says whether users of a tenant may have several logins.
func linking(cfg *Config, tenant string) bool {
	return slices.ContainsFunc(cfg.Tenants, func(t Tenant) bool { return t.ID == tenant && (t.Linking == "ask" || t.Linking == "email") })
}
