package config

import "regexp"

// store holds the section to its engine.
func (c *checker) store(s Store) {
	c.sealing(s.SealingKeys)
	if !c.sound("store.engine") {
		return
	}
	if s.Engine == "bolt" {
		for _, key := range []string{"addresses", "master_name", "cluster", "username", "password", "sentinel_username", "sentinel_password",
			"tls", "db", "prefix", "replicas", "replica_timeout", "spool", "allow_volatile", "timeout"} {
			if path := "store." + key; c.given(path) {
				c.fault(path, "belongs to the engine redis; the engine here is bolt")
			}
		}
		return
	}
	c.redis(s)
}

func (c *checker) redis(s Store) {
	if c.given("store.path") {
		c.fault("store.path", "belongs to the engine bolt; the engine here is redis")
	}
	if len(s.Addresses) == 0 {
		c.fault("store.addresses", "is required with the engine redis")
	}
	many := s.MasterName == "" && (s.Cluster || len(s.Addresses) > 1)
	switch {
	case s.Cluster && s.MasterName != "":
		c.fault("store.cluster", "cannot be combined with master_name: sentinels or a cluster")
	case many && s.DB != 0:
		c.fault("store.db", "must be 0 with a cluster")
	}
	if s.MasterName == "" {
		for _, key := range []string{"sentinel_username", "sentinel_password"} {
			if path := "store." + key; c.given(path) {
				c.fault(path, "needs master_name: without it there are no sentinels")
			}
		}
	}
	if s.Username != "" && !c.given("store.password") {
		c.fault("store.password", "is required with username")
	}
	if s.Replicas > 0 && s.Spool == "" {
		c.fault("store.spool", "is required with replicas")
	}
	for _, key := range []string{"replica_timeout", "spool"} {
		if path := "store." + key; s.Replicas == 0 && c.given(path) {
			c.fault(path, "needs replicas")
		}
	}
	if t := s.TLS; t != nil && (t.CertFile == "") != (t.KeyFile == "") {
		missing := map[bool]string{true: "store.tls.cert_file", false: "store.tls.key_file"}[t.CertFile == ""]
		c.fault(missing, "is required: a certificate and its key go together")
	}
}

func storePrefixRule(given string) string {
	ok := regexp.MustCompile(`^[A-Za-z0-9._-]{1,32}$`).MatchString(given)
	return unless(ok, "must be 1 to 32 letters, digits, dots, dashes and underscores")
}
