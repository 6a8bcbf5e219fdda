package config

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// resolve fills in what depends on other keys. The configuration is sound.
func resolve(cfg *Config, marks map[string]mark) {
	given := func(path string) bool {
		_, ok := marks[path]
		return ok
	}
	if !given("keys.overlap") {
		const week = 7 * 24 * time.Hour
		cfg.Keys.Overlap = max(week, cfg.Tokens.IDToken, cfg.Tokens.AccessToken)
	}
	if !given("shutdown_delay") && cfg.Store.Engine == "redis" {
		cfg.ShutdownDelay = 3 * time.Second // a balancer that asks every second and believes the second refusal
	}
	resolveTenants(cfg)
	for i := range cfg.Upstreams {
		upstream := &cfg.Upstreams[i]
		upstream.Name = cmp.Or(upstream.Name, upstream.ID)
		for j, domain := range upstream.Domains {
			upstream.Domains[j] = strings.ToLower(domain)
		}
	}
	for i := range cfg.Clients {
		client := &cfg.Clients[i]
		resolveClient(client, cfg.Upstreams)
		if !given(at("clients", i, "require_pkce")) {
			client.RequirePKCE = client.Public()
		}
	}
}

func resolveTenants(cfg *Config) {
	isDefault := func(t Tenant) bool { return t.ID == DefaultTenant }
	if !slices.ContainsFunc(cfg.Tenants, isDefault) {
		cfg.Tenants = slices.Insert(cfg.Tenants, 0, Tenant{ID: DefaultTenant})
	}
	for i := range cfg.Tenants {
		tenant := &cfg.Tenants[i]
		tenant.Name = cmp.Or(tenant.Name, tenant.ID)
		if tenant.ID == DefaultTenant {
			tenant.Issuer = cfg.Issuer
		} else {
			tenant.Issuer = tenantIssuer(cfg.Issuer, *tenant)
		}
	}
}

func resolveClient(client *Client, upstreams []Upstream) {
	client.ClientName = cmp.Or(client.ClientName, client.ClientID)
	if len(client.Scope) == 0 {
		client.Scope = SpaceSeparated{"openid", "profile", "email", "address", "phone"}
		if slices.Contains(client.GrantTypes, "refresh_token") {
			client.Scope = append(client.Scope, "offline_access")
		}
	}
	if len(client.ClientSecrets) == 0 && !client.ClientSecret.IsZero() {
		client.ClientSecrets = []Secret{client.ClientSecret}
	}
	if len(client.Upstreams) == 0 {
		for _, upstream := range upstreams {
			if upstream.Tenant == client.Tenant {
				client.Upstreams = append(client.Upstreams, upstream.ID)
			}
		}
	}
	for i := range client.Claims.Examples {
		if example := &client.Claims.Examples[i]; len(example.Scopes) == 0 {
			example.Scopes = slices.Clone(client.Scope)
		}
	}
}
