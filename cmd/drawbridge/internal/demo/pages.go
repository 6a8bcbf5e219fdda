package demo

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"
)

//go:embed pages
var pageFiles embed.FS

// pages are the demo's pages: plain HTML, one style, one script that renews
// what is live. Nothing is fetched from anywhere else.
type pages struct {
	all    map[string]*template.Template
	policy string
}

// newPages prepares the pages. Forms may end at the origins, where redirects
// that follow a form lead to.
func newPages(origins ...string) (*pages, error) {
	style, err := pageFiles.ReadFile("pages/style.css")
	if err != nil {
		return nil, fmt.Errorf("read style: %w", err)
	}
	script, err := pageFiles.ReadFile("pages/live.js")
	if err != nil {
		return nil, fmt.Errorf("read script: %w", err)
	}
	functions := template.FuncMap{
		"style":  func() template.CSS { return template.CSS(style) },
		"script": func() template.JS { return template.JS(script) },
		"clock":  func(t time.Time) string { return t.Local().Format("15:04:05") },
	}
	p := &pages{all: map[string]*template.Template{}}
	for layout, names := range map[string][]string{
		"layout.html":  {"shop", "users", "webhooks", "mail", "audit", "configuration"},
		"foreign.html": {"login", "notice"},
	} {
		for _, name := range names {
			t, err := template.New(layout).Funcs(functions).ParseFS(pageFiles, "pages/"+layout, "pages/"+name+".html")
			if err != nil {
				return nil, fmt.Errorf("parse page %s: %w", name, err)
			}
			p.all[name] = t
		}
	}
	p.policy = "default-src 'none'; style-src " + hashOf(style) + "; script-src " + hashOf(script) +
		"; connect-src 'self'; img-src 'self'; form-action 'self' " + strings.Join(origins, " ") + "; base-uri 'none'; frame-ancestors 'none'"
	return p, nil
}

func hashOf(source []byte) string {
	sum := sha256.Sum256(source)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// render shows a page.
func (p *pages) render(w http.ResponseWriter, status int, name string, view any) {
	var body bytes.Buffer
	if err := p.all[name].Execute(&body, view); err != nil {
		http.Error(w, "the page could not be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", p.policy)
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a browser that has gone needs no page
}

// icon serves a picture for the browser's tab.
func icon(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		picture, err := pageFiles.ReadFile("pages/" + name)
		if err != nil {
			http.Error(w, "there is no icon", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "image/svg+xml")
		w.Header().Set("Cache-Control", "max-age=3600")
		_, _ = w.Write(picture) // a browser that has gone needs no icon
	}
}

// loginView is the provider's login page.
type loginView struct {
	Transaction string
	Accounts    []account
	Hint        string
}

// noticeView is a page that only says something.
type noticeView struct {
	Title, Text string
	Foreign     bool
}
