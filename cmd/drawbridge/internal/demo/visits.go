package demo

import (
	"crypto/rand"
	"net/http"
	"time"
)

// rawObject is a JSON object whose numbers stay as they are written.
type rawObject map[string]any

// UnmarshalJSON implements json.Unmarshaler.
func (o *rawObject) UnmarshalJSON(raw []byte) error {
	object, err := decodeObject(raw)
	*o = object
	return err
}

// visitor finds the id of a browser's visit, or begins one.
func (p *relyingParty) visitor(w http.ResponseWriter, r *http.Request) string {
	if c, err := r.Cookie(visitCookie); err == nil {
		p.mu.Lock()
		_, known := p.visits[c.Value]
		p.mu.Unlock()
		if known {
			return c.Value
		}
	}
	id := rand.Text()
	p.mu.Lock()
	keep(p.visits, id, &visit{began: p.o.Now()}, func(v *visit) time.Time { return v.began })
	p.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: visitCookie, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return id
}

// visit is a copy of a visit. What it points to is never written to again.
func (p *relyingParty) visit(id string) visit {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v, ok := p.visits[id]; ok {
		return *v
	}
	return visit{}
}

// change changes a visit.
func (p *relyingParty) change(id string, f func(*visit)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v, ok := p.visits[id]; ok {
		f(v)
	}
}

// say leaves a notice for the next page; notices are told once.
func (p *relyingParty) say(id string, n notice) { p.change(id, func(v *visit) { v.notice = n }) }

func (p *relyingParty) told(id string) (n notice) {
	p.change(id, func(v *visit) { n, v.notice = v.notice, notice{} })
	return n
}
