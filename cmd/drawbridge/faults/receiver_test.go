//go:build faults

package faults

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/oracle"
)

// receiver takes webhooks at /hook/<webhook> and journals them. It fails now and
// then, and lets faults strike at the two moments that only it knows.
type receiver struct {
	*httptest.Server
	j *journal

	mu   sync.Mutex
	rnd  *rand.Rand
	seen map[[2]string]int
	// spoil is how many in a thousand first attempts fail.
	spoil int
	// refuse is how many in a thousand first attempts are refused for good, which
	// refused hears of.
	refuse  int
	refused func(webhook string)
	// arriving and answered, when set, are called once for a request that has
	// arrived and is not answered, and for one whose answer is on its way, with
	// the sender's address.
	arriving, answered func(sender string)
}

func startReceiver(t *testing.T, j *journal, rnd *rand.Rand) *receiver {
	t.Helper()
	r := &receiver{j: j, rnd: rnd, seen: map[[2]string]int{}, spoil: 40}
	r.Server = httptest.NewServer(http.HandlerFunc(r.take))
	t.Cleanup(r.Close)
	return r
}

// told is what a webhook of the round's configuration says.
type told struct {
	Event   string `json:"event"`
	User    string `json:"user"`
	Session string `json:"session"`
	Audit   string `json:"audit"`
}

// webhookBody is its template.
const webhookBody = `{"event":"${WebhookEventType}","user":"${UserToken}","session":"${OidcSid}","audit":"${AMCtxId}"}`

func (r *receiver) take(w http.ResponseWriter, req *http.Request) {
	a := oracle.Arrival{Webhook: strings.TrimPrefix(req.URL.Path, "/hook/"), Delivery: req.Header.Get("webhook-id"), Arrived: time.Now()}
	body, err := io.ReadAll(io.LimitReader(req.Body, 64<<10))
	if err != nil {
		return // its sender died: nothing has arrived
	}
	sum := sha256.Sum256(body)
	a.Body = hex.EncodeToString(sum[:8])
	a.Event = eventOf(req, body)
	a.Holds = []string{a.Event} // the user's name, unless it was erased
	fate, before, after := r.fate(a)
	if before != nil {
		before(req.RemoteAddr)
	}
	a.Status = fate
	if fate == cut {
		a.Status = 0
		r.j.arrived(a)
		panic(http.ErrAbortHandler) // the connection breaks
	}
	w.Header().Set("Content-Length", "0")
	at := time.Now() // not later: the sender may be quicker than we are to look at the clock
	w.WriteHeader(fate)
	if http.NewResponseController(w).Flush() == nil {
		a.Answered = at
	}
	if after != nil {
		after(req.RemoteAddr)
	}
	r.j.arrived(a)
}

// eventOf names what a request tells of: the event of a stream, or the session's
// user.
func eventOf(req *http.Request, body []byte) string {
	if id := req.Header.Get("X-Event"); id != "" {
		return id
	}
	var t told
	if err := json.Unmarshal(body, &t); err != nil {
		return "not JSON"
	}
	return strings.TrimSuffix(t.User, mailOf(""))
}

// cut is the fate of a request whose connection breaks.
const cut = -1

// fate decides what an arrival is answered. Only first attempts fail, so that
// the wait for the second is short.
func (r *receiver) fate(a oracle.Arrival) (status int, before, after func(sender string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := [2]string{a.Webhook, a.Event}
	r.seen[at]++
	before, r.arriving = r.arriving, nil
	if before != nil {
		return cut, before, nil
	}
	after, r.answered = r.answered, nil
	if r.seen[at] == 1 && r.rnd.IntN(1000) < r.refuse {
		return http.StatusGone, nil, func(string) { r.refused(a.Webhook) }
	}
	doomed := strings.HasSuffix(a.Event, forgottenSuffix) && r.spoil > 0 && r.rnd.IntN(2) == 0
	if r.seen[at] == 1 && (doomed || r.rnd.IntN(1000) < r.spoil) {
		return []int{http.StatusServiceUnavailable, http.StatusTooManyRequests, cut}[r.rnd.IntN(3)], nil, nil
	}
	return http.StatusOK, nil, after
}

// arm makes the next arrival, or the next 2xx, call strike.
func (r *receiver) arm(afterPost bool, strike func(sender string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if afterPost {
		r.arriving = strike
	} else {
		r.answered = strike
	}
}

func (r *receiver) disarm() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arriving, r.answered = nil, nil
}

// calm makes all further attempts succeed.
func (r *receiver) calm() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spoil, r.refuse = 0, 0
}

func (r *receiver) hook(name string) string { return fmt.Sprintf("%s/hook/%s", r.URL, name) }
