package demo

import (
	"crypto/subtle"
	"encoding/json"
	"maps"
	"net/http"
	"time"
)

const (
	hookPath = "/v1/customize-token"
	hookUser = "drawbridge"
	maxBody  = 64 << 10
)

// exchange is one call of the claims hook.
type exchange struct {
	Number int
	At     time.Time
	// User is the person that the call was about, as Drawbridge knows them.
	User string
	// Sent and Answered are the claims of request and answer.
	Sent, Answered map[string]any
}

// claimsHook is an operator's claims hook that does three things a hook may do
// and two that it may not.
type claimsHook struct {
	password string
	now      func() time.Time
	calls    *journal[exchange]
}

func newClaimsHook(password string, now func() time.Time) *claimsHook {
	return &claimsHook{password: password, now: now, calls: newJournal[exchange](50)}
}

// hookRequest is the body of a call, as the contract has it.
type hookRequest struct {
	User   struct{ ID string } `json:"user"`
	Claims map[string]any      `json:"claims"`
}

// ServeHTTP implements http.Handler.
func (h *claimsHook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	switch {
	case r.URL.Path != hookPath || r.Method != http.MethodPost:
		http.NotFound(w, r)
		return
	case user != hookUser || subtle.ConstantTimeCompare([]byte(password), []byte(h.password)) != 1:
		w.Header().Set("WWW-Authenticate", `Basic realm="claims hook"`)
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	var asked hookRequest
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.UseNumber()
	if err := decoder.Decode(&asked); err != nil {
		http.Error(w, "the body is not a call of the contract", http.StatusBadRequest)
		return
	}
	answer := customise(asked.Claims)
	h.calls.add(func(n int) exchange {
		return exchange{Number: n, At: h.now(), User: asked.User.ID, Sent: asked.Claims, Answered: answer}
	})
	writeJSON(w, http.StatusOK, map[string]any{"claims": answer})
}

// customise is what this hook makes of the claims: it adds one, changes one,
// leaves one out, and tries to forge two.
func customise(sent map[string]any) map[string]any {
	answer := maps.Clone(sent)
	if answer == nil {
		answer = map[string]any{}
	}
	answer["loyalty"] = "gold"
	if department, ok := sent["department"].(string); ok {
		answer["department"] = department + " EMEA"
	}
	delete(answer, "birthdate")
	answer["sub"] = "00000000-0000-0000-0000-00000000root"
	answer["group_permissions"] = []string{"administrator"}
	return answer
}

// callAbout is the newest call about a person.
func (h *claimsHook) callAbout(user string) (exchange, bool) {
	return h.calls.last(func(e exchange) bool { return e.User == user })
}
