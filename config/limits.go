package config

import (
	"strconv"
	"strings"
	"time"
)

// Rate is how often something may be done: N times Per. The zero Rate is `off`.
type Rate struct {
	N   int
	Per time.Duration
}

// Limits protect against too much of one kind. They are generous: who meets one
// does something that neither users nor applications do.
type Limits struct {
	// `off` takes all limits away; `limits: off` says the same in short.
	All string `yaml:"all,scalar" default:"on" validate:"oneof=on off"`
	// Authorization requests, with the pages where users say where they have their account.
	Authorize AuthorizeLimits `yaml:"authorize"`
	// Answers of identity providers.
	Callback PageLimits `yaml:"callback"`
	// Pages that ask for consent, and their answers.
	Consent PageLimits `yaml:"consent"`
	// Requests to sign out, also by an identity provider's frame.
	EndSession PageLimits `yaml:"end_session"`
	// Calls of the token endpoint.
	Token ClientLimits `yaml:"token"`
	// Questions about tokens.
	Introspect ClientLimits `yaml:"introspect"`
	// Revocations.
	Revoke ClientLimits `yaml:"revoke"`
	// Wrong credentials of one client from one address. From there the client has to wait, also with the right ones; from elsewhere it does not.
	Failures Rate `yaml:"failures" default:"30/1m"`
	// Sign-ins of one person, also those without a page: an application that sends the browser round and round is stopped.
	SignIns Rate `yaml:"sign_ins" default:"120/1m"`
	// Refreshes of one grant.
	Refreshes Rate `yaml:"refreshes" default:"120/1m"`
}

// AuthorizeLimits are those of the authorization endpoint.
type AuthorizeLimits struct {
	// Requests from one address (IPv6: a /64). A whole office may have one.
	Address Rate `yaml:"address" default:"1200/1m"`
	// Requests of one client. Anybody can send them in its name, and so keep its users out: set it only where that is the lesser evil.
	Client Rate `yaml:"client" default:"off"`
}

// PageLimits are those of an endpoint for browsers.
type PageLimits struct {
	// Requests from one address (IPv6: a /64).
	Address Rate `yaml:"address" default:"1200/1m"`
}

// ClientLimits are those of an endpoint for clients.
type ClientLimits struct {
	// Requests from one address (IPv6: a /64).
	Address Rate `yaml:"address" default:"30000/1m"`
	// Requests of one client that has proven who it is; a public client cannot.
	Client Rate `yaml:"client" default:"60000/1m"`
}

const (
	mostUses       = 1_000_000_000
	shortestWindow = time.Second
	longestWindow  = 24 * time.Hour
)

// parseRate reads a rate such as 300/1m.
func parseRate(given string) (Rate, string) {
	if given == "off" {
		return Rate{}, ""
	}
	const want = "must be a number and a time, such as 300/1m, or off"
	count, length, found := strings.Cut(given, "/")
	n, err := strconv.ParseUint(count, 10, 31)
	per, ok := parseDuration(length)
	switch {
	case !found || err != nil || !ok:
		return Rate{}, want
	case n < 1 || n > mostUses:
		return Rate{}, "must allow something, at most " + strconv.Itoa(mostUses) + " times; to allow everything say off"
	case per < shortestWindow || per > longestWindow:
		return Rate{}, "must be for a time from 1s to 24h"
	}
	return Rate{N: int(n), Per: per}, ""
}
