package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// users is the Users contract's three ways to find a user, and the logout.
func (j *journey) users() chapter {
	return chapter{
		{"Users: get by id", j.finds("get-by-id", func() string { return j.user })},
		{"Users: get by e-mail", j.finds("get-by-email", func() string { return "BOB@corp.example" })},
		{"Users: get by customer", j.finds("get-by-customer", func() string { return "C-2002" })},
		{"sign out at the shop", j.signsOut},
		{"the webhook LOGOUT arrives", j.hears("LOGOUT")},
	}
}

// mails are the calls that write to the user; none of them needs a session.
func (j *journey) mails() chapter {
	return chapter{
		{"Users: a verification mail is sent and arrives", j.verificationMail},
		{"the link's page alone verifies nothing, its button does, and only once", j.linkNeedsPost},
		{"Users: a verified user gets no further verification mail", j.expects("verification-mail", func() string { return j.user }, http.StatusNoContent)},
		{"Users: a password reset mail arrives, and an unknown address gets the same answer", j.resetMail},
	}
}

// idling is a session that nobody touches.
func (j *journey) idling() chapter {
	return chapter{
		{"sign in again as Bob", j.signsIn("bob")},
		{"it is the same person, with two logins", j.isTheSame},
		{fmt.Sprintf("left alone for %s, the session ends, and the webhook IDLE_TIMEOUT arrives", seconds(idleOnce)), j.hears("IDLE_TIMEOUT")},
		{"its refresh token is dead as well", j.refreshFails},
	}
}

func (j *journey) killing() chapter {
	return chapter{
		{"sign in as Alice", j.signsIn("alice")},
		{"the platform kills the session", j.kills},
		{"the webhook DESTROY arrives", j.hears("DESTROY")},
	}
}

func (j *journey) deletion() chapter {
	return chapter{
		{"sign in as Carol", j.signsIn("carol")},
		{"Users: mark the e-mail address as verified", j.marksVerified},
		{"Users: delete", j.expects("delete", j.subject, http.StatusNoContent)},
		{"the webhook DESTROY arrives for the deleted user's session", j.hears("DESTROY")},
		{"Users: get answers 404 from now on", j.expects("get-by-id", j.subject, http.StatusNotFound)},
	}
}

func (j *journey) subject() string { return j.now.Subject }

// ask calls one operation, and fails where the status is another one.
func (j *journey) ask(ctx context.Context, op, value string, status int) (rawObject, error) {
	c, err := j.s.home.platform.do(ctx, op, value)
	if err != nil {
		return nil, err
	}
	if c.Status != status {
		return nil, fmt.Errorf("%s %s was answered with %s: %s", c.Method, c.Path, c.StatusText(), strings.Join(strings.Fields(c.Answer), " "))
	}
	if len(c.raw) == 0 {
		return nil, nil
	}
	return decodeObject(c.raw)
}

func (j *journey) expects(op string, value func() string, status int) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := j.ask(ctx, op, value(), status)
		return err
	}
}

// finds looks for Bob, and holds the session open meanwhile.
func (j *journey) finds(op string, value func() string) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := j.touches(ctx); err != nil {
			return err
		}
		got, err := j.ask(ctx, op, value(), http.StatusOK)
		if err != nil {
			return err
		}
		want := map[string]any{"id": j.user, "email": "bob@corp.example", "customer": "C-2002", "tenant": "default", "logins_count": "1", "email_verified": false}
		for name, value := range want {
			if got[name] != value {
				return fmt.Errorf("%s is %v, not %v", name, got[name], value)
			}
		}
		return nil
	}
}

// touches counts as activity of the session.
func (j *journey) touches(ctx context.Context) error {
	for _, c := range j.guest.client.Jar.Cookies(mustURL(j.s.at.Shop)) {
		if c.Name == visitCookie {
			return j.s.home.shop.touch(ctx, c.Value)
		}
	}
	return errors.New("the visitor has no cookie of the shop")
}

func (j *journey) signsOut(ctx context.Context) error {
	shop, err := j.guest.get(ctx, j.s.at.Shop+"/")
	if err != nil {
		return err
	}
	session := j.now.Session
	back, err := j.guest.press(ctx, shop, "sign-out")
	if err != nil {
		return err
	}
	if err := j.look(ctx); err != nil {
		return err
	}
	if j.now.SignedIn || back.url.Path != "/" {
		return fmt.Errorf("the way ended at %s (%d): %s", back.url.Path, back.status, back.title())
	}
	j.now.Session = session // the webhook will name it
	return nil
}

// hears waits for the webhook that tells of the session's end.
func (j *journey) hears(event string) func(context.Context) error {
	return func(ctx context.Context) error {
		session := j.now.Session
		got, err := j.s.home.sink.received.wait(ctx, func(d delivery) bool { return d.Session == session })
		if err != nil {
			return fmt.Errorf("nothing was delivered for session %s: %w", session, err)
		}
		if got.Event != event {
			return fmt.Errorf("it says %s", got.Event)
		}
		return nil
	}
}

func (j *journey) isTheSame(ctx context.Context) error {
	got, err := j.ask(ctx, "get-by-id", j.user, http.StatusOK)
	if err != nil {
		return err
	}
	if j.now.Subject != j.user || got["logins_count"] != "2" {
		return fmt.Errorf("it is %s with %v logins", j.now.Subject, got["logins_count"])
	}
	return nil
}

func (j *journey) refreshFails(ctx context.Context) error {
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
	if j.now.Refreshed != 0 {
		return errors.New("it still brings tokens")
	}
	return nil
}

func (j *journey) kills(ctx context.Context) error {
	c, err := j.s.home.platform.endSession(ctx, j.now.Session)
	if err == nil && c.Status != http.StatusNoContent {
		err = fmt.Errorf("it was answered with %s: %s", c.StatusText(), c.Answer)
	}
	return err
}

func (j *journey) marksVerified(ctx context.Context) error {
	before, err := j.ask(ctx, "get-by-id", j.now.Subject, http.StatusOK)
	if err != nil {
		return err
	}
	if before["email_verified"] != false {
		return errors.New("an address outside the provider's domains was believed")
	}
	if _, err := j.ask(ctx, "mark-verified", j.now.Subject, http.StatusNoContent); err != nil {
		return err
	}
	return j.isVerified(ctx, j.now.Subject, true)
}

func (j *journey) isVerified(ctx context.Context, user string, want bool) error {
	got, err := j.ask(ctx, "get-by-id", user, http.StatusOK)
	if err == nil && got["email_verified"] != want {
		err = fmt.Errorf("email_verified is %v", got["email_verified"])
	}
	return err
}
