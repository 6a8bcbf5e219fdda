package op

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/drawbridge-id/drawbridge/federation"
)

//go:embed pages
var pageFiles embed.FS

// pages are the provider's few pages: plain HTML that works without script.
type pages struct {
	all *template.Template
	// style is the source expression of the one style sheet.
	style string
}

type choice struct{ ID, Name, Link string }

type chooserPage struct {
	Client  string
	Choices []choice
}

type scopeLine struct{ Scope, Text string }

type consentPage struct {
	Client, Account, Host, Action, Transaction string
	Scopes                                     []scopeLine
}

type logoutPage struct{ Client, Account, Action, Proof string }

// signedOutPage has, beside what happened, the frames that tell relying parties
// of it, and where the browser goes on to, if anywhere.
type signedOutPage struct {
	Already bool
	Frames  []template.URL
	Next    template.URL
	Host    string
}

// errorPage has, beside what is wrong, at most one way on: back to the client,
// by a link or, with Fields, by a form, or to sign out.
type errorPage struct {
	Text, Code, Request string
	Client              string
	Back                template.URL
	Fields              []field
	SignOut             string
}

func newPages() (*pages, error) {
	style, err := pageFiles.ReadFile("pages/style.css")
	if err != nil {
		return nil, err
	}
	all, err := template.New("").Funcs(template.FuncMap{
		"style":  func() template.CSS { return template.CSS(style) },
		"submit": func() template.JS { return submitScript },
		"onward": func() template.JS { return onwardScript },
	}).ParseFS(pageFiles, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse pages: %w", err)
	}
	sum := sha256.Sum256(style)
	return &pages{all: all, style: "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"}, nil
}

// write shows a page. Forms may go to ourselves and, through our redirect, to
// target where one is given.
func (p *pages) write(w http.ResponseWriter, status int, name string, data any, target string) {
	var body bytes.Buffer
	if err := p.all.ExecuteTemplate(&body, name+".html", data); err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	noStore(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src "+p.style+
		"; form-action "+strings.TrimSpace("'self' "+target)+"; base-uri 'none'; frame-ancestors 'none'")
	w.Header().Set("X-Frame-Options", "DENY")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a browser that has gone needs no page
}

// formTarget is the source expression that lets a form end at a relying party
// after our redirect: browsers hold redirects to form-action too (Content
// Security Policy Level 3 §6.4.1).
func formTarget(to string) string {
	u, err := url.Parse(to)
	switch {
	case err != nil || u.Scheme == "" || strings.ContainsAny(u.Host, ";, '\""):
		return ""
	case (u.Scheme == "https" || u.Scheme == "http") && !strings.Contains(u.Host, "["):
		return u.Scheme + "://" + u.Host
	}
	return u.Scheme + ":" // a host source cannot be an IPv6 address
}

// link is a registered URI as the target of a link. Templates let http and
// https pass only; private-use schemes (RFC 8252 §7.1) have a dot, which keeps
// javascript and its kin out.
func link(to string) template.URL {
	scheme, _, _ := strings.Cut(to, ":")
	if scheme = strings.ToLower(scheme); scheme != "http" && scheme != "https" && !strings.Contains(scheme, ".") {
		return ""
	}
	return template.URL(to)
}

// host is where a registered URI leads, as it is shown to users; empty where
// that is an application on their device.
func host(to string) string {
	u, err := url.Parse(to)
	if err != nil {
		return ""
	}
	return u.Host
}

// base is the path that the tenant's endpoints begin with, without a slash.
func base(t federation.Tenant) string {
	u, err := url.Parse(t.Issuer)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.EscapedPath(), "/")
}
