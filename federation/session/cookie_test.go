package session

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

func TestCookieCarriesSession(t *testing.T) {
	h := open(t)
	st := h.begin("ada")
	for _, secure := range []bool{true, false} {
		c := h.Cookie(st, secure)
		if err := c.Valid(); err != nil {
			t.Fatal(err)
		}
		if c.Path != "/" || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure != secure || c.Domain != "" || c.MaxAge != 0 {
			t.Errorf("secure=%v: attributes are %+v", secure, c)
		}
		if strings.HasPrefix(c.Name, "__Host-") != secure || !strings.HasSuffix(c.Name, "default") {
			t.Errorf("secure=%v: name is %q", secure, c.Name)
		}
		gone := h.ClearCookie("default", secure)
		if gone.Name != c.Name || gone.MaxAge >= 0 || gone.Secure != secure || gone.Path != "/" || gone.Value != "" {
			t.Errorf("secure=%v: clearing cookie is %+v", secure, gone)
		}
		held, err := h.ByCookie(t.Context(), h.org, c.Value)
		if err != nil || held.Session.ID != st.Session.ID {
			t.Errorf("ByCookie: %v, %v", held.Session.ID, err)
		}
	}
}

func TestCookieOfOthersOpensNothing(t *testing.T) {
	h := open(t)
	mine, theirs := h.begin("ada"), h.begin("eve")
	value := mine.CookieValue.Reveal()
	parts := strings.Split(value, ".")
	other := strings.Split(theirs.CookieValue.Reveal(), ".")
	join := func(p ...string) string { return strings.Join(p, ".") }
	for name, v := range map[string]string{
		"empty":                    "",
		"sid alone":                parts[2],
		"no secret":                join(parts[0], parts[1], parts[2], ""),
		"hash for secret":          join(parts[0], parts[1], parts[2], mine.Session.SecretHash),
		"secret of another":        join(parts[0], parts[1], parts[2], other[3]),
		"sid of another":           join(parts[0], parts[1], other[2], parts[3]),
		"another tenant":           join("other", parts[1], parts[2], parts[3]),
		"another partition":        join(parts[0], "1", parts[2], parts[3]),
		"partition written oddly":  join(parts[0], "00", parts[2], parts[3]),
		"partition out of range":   join(parts[0], "65536", parts[2], parts[3]),
		"five parts":               value + ".x",
		"secret cut":               value[:len(value)-1],
		"padding":                  value + "=",
		"slash in sid":             join(parts[0], parts[1], "../"+parts[2], parts[3]),
		"overlong":                 join(parts[0], parts[1], strings.Repeat("A", 100_000), parts[3]),
		"NUL":                      join(parts[0], parts[1], parts[2]+"\x00", parts[3]),
		"no such session":          join(parts[0], parts[1], h.NewID().Session, parts[3]),
		"last character of secret": value[:len(value)-1] + string(value[len(value)-1]^1),
	} {
		if _, err := h.ByCookie(t.Context(), h.org, v); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := h.ByCookie(t.Context(), tenant("other"), value); !errors.Is(err, ErrNotFound) {
		t.Errorf("presented to another tenant: %v", err)
	}
	if _, err := h.ByCookie(t.Context(), h.org, value); err != nil {
		t.Errorf("the right one: %v", err)
	}
	if n := len(h.ends()); n != 0 {
		t.Errorf("%d sessions ended by wrong cookies", n)
	}
}

func TestSessionWithoutHashOpensToNobody(t *testing.T) {
	c := ticket{secret: federation.NewSecret()}
	if c.opens(federation.Session{}) {
		t.Error("a session without a secret was opened")
	}
}

func TestIDsDiffer(t *testing.T) {
	h := open(t)
	seen := make(map[string]bool)
	for range 1000 {
		id := h.NewID()
		for _, s := range []string{id.Session, id.Secret.Reveal(), id.Audit, id.Reference} {
			if seen[s] {
				t.Fatalf("%q came twice", s)
			}
			seen[s] = true
		}
		if len(id.Session) != 32 || !ValidID(id.Session) {
			t.Fatalf("sid %q", id.Session)
		}
	}
}

func FuzzParseCookie(f *testing.F) {
	f.Add("default.0.g0wmSpoAIwH6HAwCnurvRcfYqh4." + strings.Repeat("a", 43))
	f.Add("a.65535.x." + strings.Repeat("_", 43))
	f.Add("..." + strings.Repeat("a", 43))
	f.Fuzz(func(t *testing.T, value string) {
		c, ok := parseCookie(value)
		if ok && c.String() != value {
			t.Errorf("%q was read as %q", value, c.String())
		}
		if ok && (c.place == store.Place{} || c.secret == "") {
			t.Errorf("%q was read as nothing", value)
		}
	})
}
