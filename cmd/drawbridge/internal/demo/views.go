package demo

import (
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// home is what the visitor of the demo sees: the relying party's pages, and
// beside them what the other parts have to show.
type home struct {
	at       places
	config   string
	pages    *pages
	idp      *provider
	shop     *relyingParty
	hook     *claimsHook
	sink     *sink
	mail     *mailbox
	platform *platform
	audit    *auditTap
}

// handler serves requests that are meant for the demo's own address: a page of
// another site can neither post to it nor reach it by another name.
func (h *home) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.showShop)
	mux.HandleFunc("GET /sign-in", h.signIn)
	mux.HandleFunc("GET /callback", h.callback)
	mux.HandleFunc("GET /signed-out", h.signedOut)
	mux.HandleFunc("POST /refresh", h.refresh)
	mux.HandleFunc("POST /sign-out", h.signOut)
	mux.HandleFunc("POST /idle", h.idle)
	mux.HandleFunc("POST /kill", h.kill)
	mux.HandleFunc("GET /visit.json", h.showVisit)
	mux.HandleFunc("GET /users", h.showUsers)
	mux.HandleFunc("POST /users", h.callUsers)
	mux.HandleFunc("GET /webhooks", h.showWebhooks)
	mux.HandleFunc("GET /mail", h.showMail)
	mux.HandleFunc("GET /audit", h.showAudit)
	mux.HandleFunc("GET /configuration", h.showConfiguration)
	mux.HandleFunc("GET /icon.svg", icon("icon.svg"))
	own := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if "http://"+r.Host != h.at.Shop {
			http.Error(w, "Open "+h.at.Shop+"/ instead: the demo goes by that name only.", http.StatusMisdirectedRequest)
			return
		}
		own.ServeHTTP(w, r)
	})
}

// frame is what every page has around it.
type frame struct {
	Title, Page string
	// Renew lets the page load itself again where there is no script.
	Renew               bool
	Notice              notice
	Deliveries, Letters int
	At                  places
	Idle                string
}

// live is the header by which the pages' own script asks. It does not count as
// the visitor's looking.
const live = "X-Live"

func (h *home) frame(w http.ResponseWriter, r *http.Request, page, title string) (frame, string) {
	id := h.shop.visitor(w, r)
	f := frame{
		Title: title, Page: page, At: h.at, Idle: seconds(h.at.Idle), Renew: page != "shop" && page != "users" && page != "configuration",
		Deliveries: len(h.sink.received.newest()), Letters: len(h.mail.letters.newest()),
	}
	if r.Header.Get(live) == "" {
		f.Notice = h.shop.told(id)
	}
	return f, id
}

func seconds(d time.Duration) string { return fmt.Sprintf("%d seconds", int(d.Seconds())) }

func (h *home) signIn(w http.ResponseWriter, r *http.Request) {
	id := h.shop.visitor(w, r)
	to, err := h.shop.begin(r.Context(), id, r.URL.Query().Has("another"))
	if err != nil {
		h.home(w, r, id, notice{Text: err.Error(), Bad: true})
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// home goes back to the first page and says something there.
func (h *home) home(w http.ResponseWriter, r *http.Request, id string, n notice) {
	h.shop.say(id, n)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (h *home) callback(w http.ResponseWriter, r *http.Request) {
	id := h.shop.visitor(w, r)
	if err := h.shop.finish(r.Context(), id, r.URL.Query()); err != nil {
		h.home(w, r, id, notice{Text: "You were not signed in: " + err.Error(), Bad: true})
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (h *home) refresh(w http.ResponseWriter, r *http.Request) {
	id := h.shop.visitor(w, r)
	if err := h.shop.refresh(r.Context(), id); err != nil {
		h.home(w, r, id, notice{Text: "No new tokens: " + err.Error(), Bad: true})
		return
	}
	h.home(w, r, id, notice{Text: "New tokens, and new claims: the hook was asked again."})
}

func (h *home) signOut(w http.ResponseWriter, r *http.Request) {
	id := h.shop.visitor(w, r)
	to, ok := h.shop.leave(id)
	if !ok {
		h.home(w, r, id, notice{Text: "Nobody is signed in.", Bad: true})
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (h *home) signedOut(w http.ResponseWriter, r *http.Request) {
	id := h.shop.visitor(w, r)
	if h.shop.left(id, r.URL.Query().Get("state")) {
		h.home(w, r, id, notice{Text: "You are signed out. If the session was still live, the webhook LOGOUT is on its way."})
		return
	}
	h.home(w, r, id, notice{Text: "That was not a sign-out of this browser.", Bad: true})
}

func (h *home) idle(w http.ResponseWriter, r *http.Request) {
	id := h.shop.visitor(w, r)
	h.shop.change(id, func(v *visit) { v.idling = true })
	http.Redirect(w, r, "/webhooks", http.StatusSeeOther)
}

func (h *home) kill(w http.ResponseWriter, r *http.Request) {
	id := h.shop.visitor(w, r)
	signed := h.shop.visit(id).signed
	if signed == nil {
		h.home(w, r, id, notice{Text: "Nobody is signed in.", Bad: true})
		return
	}
	var n notice
	switch c, err := h.platform.endSession(r.Context(), signed.Session); {
	case err != nil:
		n = notice{Text: "The session could not be ended: " + err.Error(), Bad: true}
	case !c.Good():
		n = notice{Text: "DELETE of the session was answered with " + c.StatusText() + ": it had ended before.", Bad: true}
	default:
		n = notice{Text: "DELETE of the session was answered with " + c.StatusText() + "; the webhook DESTROY is on its way."}
	}
	h.shop.say(id, n)
	http.Redirect(w, r, "/webhooks", http.StatusSeeOther)
}

func (h *home) callUsers(w http.ResponseWriter, r *http.Request) {
	id := h.shop.visitor(w, r)
	if err := parseForm(w, r); err != nil {
		http.Error(w, "the form could not be read", http.StatusBadRequest)
		return
	}
	o, ok := operationOf(r.PostForm.Get("op"))
	if !ok {
		http.Error(w, "there is no such operation", http.StatusBadRequest)
		return
	}
	if _, err := h.platform.do(r.Context(), o.ID, r.PostForm.Get(o.By)); err != nil {
		h.shop.say(id, notice{Text: "The call did not go through: " + err.Error(), Bad: true})
	}
	chosen := url.Values{}
	for _, name := range []string{"id", "email", "customer"} {
		chosen.Set(name, r.PostForm.Get(name))
	}
	http.Redirect(w, r, "/users?"+chosen.Encode()+"#calls", http.StatusSeeOther)
}
