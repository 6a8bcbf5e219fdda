package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// checker holds a decoded configuration to its rules: those of single values,
// which are tags, and those between values.
type checker struct {
	*report
	marks map[string]mark
	rules map[string]rule
}

// check reports everything. A value that was already refused is not judged
// again, and neither is what depends on it.
func (c *checker) check(cfg *Config) {
	c.validate(cfg)
	c.listeners(cfg)
	c.credentials(cfg)
	c.store(cfg.Store)
	c.lifetimes(cfg)
	c.tenants(cfg)
	c.upstreams(cfg)
	c.clients(cfg)
	c.hooks(cfg.Hooks)
	c.webhooks(cfg)
	c.smtp(cfg.SMTP)
}

// given reports whether the file says anything at path.
func (c *checker) given(path string) bool {
	_, ok := c.marks[path]
	return ok
}

// fault reports what is wrong at path, once: the value then counts as broken.
func (c *checker) fault(path, format string, args ...any) {
	if !c.isBroken(path) {
		c.fail(c.placeOf(path), path, format, args...)
	}
}

// bad reports what the value at path must be, and what it is.
func (c *checker) bad(path, complaint string) {
	if complaint != "" {
		c.fault(path, "%s", worded(complaint, c.shown(path)))
	}
}

// literal reports that the file itself holds the value at path, so that
// messages elsewhere may repeat it.
func (c *checker) literal(path string) bool { return c.marks[path].reference == "" }

func (c *checker) shown(path string) string {
	if m, ok := c.marks[path]; ok && m.shown != "" {
		return m.shown
	}
	if m := c.marks[parentPath(path)]; m.short {
		return m.shown
	}
	return "the default"
}

// placeOf is where a value stands, and for one left out where it is missed.
func (c *checker) placeOf(path string) place {
	for {
		if m := c.marks[path]; m.line > 0 || path == "" {
			return m.place
		}
		path = parentPath(path)
	}
}

// sound reports that none of the values was refused, so that they can be compared.
func (c *checker) sound(paths ...string) bool {
	return !slices.ContainsFunc(paths, c.isBroken)
}

// unique reports names that were used before. It marks nothing as broken:
// what refers to the name finds it.
func (c *checker) unique(n int, path func(i int) string, name func(i int) string) {
	first := make(map[string]int, n)
	for i := range n {
		at := path(i)
		earlier, twice := first[name(i)]
		switch {
		case name(i) == "" || c.isBroken(at):
		case twice:
			c.add(c.placeOf(at), at, "%s is already used in line %d", c.shown(at), c.placeOf(path(earlier)).line)
		default:
			first[name(i)] = i
		}
	}
}

// names are the things of one kind that the file declares, to be referred to.
type names struct {
	what   string
	tenant map[string]string // by name; the tenant it belongs to
	order  []string          // those that a message may name
	whole  bool              // none of them is broken, so what is not found does not exist
}

// declared gathers the names of one list.
func (c *checker) declared(what, list, key string, n int, each func(i int) (name, tenant string)) names {
	out := names{what: what, tenant: make(map[string]string, n), whole: !c.isBroken(list)}
	for i := range n {
		name, tenant := each(i)
		out.whole = out.whole && c.sound(itemPath(list, i)+"."+key)
		if _, known := out.tenant[name]; known {
			continue
		}
		out.tenant[name] = tenant
		if c.literal(itemPath(list, i) + "." + key) {
			out.order = append(out.order, name)
		}
	}
	return out
}

// refers checks a reference. With a tenant it must stay within it.
func (c *checker) refers(path, name string, to names, tenant string) bool {
	owner, known := to.tenant[name]
	switch {
	case c.isBroken(path):
		return false
	case !known && to.whole:
		c.fault(path, "no %s of this file is %s%s", to.what, c.shown(path), meant(name, to.order))
	case known && tenant != "" && owner != tenant:
		c.fault(path, "the %s %s belongs to another tenant", to.what, c.shown(path))
	}
	return known
}

func (c *checker) listeners(cfg *Config) {
	if !c.sound("listen", "management.listen") {
		return
	}
	host, port, _ := splitAddress(cfg.Listen)
	otherHost, otherPort, _ := splitAddress(cfg.Management.Listen)
	every := func(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }
	if port == otherPort && port != "0" && (host == otherHost || every(host) || every(otherHost)) {
		c.fault("management.listen", "takes the port of listen")
	}
}

func (c *checker) credentials(cfg *Config) {
	tenants := c.tenantNames(cfg)
	list := cfg.Management.Credentials
	c.unique(len(list), func(i int) string { return itemPath("management.credentials", i) + ".username" },
		func(i int) string { return list[i].Username })
	for i, credential := range list {
		for j, tenant := range credential.Tenants {
			if tenant == "*" {
				continue // all of them, also those of a later file
			}
			c.refers(itemPath(itemPath("management.credentials", i)+".tenants", j), tenant, tenants, "")
		}
	}
}

func (c *checker) sealing(keys []SealingKey) {
	path := func(key string) func(int) string {
		return func(i int) string { return itemPath("store.sealing_keys", i) + "." + key }
	}
	c.unique(len(keys), path("id"), func(i int) string { return keys[i].ID })
	c.unique(len(keys), path("key"), func(i int) string { return string(keys[i].Bytes()) })
}

// lifetimes compares durations that bound each other.
func (c *checker) lifetimes(cfg *Config) {
	atMost := func(path string, value time.Duration, limitPath string, limit time.Duration) {
		if value > limit && c.sound(path, limitPath) {
			if c.given(path) {
				c.fault(path, "must not be longer than %s, which is %s", limitPath, c.length(limitPath, limit))
			} else {
				c.fault(limitPath, "must be at least %s, which is %s", path, c.length(path, value))
			}
		}
	}
	atMost("tokens.refresh_idle", cfg.Tokens.RefreshIdle, "tokens.refresh_max", cfg.Tokens.RefreshMax)
	atMost("session.idle_timeout", cfg.Session.IdleTimeout, "session.max_lifetime", cfg.Session.MaxLifetime)
	for path, lifetime := range map[string]time.Duration{
		"tokens.access_token": cfg.Tokens.AccessToken, "tokens.id_token": cfg.Tokens.IDToken,
	} {
		if lifetime%time.Second != 0 { // expires_in and exp count seconds
			c.bad(path, "must be whole seconds")
		}
	}
	if !c.given("keys.overlap") || !c.sound("keys.overlap") {
		return
	}
	longest, path := cfg.Tokens.IDToken, "tokens.id_token"
	if cfg.Tokens.AccessToken > longest {
		longest, path = cfg.Tokens.AccessToken, "tokens.access_token"
	}
	if cfg.Keys.Overlap < longest && c.sound(path) {
		c.fault("keys.overlap", "must be at least %s, which is %s", path, c.length(path, longest))
	}
	const mostKeys = 32
	if c.sound("keys.rotate_every") && cfg.Keys.Overlap/mostKeys > cfg.Keys.RotateEvery {
		c.fault("keys.overlap", "would publish more than %d keys at once: rotate less often, or overlap less", mostKeys)
	}
}

// length shows a duration: as the file says it, or its default.
func (c *checker) length(path string, value time.Duration) string {
	if c.given(path) {
		return c.shown(path)
	}
	return inDays(wholeHours(value)) + " by default"
}

// wholeHours writes a duration without the zeros that time.Duration prints.
func wholeHours(d time.Duration) string {
	out := d.String()
	if strings.HasSuffix(out, "m0s") {
		out = strings.TrimSuffix(out, "0s")
	}
	if strings.HasSuffix(out, "h0m") {
		out = strings.TrimSuffix(out, "0m")
	}
	return out
}

func (c *checker) smtp(smtp *SMTP) {
	if smtp == nil {
		return
	}
	switch {
	case smtp.Username != "" && !c.given("smtp.password"):
		c.fault("smtp.password", "is required with username")
	case c.given("smtp.password") && smtp.Username == "":
		c.fault("smtp.username", "is required with password")
	}
	host, _, _ := splitAddress(smtp.Address)
	if !smtp.Password.IsZero() && smtp.StartTLS == "none" && !isLoopback(host) && c.sound("smtp.address") {
		c.fault("smtp.starttls", "must not be none where a password is sent")
	}
}

// at joins the path of a list element with that of something in it.
func at(list string, i int, format string, args ...any) string {
	return itemPath(list, i) + "." + fmt.Sprintf(format, args...)
}
