package config_test

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
)

func defaultLimits() config.Limits {
	minute := func(n int) config.Rate { return config.Rate{N: n, Per: time.Minute} }
	page, client := config.PageLimits{Address: minute(1200)}, config.ClientLimits{Address: minute(30_000), Client: minute(60_000)}
	return config.Limits{
		All: "on", Authorize: config.AuthorizeLimits{Address: minute(1200)}, Callback: page, Consent: page, EndSession: page,
		Token: client, Introspect: client, Revoke: client, Failures: minute(30), SignIns: minute(120), Refreshes: minute(120),
	}
}

// TestLimitsInShort: one word takes them all away, and a part of them leaves
// the others as they are.
func TestLimitsInShort(t *testing.T) {
	const issuer = "issuer: https://op.example.org\n"
	part := defaultLimits()
	part.Token.Address, part.Failures = config.Rate{}, config.Rate{N: 5, Per: 36 * time.Minute}
	none := defaultLimits()
	none.All = "off"
	for name, c := range map[string]struct {
		file string
		want config.Limits
	}{
		"nothing said": {"", defaultLimits()},
		"empty":        {"limits:\n", defaultLimits()},
		"on":           {"limits: on\n", defaultLimits()},
		"off":          {"limits: off\n", none},
		"off, in full": {"limits: {all: off}\n", none},
		"a part":       {"limits: {token: {address: off}, failures: 5/36m}\n", part},
	} {
		cfg, err := config.Load("limits.yaml", []byte(issuer+c.file), options())
		if err != nil || cfg.Limits != c.want {
			t.Errorf("%s: %v, %+v", name, err, cfg.Limits)
		}
	}
}
