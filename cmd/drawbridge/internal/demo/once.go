package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// journey is the demonstration walked by a program. It sees what a visitor and
// the parts see, and nothing of Drawbridge's inside.
type journey struct {
	s     *stage
	guest *visitor
	// now is where the journey stands: the visit as the relying party sees it.
	now told
	// user is the first visitor's person, for the steps after their sign-out.
	user, session string
}

// told is the answer of /visit.json.
type told struct {
	SignedIn     bool               `json:"signed_in"`
	Subject      string             `json:"subject"`
	Session      string             `json:"session"`
	Refreshed    int                `json:"refreshed"`
	IDToken      rawObject          `json:"id_token"`
	Userinfo     rawObject          `json:"userinfo"`
	Upstream     rawObject          `json:"upstream"`
	HookSent     rawObject          `json:"hook_sent"`
	HookAnswered rawObject          `json:"hook_answered"`
	Verdicts     map[string]verdict `json:"verdicts"`
	Refused      []string           `json:"refused"`
}

func newJourney(s *stage) *journey { return &journey{s: s} }

// walk walks the whole journey and reports each step.
func (j *journey) walk(ctx context.Context) error {
	r := &report{out: j.s.o.Out, now: time.Now}
	return r.walk(ctx, []chapter{j.arrival(), j.claims(), j.users(), j.mails(), j.idling(), j.killing(), j.deletion()})
}

func (j *journey) arrival() chapter {
	return chapter{
		{"Drawbridge is ready", j.ready},
	}
}

// claims is the first sign-in: what comes through, and what does not.
func (j *journey) claims() chapter {
	return chapter{
		{"sign in as Bob through Drawbridge at Corp ID", j.signsIn("bob")},
		{"sub is Drawbridge's own, not the provider's and not the hook's", j.subjectIsOurs},
		{"group_permissions is not forged, and the provider's own does not pass", j.notForged},
		{"the guard's refusals are in the audit trail", j.refusalsAreTold},
		{"the hook's added, changed and filtered claims arrive as it said", j.freeClaimsArrive},
		{"refresh brings new tokens and asks the hook again", j.refreshes},
	}
}

// signsIn signs somebody in with a browser of their own.
func (j *journey) signsIn(login string) func(context.Context) error {
	return func(ctx context.Context) error {
		guest, err := newVisitor()
		if err != nil {
			return err
		}
		j.guest, j.now = guest, told{}
		asked, err := guest.get(ctx, j.s.at.Shop+"/sign-in")
		if err != nil {
			return err
		}
		back, err := guest.press(ctx, asked, "user-"+login)
		if err != nil {
			return err
		}
		if err := j.look(ctx); err != nil {
			return err
		}
		if !j.now.SignedIn {
			return fmt.Errorf("the way ended at %s (%d): %s", back.url.Path, back.status, back.title())
		}
		if said := j.now.Upstream["preferred_username"]; said != login {
			return fmt.Errorf("at Corp ID %v signed in", said)
		}
		return nil
	}
}

// look reads the visit anew.
func (j *journey) look(ctx context.Context) error {
	page, err := j.guest.get(ctx, j.s.at.Shop+"/visit.json")
	if err != nil {
		return err
	}
	var now told
	if err := json.Unmarshal(page.body, &now); err != nil {
		return fmt.Errorf("read the visit: %w", err)
	}
	j.now = now
	return nil
}

func (j *journey) ready(ctx context.Context) error {
	for {
		c, err := j.s.home.platform.call(ctx, "Ready", http.MethodGet, "/readyz", nil)
		if err == nil && c.Status == http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (j *journey) subjectIsOurs(context.Context) error {
	n := j.now
	switch {
	case n.HookAnswered["sub"] == n.HookSent["sub"]:
		return errors.New("the hook did not even try to forge it")
	case n.IDToken["sub"] != n.Subject || n.Userinfo["sub"] != n.Subject || n.HookSent["sub"] != n.Subject:
		return fmt.Errorf("the ID token says %v, userinfo %v, the hook was told %v", n.IDToken["sub"], n.Userinfo["sub"], n.HookSent["sub"])
	case n.Subject == n.Upstream["sub"] || n.Subject == n.HookAnswered["sub"]:
		return fmt.Errorf("it is somebody else's word: %s", n.Subject)
	}
	j.user, j.session = n.Subject, n.Session
	return nil
}

func (j *journey) notForged(context.Context) error {
	n := j.now
	for _, name := range []string{"group_permissions", "urn:onegini.com:oidc:tier"} {
		if _, ok := n.Upstream[name]; !ok {
			return fmt.Errorf("there was no try: Corp ID did not send %s", name)
		}
		if _, ok := n.HookSent[name]; ok {
			return fmt.Errorf("%s passed through from Corp ID to the hook", name)
		}
		if in := where(n, name); in != "" {
			return fmt.Errorf("%s is in the %s", name, in)
		}
	}
	for name, v := range n.Verdicts {
		if v == forged {
			return fmt.Errorf("the hook's %s got through", name)
		}
	}
	return nil
}

// where says in which of the relying party's documents a claim is.
func where(n told, name string) string {
	if _, ok := n.IDToken[name]; ok {
		return "ID token"
	}
	if _, ok := n.Userinfo[name]; ok {
		return "userinfo"
	}
	return ""
}

func (j *journey) refusalsAreTold(context.Context) error {
	for _, name := range []string{"sub", "group_permissions"} {
		found := false
		for _, refused := range j.now.Refused {
			found = found || refused == name
		}
		if !found {
			return fmt.Errorf("no audit line says that %s was refused; those that do: %v", name, j.now.Refused)
		}
	}
	return nil
}

func (j *journey) freeClaimsArrive(context.Context) error {
	n := j.now
	changed := fmt.Sprint(n.HookAnswered["department"])
	switch {
	case n.Userinfo["loyalty"] != "gold":
		return fmt.Errorf("loyalty is %v", n.Userinfo["loyalty"])
	case n.Userinfo["department"] != changed || n.IDToken["department"] != changed || n.Upstream["dept"] == changed:
		return fmt.Errorf("department is %v in userinfo and %v in the ID token", n.Userinfo["department"], n.IDToken["department"])
	case n.Upstream["birthdate"] == nil || n.Userinfo["birthdate"] != nil:
		return errors.New("birthdate was left out by the hook, but is there")
	}
	return nil
}

func (j *journey) refreshes(ctx context.Context) error {
	before, _ := j.s.home.hook.callAbout(j.user)
	shop, err := j.guest.get(ctx, j.s.at.Shop+"/")
	if err != nil {
		return err
	}
	if _, err := j.guest.press(ctx, shop, "refresh"); err != nil {
		return err
	}
	if err := j.look(ctx); err != nil {
		return err
	}
	after, _ := j.s.home.hook.callAbout(j.user)
	switch {
	case j.now.Refreshed != 1:
		return errors.New("the shop did not get new tokens")
	case after.Number == before.Number:
		return errors.New("the hook was not asked again")
	case j.now.Subject != j.user || j.now.Session != j.session:
		return errors.New("the new tokens are about another person or session")
	}
	return nil
}
