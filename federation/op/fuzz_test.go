package op_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// FuzzAuthorize: whatever is asked, nothing panics, nothing is stored, and
// nobody is sent to an address that is neither registered nor an upstream's.
func FuzzAuthorize(f *testing.F) {
	h := open(f, two)
	shop := h.party("default", "shop")
	for _, client := range []string{"shop", "spa", "wide", "ask", "aged", "app"} {
		p := h.party("default", client)
		f.Add("GET", p.request().Encode(), "")
		f.Add("POST", "", p.request("prompt", "none").Encode())
	}
	for _, more := range []string{
		"&redirect_uri=https://evil.example", "&state=%00", "&max_age=-1", "&prompt=none+login", "&hook_context_custom_param.x=1",
		"&code_challenge=x&code_challenge_method=S256", "&id_token_hint=a.b.c", "&login_hint=a@partner.example", ";", "&%zz", "&response_mode=fragment",
	} {
		f.Add("GET", shop.request().Encode()+more, "")
	}
	var allowed []string
	for _, id := range []string{"shop", "post", "spa", "app", "ask", "wide", "partners", "aged", "hooked", "once"} {
		c, _ := h.registry.Load().Client("default", id)
		allowed = append(allowed, c.RedirectURIs...)
	}
	commits := h.engine.count()
	f.Fuzz(func(t *testing.T, method, query, body string) {
		if method != http.MethodPost {
			method = http.MethodGet
		}
		r := httptest.NewRequest(method, "/authorize", strings.NewReader(body))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Host = h.addr()
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, r)
		if n := h.engine.count(); n != commits {
			t.Fatalf("%d commits", n-commits)
		}
		switch to := w.Header().Get("Location"); {
		case to == "" && (w.Code == 200 || w.Code == 400):
		case w.Code != http.StatusSeeOther:
			t.Fatalf("%d %s", w.Code, w.Body)
		case strings.HasPrefix(to, h.corp.URL+"/authorize?"), strings.HasPrefix(to, h.partner.URL+"/authorize?"):
		case strings.HasPrefix(to, "/authorize/continue?request="):
		default:
			if !slices.ContainsFunc(allowed, func(uri string) bool {
				return strings.HasPrefix(to, uri+"?error=") || strings.HasPrefix(to, uri+"&error=")
			}) {
				t.Fatalf("sent to %q", to)
			}
			if _, err := url.Parse(to); err != nil {
				t.Fatalf("sent to what is no address: %v", err)
			}
		}
	})
}

// FuzzToken: whatever is posted, nothing panics, nothing is stored, and the
// answer is an error of RFC 6749 §5.2.
func FuzzToken(f *testing.F) {
	h := open(f)
	shop := h.party("default", "shop")
	b := h.browser()
	got, code := shop.signIn(b), shop.code(b.get(shop.ask()))
	_, basic := shop.authenticated(nil)
	for _, body := range []string{
		"", "grant_type=authorization_code", "grant_type=refresh_token&refresh_token=" + later(got.Refresh), "grant_type=%00",
		"grant_type=authorization_code&code=" + code[:len(code)-1] + "&redirect_uri=x", "client_id=spa&grant_type=authorization_code&code=x",
		"client_id=shop&client_secret=x", "grant_type=authorization_code&code=" + got.Access, "a=%zz", "a;b",
	} {
		f.Add(body, basic, form)
		f.Add(body, "", form)
		f.Add(body, "Basic Og==", "text/plain")
	}
	commits := h.engine.count()
	f.Fuzz(func(t *testing.T, body, auth, kind string) {
		r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(body))
		r.Header["Authorization"], r.Header["Content-Type"], r.Host = []string{auth}, []string{kind}, h.addr()
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, r)
		var answer struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
			Access      string `json:"access_token"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Error == "" || answer.Access != "" {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if w.Code != 400 && w.Code != 401 || strings.ContainsAny(answer.Description, "\r\n\t\"\\") {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if n := h.engine.count(); n != commits {
			t.Fatalf("%d commits", n-commits)
		}
	})
}

// FuzzPaths: no address reaches a panic or an error of ours.
func FuzzPaths(f *testing.F) {
	h := open(f)
	for _, path := range []string{"/", "/callback/x", "/callback/%2F", "//", "/t/acme/authorize", "/t/acme/../x", "/consent", "/%00", "/end_session", "*", "/choose"} {
		f.Add("GET", path, "tx=a&state=b&request=c", h.addr())
	}
	f.Fuzz(func(t *testing.T, method, path, query, host string) {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Method, r.Host = method, host
		r.URL = &url.URL{Path: path, RawQuery: query}
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%s %q: %d %s", method, path, w.Code, w.Body)
		}
	})
}
