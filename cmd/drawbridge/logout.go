package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/edge"
	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/token"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// partyClient makes the guarded client for calls to relying parties: to tell them of
// ended sessions, and to read their keys.
func (b *builder) partyClient(cfg config.Config, timeout time.Duration) *http.Client {
	return b.client(cfg.Egress.RelyingParties, timeout)
}

// logoutOf is how a configured client hears of sessions that have ended.
func logoutOf(c config.Client) federation.ClientLogout {
	out := federation.ClientLogout{BackchannelURI: c.BackchannelLogoutURI, FrontchannelURI: c.FrontchannelLogoutURI}
	for _, cause := range c.LogoutOn {
		out.On = append(out.On, federation.Cause(cause))
	}
	for _, cause := range c.OfflineAccessEndsOn {
		out.OfflineEndsOn = append(out.OfflineEndsOn, federation.Cause(cause))
	}
	return out
}

// endsOffline says whether a session's end also ends what one of its clients was
// given offline, so that it has to be remembered.
func (a *App) endsOffline(c federation.Change) bool {
	registry := a.live.Load().registry
	return slices.ContainsFunc(c.Session.Clients, func(v federation.Visit) bool {
		client, known := registry.Client(c.Tenant.ID, v.Client)
		return known && slices.Contains(client.Logout.OfflineEndsOn, c.Cause)
	})
}

// farewells is one delivery for each relying party of a session that has ended,
// where the party takes logout tokens and wants to hear of ends like this one. A
// client that is no longer configured has nobody left to tell.
func (a *announcer) farewells(c federation.Change, event string) ([]store.Op, error) {
	var ops []store.Op
	registry := a.live().registry
	for _, v := range c.Session.Clients {
		client, ok := registry.Client(c.Tenant.ID, v.Client)
		if !ok || v.Pending || client.Logout.BackchannelURI == "" || !client.Logout.Hears(c.Cause) {
			continue
		}
		f := token.Farewell{Session: c.Session.ID, Subject: v.Subject}
		if f.Subject == "" {
			f.Subject = c.Session.Person // a visit of before subjects were noted
		}
		body, err := json.Marshal(f)
		if err != nil {
			return nil, fmt.Errorf("encode farewell: %w", err)
		}
		ops = append(ops, a.queue.Enqueue(c.Place(), delivery.Job{
			Sender: delivery.LogoutTokens, Target: v.Client, Event: event, Aggregate: c.Session.Person, Kind: string(c.Cause),
			About: c.Session.ID, Body: body, Occurred: c.At, Created: c.Detected, Next: c.Detected,
		})...)
	}
	return ops, nil
}

// logoutTokens is the Sender that tells relying parties of ended sessions.
func (a *App) logoutTokens(cfg config.Config) delivery.Sender {
	return delivery.NewPostSender(delivery.PostOptions{
		Client: a.build.partyClient(cfg, 15*time.Second), Now: time.Now, Request: a.logoutRequest,
		Refused: func(err error) bool { return errors.Is(err, edge.ErrRefused) },
	})
}

// logoutRequest makes one attempt's request, with a token of its own (OpenID
// Connect Back-Channel Logout 1.0 §2.5). Who is told is read from the newest
// configuration: an address that was mended is used, a client that is gone or
// takes no tokens any more is told nothing.
func (a *App) logoutRequest(ctx context.Context, at store.Place, j delivery.Job) (*http.Request, delivery.Outcome) {
	var f token.Farewell
	if err := json.Unmarshal(j.Body, &f); err != nil {
		return nil, delivery.Outcome{Verdict: delivery.Reject, Reason: "decode", Cause: err}
	}
	registry := a.live.Load().registry
	t, known := registry.Tenant(at.Tenant)
	client, there := registry.Client(at.Tenant, j.Target)
	switch {
	case !known || !there:
		return nil, delivery.Outcome{Verdict: delivery.Reject, Reason: "client_removed"}
	case client.Logout.BackchannelURI == "":
		return nil, delivery.Outcome{Verdict: delivery.Reject, Reason: "address_removed"}
	}
	text, err := a.keys.LogoutToken(ctx, t, client, f)
	if err != nil {
		return nil, delivery.Outcome{Verdict: delivery.Retry, Reason: "keys", Cause: err}
	}
	form := url.Values{"logout_token": {text}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, client.Logout.BackchannelURI, strings.NewReader(form))
	if err != nil {
		return nil, delivery.Outcome{Verdict: delivery.Reject, Reason: "address_invalid"}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "Drawbridge-Logout")
	return req, delivery.Outcome{}
}

// followed is the way to an upstream's own end of session, nil where it is to be
// left alone, or where the protocol has none.
func followed(u config.Upstream, c connector) func(ctx context.Context, hint, back, state string) (string, error) {
	if u.EndSession == "leave" || c.plain != nil {
		return nil
	}
	return c.oidc.EndSessionURL
}

// printReturns says where upstreams send the browser back to after a sign-out.
func printReturns(w io.Writer, cfg config.Config, issuers map[string]string) {
	told := false
	for _, u := range cfg.Upstreams {
		if u.EndSession == "leave" || u.Type == "oauth2" {
			continue
		}
		if !told {
			fmt.Fprintln(w, "And these as post-logout redirect URIs, where they have an end_session_endpoint:")
			told = true
		}
		fmt.Fprintf(w, "  %s: %s/end_session/return\n", u.ID, strings.TrimSuffix(issuers[u.Tenant], "/"))
	}
}
