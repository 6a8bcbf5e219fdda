package main

import (
	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation/limit"
)

// counters is how many counters of limits a node remembers: some 15 MB, where
// that many strangers come by.
const counters = 1 << 16

// limitsOf is what the provider's limits are, by the names of its routes.
func limitsOf(l config.Limits) limit.Policy {
	if l.All == "off" {
		return limit.Policy{}
	}
	p := limit.Policy{Failures: rateOf(l.Failures), SignIns: rateOf(l.SignIns), Refreshes: rateOf(l.Refreshes), Endpoints: map[string]limit.Endpoint{
		"authorize": {Address: rateOf(l.Authorize.Address), Client: rateOf(l.Authorize.Client)},
		"callback":  {Address: rateOf(l.Callback.Address)},
		"consent":   {Address: rateOf(l.Consent.Address)},
	}}
	for _, route := range []string{"choose", "identify"} {
		p.Endpoints[route] = limit.Endpoint{Address: rateOf(l.Authorize.Address)}
	}
	for _, route := range []string{"end_session", "end_session_confirm", "end_session_return", "frontchannel_logout"} {
		p.Endpoints[route] = limit.Endpoint{Address: rateOf(l.EndSession.Address)}
	}
	for route, c := range map[string]config.ClientLimits{"token": l.Token, "introspect": l.Introspect, "revoke": l.Revoke} {
		p.Endpoints[route] = limit.Endpoint{Address: rateOf(c.Address), Client: rateOf(c.Client)}
	}
	return p
}

func rateOf(r config.Rate) limit.Rate { return limit.Rate{N: r.N, Per: r.Per} }
