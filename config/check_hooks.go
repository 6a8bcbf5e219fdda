package config

import (
	"maps"
	"slices"
	"strings"
)

func (c *checker) hooks(hooks []Hook) {
	c.unique(len(hooks), func(i int) string { return at("hooks", i, "id") }, func(i int) string { return hooks[i].ID })
	for i, hook := range hooks {
		path := itemPath("hooks", i)
		c.inTheClear(path+".base_url", hook.BaseURL, hook.InsecureHTTP)
		c.hookAuth(path+".auth", hook.Auth)
		c.hookFailure(path, hook)
	}
}

// inTheClear refuses plain http that leaves the machine, unless the file says so.
func (c *checker) inTheClear(path, address string, allowed bool) {
	u, complaint := webURL(webhookOrigin(address))
	if address != "" && complaint == "" && !secured(u) && !allowed {
		c.bad(path, mustBeHTTPS+" unless insecure_http is true")
	}
}

func (c *checker) hookAuth(path string, auth HookAuth) {
	if !c.sound(path+".type", path+".username", path+".password") {
		return
	}
	for key, set := range map[string]bool{"username": auth.Username != "", "password": !auth.Password.IsZero()} {
		switch {
		case auth.Type == "basic" && !set:
			c.fault(path+"."+key, "is required with type: basic")
		case auth.Type != "basic" && set:
			c.fault(path+"."+key, "belongs to type: basic")
		}
	}
}

// hookFailure makes the file say what a failure policy needs: releasing claims
// without the hook, or for how long an old answer will do, is nothing to default.
func (c *checker) hookFailure(path string, hook Hook) {
	for j, claim := range hook.KeepClaims {
		c.notMinted(itemPath(path+".keep_claims", j), claim)
	}
	if !c.sound(path + ".on_failure") {
		return
	}
	for key, policy := range map[string]string{"keep_claims": "keep", "max_age": "last_good"} {
		given := c.given(path + "." + key)
		switch {
		case hook.OnFailure == policy && !given:
			c.fault(path+"."+key, "is required with on_failure: %s", policy)
		case hook.OnFailure != policy && given:
			c.fault(path+"."+key, "belongs to on_failure: %s", policy)
		}
	}
	if hook.OnFailure == "last_good" && hook.MaxAge == 0 {
		c.bad(path+".max_age", "must be at least 1s")
	}
}

func (c *checker) webhooks(cfg *Config) {
	hooks := cfg.SessionWebhooks
	c.unique(len(hooks), func(i int) string { return at("session_webhooks", i, "id") }, func(i int) string { return hooks[i].ID })
	tenants, upstreams := c.tenantNames(cfg), c.upstreamNames(cfg)
	clients := c.declared("client", "clients", "client_id", len(cfg.Clients), func(i int) (string, string) {
		return cfg.Clients[i].ClientID, cfg.Clients[i].Tenant
	})
	for i, hook := range hooks {
		path := itemPath("session_webhooks", i)
		c.inTheClear(path+".url", hook.URL, hook.InsecureHTTP)
		tenant := within(hook.Tenant, c.refers(path+".tenant", hook.Tenant, tenants, ""))
		for j, client := range hook.Clients {
			c.refers(itemPath(path+".clients", j), client, clients, tenant)
		}
		for j, upstream := range hook.Upstreams {
			c.refers(itemPath(path+".upstreams", j), upstream, upstreams, tenant)
		}
		c.headers(path+".headers", hook.Headers)
	}
}

// encodings are the ways to write what is not ASCII into a header.
func encodings() []string { return []string{"percent", "base64", "rfc8187"} }

func (c *checker) headers(path string, headers map[string]Header) {
	spelled := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		header, headerAt := headers[name], childPath(path, name)
		if strings.Trim(name, letters+digits+"!#$%&'*+-.^_`|~") != "" {
			c.fault(headerAt, "is no name of a header (RFC 9110 §5.1)")
		}
		if other, twice := spelled[strings.ToLower(name)]; twice {
			c.fault(headerAt, "is the header %s again", word(other))
		}
		spelled[strings.ToLower(name)] = name
		value := headerAt
		if c.given(headerAt + ".value") {
			value += ".value"
		}
		secret := c.given(headerAt + ".secret")
		switch plain := header.Value != "" || value != headerAt; {
		case c.holdsBroken(headerAt):
		case header.Encoding != "" && !slices.Contains(encodings(), header.Encoding):
			c.bad(headerAt+".encoding", "must be "+either(encodings())+meant(header.Encoding, encodings()))
		case secret && plain:
			c.fault(headerAt, "has either a value or a secret")
		case secret && header.Encoding != "":
			c.fault(headerAt+".encoding", "belongs to value: a secret is sent as it is")
		case c.marks[value].reference != "":
			c.fault(value, "is shown with every delivery: write {secret: %s}", quote(c.marks[value].reference))
		case !secret && !plain && c.marks[headerAt].shown == string(mapping):
			c.fault(headerAt, "needs a value or a secret")
		}
	}
}
