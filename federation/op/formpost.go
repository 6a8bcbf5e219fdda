package op

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
)

// formPostPage is a response that the browser posts to the relying party.
type formPostPage struct {
	Action template.URL
	Host   string
	Fields []field
}

// submitScript posts the form as soon as it is there. It is the one script of
// all pages, and the policy of its page lets no other run.
const submitScript = "document.forms[0].submit()"

// sourceHash is the source expression that lets an inline text count (Content
// Security Policy Level 3 §2.3.1).
func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// formPost shows the page that posts a response. A browser without script shows
// a button instead. The relying party may see which origin the form comes from
// (and would else be told "null"), but no more: the address had secrets.
func (p *pages) formPost(w http.ResponseWriter, a reply) {
	var body bytes.Buffer
	data := formPostPage{Action: link(a.to), Host: host(a.to), Fields: a.fields()}
	if err := p.all.ExecuteTemplate(&body, "form_post.html", data); err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	noStore(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src "+p.style+"; script-src "+sourceHash(submitScript)+
		"; form-action "+formTarget(a.to)+"; base-uri 'none'; frame-ancestors 'none'")
	w.Header().Set("X-Frame-Options", "DENY")
	w.Header().Set("Referrer-Policy", "strict-origin")
	_, _ = w.Write(body.Bytes()) // a browser that has gone needs no page
}
