package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/notice"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// noticeReceiver takes what upstreams tell of logins that are over.
func (a *App) noticeReceiver(sealer *store.Sealer) (*notice.Receiver, error) {
	return notice.New(notice.Options{
		Engine: a.engine, Layout: a.engine.Layout(), Sealer: sealer, Registry: func() *federation.Registry { return a.live.Load().registry },
		Persons: a.persons, Sessions: a.sessions, Log: a.log, Now: time.Now,
		Observe: func(upstream string, by notice.Channel, r notice.Result) {
			a.metrics.Notice(upstream, string(by), string(r))
		},
	})
}

// heard reads the logout tokens of an upstream, or is nil where they are not
// wanted, or the protocol has none.
func heard(u config.Upstream, c connector) func(context.Context, string, time.Time) (federation.LogoutNotice, error) {
	if !u.BackchannelLogout || c.plain != nil {
		return nil
	}
	return c.oidc.ReadLogout
}

// printLogouts says where upstreams can tell that a session is over.
func printLogouts(w io.Writer, cfg config.Config, issuers map[string]string) {
	printed := false
	line := func(upstream, what, address string) {
		if !printed {
			fmt.Fprintln(w, "And these, for sign-outs that begin there:")
			printed = true
		}
		fmt.Fprintf(w, "  %s: %s (%s)\n", upstream, address, what)
	}
	for _, u := range cfg.Upstreams {
		if u.BackchannelLogout && u.Type == "oidc" {
			line(u.ID, "backchannel_logout_uri", at(issuers[u.Tenant], "backchannel_logout", u.ID))
		}
		if u.FrontchannelLogout && u.Type == "oidc" {
			line(u.ID, "frontchannel_logout_uri, session required", at(issuers[u.Tenant], "frontchannel_logout", u.ID))
		}
	}
}

// at is the address of an upstream's door below an issuer.
func at(issuer, door, upstream string) string {
	return strings.TrimSuffix(issuer, "/") + "/" + door + "/" + url.PathEscape(upstream)
}
