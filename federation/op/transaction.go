package op

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/token"
)

const (
	// transactionLife is how long a user may take at an upstream or a page.
	transactionLife = 15 * time.Minute
	// maxTransactions is how many may be open in one browser, and maxCarried how
	// many bytes they may have together: cookies are sent with every request,
	// and servers refuse headers that grow too large.
	maxTransactions = 6
	maxCarried      = 6 << 10
	// maxCookie is what browsers keep of one cookie's value, with room for its
	// name and attributes (RFC 6265 §6.1).
	maxCookie = 3800

	sealTransaction = "transaction "
)

// step says what a transaction waits for.
type step string

const (
	atUpstream step = "upstream"
	atChooser  step = "choose"
	atConsent  step = "consent"
	// atIdentifier waits for what the user enters.
	atIdentifier step = "identify"
	// atLink waits for whether a login is to be added to an account.
	atLink step = "link"
	// atDeparture waits for an upstream that the user is signed out of.
	atDeparture step = "departure"
)

// transaction is a request in flight: sealed, in a cookie of its own.
type transaction struct {
	Step    step    `json:"st"`
	Request request `json:"q"`
	// Upstream is the one that is asked, or was. Nonce and Verifier bind its
	// answer.
	Upstream string `json:"u,omitempty"`
	Nonce    string `json:"no,omitempty"`
	Verifier string `json:"v,omitempty"`
	// Person is who is asked to agree.
	Person string `json:"pe,omitempty"`
	// Link is a login that is to be added to an account, Declined the subject of one
	// that the user does not want to be.
	Link     *linking `json:"l,omitempty"`
	Declined string   `json:"ld,omitempty"`
	// Departure is what is left of a logout.
	Departure *departure `json:"d,omitempty"`
	Expires   time.Time  `json:"e"`
}

// carry puts a transaction into the browser. The handle names it in addresses;
// only together with the cookie is it worth anything.
func (h *Handler) carry(w http.ResponseWriter, r *http.Request, handle string, tx transaction) error {
	t := tenantOf(r)
	tx.Expires = h.o.Now().Add(transactionLife).UTC()
	plain, err := json.Marshal(tx)
	if err != nil {
		return err
	}
	box, err := h.o.Keys.Seal(r.Context(), t, sealTransaction+handle, plain)
	if err != nil {
		return err
	}
	if len(box) > maxCookie {
		return federation.Fail(federation.InvalidRequest, "The request is too large to be carried on.")
	}
	makeRoom(w, r, t, len(box))
	http.SetCookie(w, transactionCookie(t, transactionName(t, handle), box, transactionLife))
	return nil
}

// take reads the transaction that the handle names and removes it from the
// browser: an answer counts once.
func (h *Handler) take(w http.ResponseWriter, r *http.Request, handle string, want step) (transaction, error) {
	tx, err := h.peek(r, handle, want)
	if err == nil {
		t := tenantOf(r)
		http.SetCookie(w, transactionCookie(t, transactionName(t, handle), "", -time.Second))
	}
	return tx, err
}

// peek reads the transaction and leaves it.
func (h *Handler) peek(r *http.Request, handle string, want step) (transaction, error) {
	lost := federation.Fail(federation.InvalidRequest,
		"This sign-in is not known in this browser, was finished already, or took too long. Cookies must be allowed.")
	t := tenantOf(r)
	cookie, err := r.Cookie(transactionName(t, handle))
	if err != nil || handle == "" {
		return transaction{}, lost
	}
	plain, err := h.o.Keys.Open(r.Context(), t, sealTransaction+handle, cookie.Value)
	if err != nil {
		return transaction{}, notOurs(lost, err)
	}
	var tx transaction
	if err := json.Unmarshal(plain, &tx); err != nil {
		return transaction{}, lost.Because(err)
	}
	if tx.Step != want || h.o.Now().After(tx.Expires) {
		return transaction{}, lost
	}
	return tx, nil
}

// asking is the transaction that a page is to ask about, which stays in the
// browser, and its client as it is now.
func (h *Handler) asking(r *http.Request, want step) (handle string, tx transaction, client federation.Client, err error) {
	all, err := query(r, "tx")
	if err != nil {
		return "", tx, client, err
	}
	handle = all.Get("tx")
	if tx, err = h.peek(r, handle, want); err != nil {
		return "", tx, client, err
	}
	client, err = h.proven(tenantOf(r), tx.Request)
	return handle, tx, client, err
}

// notOurs tells what was not sealed by us, or cannot be opened any more, from
// keys that could not be read.
func notOurs(lost *federation.Error, err error) error {
	if errors.Is(err, token.ErrNotOurs) {
		return lost.Because(err)
	}
	return err
}

func transactionCookie(t federation.Tenant, name, value string, life time.Duration) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(life / time.Second),
		HttpOnly: true, Secure: t.Secure(), SameSite: http.SameSiteLaxMode,
	}
}

// transactionPrefix begins the names of a tenant's transaction cookies. No
// slug has a dot, so nothing of another tenant's begins like that.
func transactionPrefix(t federation.Tenant) string {
	if t.Secure() {
		return "__Host-drawbridge-" + t.ID + ".tx."
	}
	return "drawbridge-" + t.ID + ".tx."
}

func transactionName(t federation.Tenant, handle string) string {
	return transactionPrefix(t) + federation.HashSecret(handle)[:16]
}

// makeRoom removes the oldest transactions when there are too many for one
// more: users leave sign-ins unfinished, and each would be sent along until it
// expires.
func makeRoom(w http.ResponseWriter, r *http.Request, t federation.Tenant, size int) {
	prefix := transactionPrefix(t)
	open := slices.DeleteFunc(r.Cookies(), func(c *http.Cookie) bool { return !strings.HasPrefix(c.Name, prefix) })
	for _, c := range open {
		size += len(c.Value)
	}
	for ; len(open) > 0 && (len(open) >= maxTransactions || size > maxCarried); open = open[1:] {
		oldest := open[0] // browsers send the oldest first (RFC 6265 §5.4)
		size -= len(oldest.Value)
		http.SetCookie(w, transactionCookie(t, oldest.Name, "", -time.Second))
	}
}
