package bridge

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

//go:embed pages/page.html
var pageHTML string

//go:embed pages/page.css
var pageCSS string

// Pages serves the page that a verification mail leads to, for browsers, on
// the public listener at PagePath below every tenant's URL. GET shows a button
// and changes nothing; POST spends the link. No page needs a script, is kept,
// or tells where it was.
type Pages struct {
	service *Service
	page    *template.Template
	policy  string
}

// NewPages makes the pages of a service's links.
func NewPages(s *Service) (*Pages, error) {
	if s == nil {
		return nil, errors.New("bridge: pages need a service")
	}
	t, err := template.New("page").Funcs(template.FuncMap{"whole": whole}).Parse(pageHTML)
	if err != nil {
		return nil, fmt.Errorf("parse page: %w", err)
	}
	sum := sha256.Sum256([]byte(pageCSS))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	return &Pages{service: s, page: t, policy: policy}, nil
}

// whole is a text whose word e-mail is never broken at its hyphen, as browsers
// break it where a line is narrow.
func whole(text string) template.HTML {
	return template.HTML(strings.ReplaceAll(html.EscapeString(text), "e-mail", `<span class="whole">e-mail</span>`))
}

// view is what the page shows: the form where Token is set, a text otherwise.
type view struct {
	State, Title, Text, Note string
	Token, Email, Action     string
	Style                    template.CSS
}

// maxForm is how many bytes the posted form may have.
const maxForm = 4 << 10

// ServeHTTP implements http.Handler.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		p.show(w, r)
	case http.MethodPost:
		p.confirm(w, r)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		p.write(w, http.StatusMethodNotAllowed, view{
			State: "method", Title: "This does not work here", Text: "The page takes no such request.", Note: "Open the link in your mail instead.",
		})
	}
}

func (p *Pages) show(w http.ResponseWriter, r *http.Request) {
	text := r.URL.Query().Get("token")
	row, err := p.service.readLink(r.Context(), text)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	// Relative, so that the form finds its way wherever the page is mounted,
	// and leaves the token out of the address.
	p.write(w, http.StatusOK, view{
		State: "ask", Title: "Confirm your e-mail address", Token: text, Email: row.Value.Email, Action: PagePath[1:],
	})
}

func (p *Pages) confirm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		p.fail(w, r, Fail(KindGone).Because(err))
		return
	}
	if err := p.service.confirm(r.Context(), r.PostForm.Get("token")); err != nil {
		p.fail(w, r, err)
		return
	}
	p.write(w, http.StatusOK, view{
		State: "done", Title: "Thank you", Text: "Your e-mail address is confirmed.", Note: "You can close this page.",
	})
}

// fail says what to do next. Used, replaced, expired and invented links look
// the same.
func (p *Pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	wire.RequestInfoFrom(r.Context()).Note(slog.String("error", err.Error()))
	const again = "Ask for a new mail where you asked for this one."
	switch KindOf(err) {
	case KindGone, KindNotFound:
		p.write(w, http.StatusGone, view{
			State: "gone", Title: "This link no longer works", Note: again,
			Text: "It was used already, a newer mail replaced it, or it has expired.",
		})
	case KindEmailChanged, KindNoEmail:
		p.write(w, http.StatusConflict, view{
			State: "changed", Title: "Your e-mail address has changed", Note: again,
			Text: "This link was for an address that is no longer yours here.",
		})
	case KindConcurrent:
		w.Header().Set("Retry-After", "1")
		p.write(w, http.StatusConflict, view{
			State: "busy", Title: "One moment", Text: "Something else is happening with your account right now.", Note: "Go back and try again.",
		})
	default:
		w.Header().Set("Retry-After", "5")
		p.write(w, http.StatusServiceUnavailable, view{
			State: "failed", Title: "That did not work", Text: "We could not confirm your address right now.",
			Note: "Open the link again in a few minutes. If it no longer works then, ask for a new mail.",
		})
	}
}

func (p *Pages) write(w http.ResponseWriter, status int, v view) {
	v.Style = template.CSS(pageCSS)
	var body bytes.Buffer
	if err := p.page.Execute(&body, v); err != nil {
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", p.policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the browser has gone: there is nobody left to tell
}
