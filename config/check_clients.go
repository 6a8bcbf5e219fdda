package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

func (c *checker) clients(cfg *Config) {
	tenants, upstreams := c.tenantNames(cfg), c.upstreamNames(cfg)
	hooks := c.declared("hook", "hooks", "id", len(cfg.Hooks), func(i int) (string, string) { return cfg.Hooks[i].ID, "" })
	c.unique(len(cfg.Clients), func(i int) string { return at("clients", i, "client_id") },
		func(i int) string { return cfg.Clients[i].ClientID })
	for i, client := range cfg.Clients {
		path := itemPath("clients", i)
		inTenant := c.refers(path+".tenant", client.Tenant, tenants, "")
		c.clientUpstreams(path, client, upstreams, inTenant)
		c.clientSecrets(path, client)
		c.clientURIs(path, client)
		c.clientLogout(path, client)
		c.clientSubject(path, client)
		c.clientTokens(path, client)
		c.clientGrants(path, client)
		c.clientKeys(path, client)
		c.clientClaims(path, client, hooks)
	}
}

func (c *checker) clientUpstreams(path string, client Client, upstreams names, inTenant bool) {
	for j, upstream := range client.Upstreams {
		c.refers(itemPath(path+".upstreams", j), upstream, upstreams, within(client.Tenant, inTenant))
	}
	switch {
	case c.given(path+".upstreams") && len(client.Upstreams) == 0:
		c.fault(path+".upstreams", "must not be empty")
	case client.Upstreams == nil && inTenant && upstreams.whole &&
		!slices.Contains(slices.Collect(maps.Values(upstreams.tenant)), client.Tenant):
		c.fault(path+".upstreams", "its tenant has no upstream: nobody could sign in")
	}
}

// within is the tenant that references must stay in, none where it is unknown.
func within(tenant string, known bool) string {
	if !known {
		return ""
	}
	return tenant
}

func (c *checker) clientSecrets(path string, client Client) {
	one, several := path+".client_secret", path+".client_secrets"
	if !c.sound(one, several, path+".token_endpoint_auth_method") {
		return
	}
	switch {
	case client.Public():
		for _, key := range []string{one, several} {
			if c.given(key) {
				c.fault(key, "must be left out: a client with token_endpoint_auth_method: none has no secret")
			}
		}
		if c.given(path+".require_pkce") && !client.RequirePKCE {
			c.fault(path+".require_pkce", "must be true for a public client (RFC 9700 §2.1.1)")
		}
	case c.given(one) && c.given(several):
		c.fault(several, "excludes client_secret: list all of them here")
	case c.given(several) && len(client.ClientSecrets) == 0:
		c.fault(several, "must not be empty")
	case !c.given(one) && !c.given(several):
		c.fault(one, "is required; a public client says token_endpoint_auth_method: none")
	}
	seen := make(map[string]bool)
	for j, secret := range client.ClientSecrets {
		if seen[secret.Reveal()] {
			c.fault(itemPath(several, j), "is listed twice")
		}
		seen[secret.Reveal()] = true
	}
}

func (c *checker) clientURIs(path string, client Client) {
	for key, uris := range map[string][]string{
		"redirect_uris": client.RedirectURIs, "post_logout_redirect_uris": client.PostLogoutRedirectURIs,
	} {
		for j, uri := range uris {
			c.bad(itemPath(path+"."+key, j), redirectRule(uri, client.Public()))
		}
	}
}

func (c *checker) clientGrants(path string, client Client) {
	if !slices.Contains(client.GrantTypes, "authorization_code") && len(client.GrantTypes) > 0 {
		c.fault(path+".grant_types", "must have authorization_code among them: every other grant begins with it")
	}
	for _, scope := range client.Scope {
		if c.rules["scope"](scope) != "" {
			c.bad(path+".scope", "must be scopes separated by spaces (RFC 6749 §3.3)")
		}
	}
	if c.given(path+".scope") && len(client.Scope) == 0 {
		c.fault(path+".scope", "must not be empty")
	}
	if age := client.DefaultMaxAge; age != nil && *age%time.Second != 0 {
		c.bad(path+".default_max_age", "must be whole seconds")
	}
}

func (c *checker) clientClaims(path string, client Client, hooks names) {
	scoped := c.given(path + ".scope")
	path += ".claims"
	if hook := client.Claims.Hook; hook != "" {
		c.refers(path+".hook", hook, hooks, "")
		if scoped && !slices.Contains(client.Scope, "openid") {
			c.fault(path+".hook", "needs the scope openid, which this client may not ask for")
		}
	}
	for j, rule := range client.Claims.Mapping {
		c.mapping(itemPath(path+".mapping", j), rule, client.Claims.Mapping[:j])
	}
	for j, claim := range client.Claims.IDToken {
		c.notMinted(itemPath(path+".id_token", j), claim)
	}
	for j, claim := range client.Claims.AccessToken {
		c.notMinted(itemPath(path+".access_token", j), claim)
	}
	for _, name := range slices.Sorted(maps.Keys(client.Claims.Context)) {
		if complaint := c.rules["param"](name); complaint != "" {
			c.fault(childPath(path+".context", name), "the name %s", complaint)
		}
	}
	for j, example := range client.Claims.Examples {
		if example.HookAnswer != nil && client.Claims.Hook == "" {
			c.fault(itemPath(path+".examples", j)+".hook_answer", "must be left out: this client has no hook")
		}
	}
}

// mapping checks one rule, also against those before it.
func (c *checker) mapping(path string, rule Mapping, earlier []Mapping) {
	if rule.Claim == "" {
		return
	}
	claimAt := path + ".claim"
	c.notMinted(claimAt, rule.Claim)
	switch own := misspelled(rule.Claim); {
	case own != "" && c.literal(claimAt):
		c.fault(claimAt, "is written %s", word(own))
	case own != "":
		c.fault(claimAt, "differs from a protected claim in letter case only")
	}
	same := func(other Mapping) bool { return strings.EqualFold(other.Claim, rule.Claim) }
	if k := slices.IndexFunc(earlier, same); k >= 0 {
		c.fault(claimAt, "%s has a rule already: mapping[%d]", c.shown(claimAt), k)
	}
	switch sourced := len(rule.From) > 0 || rule.Default != nil; {
	case rule.Remove && (sourced || rule.Type != ""):
		c.fault(path+".remove", "excludes from, default and type")
	case !rule.Remove && !sourced && c.sound(path+".from", path+".default"):
		c.fault(path+".from", "is required where there is no default")
	}
}

func (c *checker) notMinted(path, claim string) {
	if own := minted(claim); own != "" {
		spelling := ""
		if own != claim {
			spelling = fmt.Sprintf(", which readers take for %s,", own)
		}
		c.fault(path, "%s%s is set by Drawbridge alone", c.shown(path), spelling)
	}
}
