package op

import (
	"net/http"
	"net/url"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/op/page"
)

// showChooser asks the user which identity provider to sign in with. The
// answers are links: choosing changes nothing, and a form that ends at another
// origin would have to be allowed to by the page's policy.
func (h *Handler) showChooser(w http.ResponseWriter, r *http.Request, client federation.Client, q request, offered []federation.Upstream) error {
	t := tenantOf(r)
	handle := federation.NewSecret()
	if err := h.carry(w, r, handle, transaction{Step: atChooser, Request: q}); err != nil {
		return q.fail(t, err)
	}
	p := page.Choose{Client: title(client)}
	offered, known := lastFirst(r, offered)
	for i, u := range offered {
		link := url.Values{"tx": {handle}, "upstream": {u.ID}}
		name := u.Name
		if name == "" {
			name = u.ID
		}
		p.Choices = append(p.Choices, page.Choice{ID: u.ID, Name: name, Link: base(t) + "/choose?" + link.Encode(), Last: known && i == 0})
	}
	h.show(w, r, http.StatusOK, client, q.UILocales, p, "")
	return nil
}

// choose takes the user's choice.
func (h *Handler) choose(w http.ResponseWriter, r *http.Request) error {
	all, err := query(r, "tx", "upstream")
	if err != nil {
		return err
	}
	tx, err := h.take(w, r, all.Get("tx"), atChooser)
	if err != nil {
		return err
	}
	t, q := tenantOf(r), tx.Request
	client, err := h.proven(t, q)
	if err != nil {
		return err
	}
	u, ok := h.o.Registry().Upstream(t.ID, all.Get("upstream"))
	if !ok || !client.MayUse(u.ID) {
		return q.fail(t, errNoUpstream)
	}
	return h.startUpstream(w, r, q, u)
}

// title is what users know a client by.
func title(c federation.Client) string {
	if c.Name != "" {
		return c.Name
	}
	return c.ID
}
