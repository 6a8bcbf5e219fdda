package upstreamtest

import (
	"crypto/rand"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"time"
)

// Refresh is how the provider deals with refresh tokens. The zero value gives
// none.
type Refresh struct {
	// Give gives one at every sign-in; Rotate replaces it whenever it is used.
	Give, Rotate bool
	// Gone answers invalid_grant, as for a user who is no more.
	Gone bool
	// Error is the code of a refusal, Status its status.
	Error  string
	Status int
	// NoIDToken leaves it out; Claims are added to it.
	NoIDToken bool
	Claims    map[string]any
	// Lose rotates and then hangs up, so that nobody hears of the new one.
	Lose bool
}

// issue is a token answer.
func (p *Provider) issue(k Knobs, idToken string) map[string]any {
	out := map[string]any{"access_token": "at-" + rand.Text(), "token_type": "Bearer", "expires_in": 300, "id_token": idToken}
	if idToken == "" || k.NoIDToken {
		delete(out, "id_token")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.access["Bearer "+out["access_token"].(string)] = true
	if k.Refresh.Give {
		token := "rt-" + rand.Text()
		p.refreshes[token] = url.Values{}
		out["refresh_token"] = token
	}
	return out
}

func (p *Provider) refresh(w http.ResponseWriter, k Knobs, token string) {
	p.mu.Lock()
	_, known := p.refreshes[token]
	if known && (k.Refresh.Rotate || k.Refresh.Gone) {
		delete(p.refreshes, token)
	}
	p.mu.Unlock()
	switch {
	case k.Refresh.Error != "" || k.Refresh.Status != 0:
		answer(w, k.Refresh.Status, map[string]string{"error": k.Refresh.Error})
		return
	case !known || k.Refresh.Gone:
		answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	case k.Refresh.Lose:
		panic(http.ErrAbortHandler)
	}
	id := ""
	if !k.Refresh.NoIDToken {
		again := k
		for _, name := range []string{"nonce", "auth_time"} {
			if _, said := k.Refresh.Claims[name]; !said {
				again.Omit = append(again.Omit, name)
			}
		}
		again.Claims = maps.Clone(k.Claims)
		if again.Claims == nil {
			again.Claims = map[string]any{}
		}
		maps.Copy(again.Claims, k.Refresh.Claims)
		id = p.idToken(again, nil)
	}
	k.Refresh.Give = k.Refresh.Rotate
	p.answer(w, k, p.issue(k, id))
}

// Revoke makes every access token that was given out worthless.
func (p *Provider) Revoke() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.access)
}

// formPost is a page that posts the answer, for whoever has no script.
func formPost(w http.ResponseWriter, to string, fields url.Values) {
	page := template.Must(template.New("").Parse(`<!doctype html><form method="post" action="{{.To}}">` +
		`{{range $n, $v := .Fields}}<input type="hidden" name="{{$n}}" value="{{index $v 0}}">{{end}}<button id="continue">Continue</button></form>`))
	w.Header().Set("Content-Type", "text/html")
	_ = page.Execute(w, map[string]any{"To": to, "Fields": fields})
}

func wait(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-r.Context().Done():
	}
}
