package demo

import (
	"log/slog"
	"net/http"
	"slices"
	"time"
)

// shopView is the first page.
type shopView struct {
	frame
	Signed *signedIn
	// Name is what the visitor is called.
	Name string
	// Ended is how the session ended, once the webhook has told.
	Ended *delivery
	// Rows are the claims that people have a say in, Minted the others.
	Rows, Minted []row
	// Refused is what Drawbridge's audit trail says of this sign-in.
	Refused []auditLine
	Views   []rawView
}

// rawView is one party's view as JSON.
type rawView struct{ ID, Title, Text, JSON string }

func (h *home) showShop(w http.ResponseWriter, r *http.Request) {
	f, id := h.frame(w, r, "shop", "Sign in through Drawbridge")
	v := shopView{frame: f, Signed: h.shop.visit(id).signed}
	if v.Signed != nil {
		h.describe(&v)
	}
	h.pages.render(w, http.StatusOK, "shop", v)
}

// describe fills in what the parts have seen of a sign-in.
func (h *home) describe(v *shopView) {
	s := v.Signed
	v.Title = "Signed in"
	if v.Name, _ = s.Userinfo["name"].(string); v.Name == "" {
		v.Name = s.Subject
	}
	if ended, ok := h.sink.endOf(s.Session); ok {
		v.Ended = &ended
	}
	asked, _ := h.hook.callAbout(s.Subject)
	said := h.said(asked)
	for _, r := range compare(sides{upstream: said, sent: asked.Sent, answered: asked.Answered, idToken: s.IDToken, userinfo: s.Userinfo}) {
		if r.Verdict == minted {
			v.Minted = append(v.Minted, r)
		} else {
			v.Rows = append(v.Rows, r)
		}
	}
	v.Refused = h.audit.refusedBetween(asked.At, s.At)
	v.Views = []rawView{
		{"raw-upstream", "Corp ID said", "ID token and userinfo of the identity provider, together.", pretty(said)},
		{"raw-sent", "The hook was sent", "The claims of Drawbridge's request.", pretty(asked.Sent)},
		{"raw-answered", "The hook answered", "The claims of its answer.", pretty(asked.Answered)},
		{"raw-id-token", "Shop got: ID token", "Verified by the shop; lean on purpose.", pretty(s.IDToken)},
		{"raw-userinfo", "Shop got: userinfo", "Everything that is released to it.", pretty(s.Userinfo)},
	}
}

// said is what the provider said of the user that a call of the hook was about.
func (h *home) said(asked exchange) map[string]any {
	login, _ := asked.Sent["preferred_username"].(string)
	return h.idp.lastSaid(login).all()
}

// showVisit tells a program what showShop shows people.
func (h *home) showVisit(w http.ResponseWriter, r *http.Request) {
	signed := h.shop.visit(h.shop.visitor(w, r)).signed
	if signed == nil {
		writeJSON(w, http.StatusOK, map[string]any{"signed_in": false})
		return
	}
	v := shopView{Signed: signed}
	h.describe(&v)
	asked, _ := h.hook.callAbout(signed.Subject)
	verdicts := map[string]verdict{}
	for _, r := range slices.Concat(v.Rows, v.Minted) {
		verdicts[r.Claim] = r.Verdict
	}
	refusedNames := []string{}
	for _, line := range v.Refused {
		refusedNames = append(refusedNames, line.Value("claim"))
	}
	answer := map[string]any{
		"signed_in": true, "subject": signed.Subject, "session": signed.Session, "refreshed": signed.Refreshed,
		"id_token": signed.IDToken, "userinfo": signed.Userinfo, "upstream": h.said(asked), "hook_sent": asked.Sent,
		"hook_answered": asked.Answered, "verdicts": verdicts, "refused": refusedNames,
	}
	if v.Ended != nil {
		answer["ended"] = v.Ended.Event
	}
	writeJSON(w, http.StatusOK, answer)
}

// usersView is the page of the Users contract.
type usersView struct {
	frame
	ID, Email, Customer string
	Operations          []operation
	Calls               []call
}

func (h *home) showUsers(w http.ResponseWriter, r *http.Request) {
	f, id := h.frame(w, r, "users", "Ask about a user")
	v := usersView{frame: f, Operations: operations(), Calls: h.platform.calls.newest()}
	if q := r.URL.Query(); q.Has("id") || q.Has("email") || q.Has("customer") {
		v.ID, v.Email, v.Customer = q.Get("id"), q.Get("email"), q.Get("customer")
	} else {
		v.ID, v.Email, v.Customer = h.known(id)
	}
	h.pages.render(w, http.StatusOK, "users", v)
}

// known is the visitor, or whoever signed in last.
func (h *home) known(id string) (user, email, customer string) {
	asked, ok := h.hook.calls.last(func(exchange) bool { return true })
	if signed := h.shop.visit(id).signed; signed != nil {
		asked, ok = h.hook.callAbout(signed.Subject)
	}
	if ok {
		email, _ = asked.Sent["email"].(string)
		customer, _ = asked.Sent["customer_id"].(string)
	}
	return asked.User, email, customer
}

// webhooksView is the page of the webhook receiver.
type webhooksView struct {
	frame
	Received []delivery
	// Waiting is the session that is left alone, until about Due; Ended is how it did.
	Waiting string
	Due     time.Time
	Ended   *delivery
}

func (h *home) showWebhooks(w http.ResponseWriter, r *http.Request) {
	f, id := h.frame(w, r, "webhooks", "Session webhooks")
	v := webhooksView{frame: f, Received: h.sink.received.newest()}
	if visit := h.shop.visit(id); visit.signed != nil && visit.idling {
		v.Waiting, v.Due = visit.signed.Session, visit.signed.At.Add(h.at.Idle)
		if ended, ok := h.sink.endOf(v.Waiting); ok {
			v.Ended = &ended
		}
	}
	h.pages.render(w, http.StatusOK, "webhooks", v)
}

func (h *home) showMail(w http.ResponseWriter, r *http.Request) {
	f, _ := h.frame(w, r, "mail", "Mail box")
	h.pages.render(w, http.StatusOK, "mail", struct {
		frame
		Received []letter
	}{f, h.mail.letters.newest()})
}

// auditView is the page of the audit trail.
type auditView struct {
	frame
	Lines []auditLine
}

func (h *home) showAudit(w http.ResponseWriter, r *http.Request) {
	f, _ := h.frame(w, r, "audit", "Audit trail")
	h.pages.render(w, http.StatusOK, "audit", auditView{f, h.audit.lines.newest()})
}

// Details are the attributes that say something.
func (l auditLine) Details() []slog.Attr {
	var all []slog.Attr
	for _, a := range l.Attributes {
		if a.Value.String() != "" {
			all = append(all, a)
		}
	}
	return all
}

func (h *home) showConfiguration(w http.ResponseWriter, r *http.Request) {
	f, _ := h.frame(w, r, "configuration", "Configuration")
	h.pages.render(w, http.StatusOK, "configuration", struct {
		frame
		Text string
	}{f, h.config})
}
