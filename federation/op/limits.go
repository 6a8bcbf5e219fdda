package op

import (
	"log/slog"
	"net/http"

	"github.com/gorilla/mux"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/limit"
	"github.com/drawbridge-id/drawbridge/federation/token"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// What limits are kept by, as the metrics name them.
const (
	byAddress = "address"
	byClient  = "client"
	byFailure = "failures"
	byPerson  = "person"
	byFamily  = "family"
)

// admit serves an endpoint, unless its client's address has been there too often.
// A preflight of a browser's script is no use of it.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request, d door) error {
	if at := routeOf(r); r.Method != http.MethodOptions {
		who := limit.Network(wire.RequestInfoFrom(r.Context()).Addr)
		if err := h.spend(r, at, byAddress, who, h.limits().Endpoints[at].Address); err != nil {
			return err
		}
	}
	return d.serve(w, r)
}

// routeOf is the name of the endpoint.
func routeOf(r *http.Request) string {
	if route := mux.CurrentRoute(r); route != nil {
		return route.GetName()
	}
	return ""
}

// limits are those in force.
func (h *Handler) limits() limit.Policy {
	if h.o.Limiter == nil {
		return limit.Policy{}
	}
	return h.o.Limits()
}

// spend counts one use of an endpoint, or says that it is one too many. Who is
// not known is not counted.
func (h *Handler) spend(r *http.Request, at, by, who string, rate limit.Rate) error {
	if who == "" || rate.Off() {
		return nil
	}
	return h.tooMany(r, at, by, h.o.Limiter.Take(usage(r, at, by, who, rate)))
}

func usage(r *http.Request, at, by, who string, rate limit.Rate) limit.Use {
	return limit.Use{At: tenantOf(r).Place, What: at + " " + by, Who: who, Rate: rate}
}

// tooMany is the error for what a limit refused, nil where it did not. The audit
// has one line for a window, not one for each request.
func (h *Handler) tooMany(r *http.Request, at, by string, v limit.Verdict) error {
	if v.Wait <= 0 {
		return nil
	}
	h.o.Observe.Limited(at, by)
	if v.First {
		h.audit(r, "limit reached", slog.String("endpoint", at), slog.String("by", by),
			slog.String("addr", limit.Network(wire.RequestInfoFrom(r.Context()).Addr)), slog.Duration("for", v.Wait))
	}
	return &federation.Error{
		Code: federation.TemporarilyUnavailable, Status: http.StatusTooManyRequests, RetryAfter: v.Wait,
		Description: "There were too many requests. Please try again later.",
	}
}

// spendClient counts a call that a client has proven to be its own. What anybody
// could send in its name, such as the calls of a public client, is not counted:
// a stranger could use up what is the client's.
func (h *Handler) spendClient(r *http.Request, verified token.VerifiedClient) error {
	client := verified.Client()
	if client.Public() {
		return nil
	}
	return h.spendNamed(r, client)
}

// spendNamed counts a request that names a client. At the authorization endpoint
// anybody can name one, so the limit there is for operators to set who know that.
func (h *Handler) spendNamed(r *http.Request, client federation.Client) error {
	at := routeOf(r)
	return h.spend(r, at, byClient, client.ID, h.limits().Endpoints[at].Client)
}

// guesses is where wrong guesses at a client's secret from one address are
// counted, at whichever endpoint. From other addresses the client is as free as
// ever. Names that nobody has count as one. A guess counts when it was wrong, so
// those that are looked at in the same moment may be a few more; counted before,
// a busy client would be refused for what it does right.
func (h *Handler) guesses(r *http.Request, client federation.Client) limit.Use {
	addr := limit.Network(wire.RequestInfoFrom(r.Context()).Addr)
	if addr == "" {
		return limit.Use{} // has no rate
	}
	return usage(r, "client", byFailure, addr+" "+client.ID, h.limits().Failures)
}

// mayGuess says whether credentials are looked at at all.
func (h *Handler) mayGuess(r *http.Request, client federation.Client) error {
	use := h.guesses(r, client)
	if use.Rate.Off() {
		return nil
	}
	return h.tooMany(r, routeOf(r), byFailure, h.o.Limiter.Look(use))
}

// guessed counts credentials that were wrong.
func (h *Handler) guessed(r *http.Request, client federation.Client, err error) {
	if use := h.guesses(r, client); !use.Rate.Off() && public(err).Code == federation.InvalidClient {
		h.o.Limiter.Take(use)
	}
}

// spendSignIn counts a sign-in of a person, whom only the upstream has named so
// far. It stops an application that sends the browser round and round.
func (h *Handler) spendSignIn(r *http.Request, login federation.Login) error {
	rate := h.limits().SignIns
	if rate.Off() {
		return nil
	}
	return h.tooMany(r, routeOf(r), byPerson, h.o.Limiter.Take(usage(r, "sign-in", byPerson, login.Upstream+" "+login.Subject, rate)))
}

// spendRefresh counts a refresh, whose token is good and stays so.
func (h *Handler) spendRefresh(r *http.Request, family string) error {
	rate := h.limits().Refreshes
	if rate.Off() {
		return nil
	}
	return h.tooMany(r, routeOf(r), byFamily, h.o.Limiter.Take(usage(r, "refresh", byFamily, family, rate)))
}
