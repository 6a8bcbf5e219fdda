package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// mustURL parses an address that the demo itself has made.
func mustURL(address string) *url.URL {
	u, err := url.Parse(address)
	if err != nil {
		return &url.URL{}
	}
	return u
}

// arrives waits for a mail to an address with a link that holds a text.
func (j *journey) arrives(ctx context.Context, to, link string) (letter, error) {
	l, err := j.s.home.mail.letters.wait(ctx, func(l letter) bool { return l.To == to && l.Link(link) != "" })
	if err != nil {
		return l, fmt.Errorf("no such mail to %s arrived: %w", to, err)
	}
	return l, nil
}

func (j *journey) verificationMail(ctx context.Context) error {
	if _, err := j.ask(ctx, "verification-mail", j.user, http.StatusAccepted); err != nil {
		return err
	}
	_, err := j.arrives(ctx, "bob@corp.example", j.s.at.Public)
	return err
}

// linkNeedsPost opens the link as a mail scanner does, then as a person.
func (j *journey) linkNeedsPost(ctx context.Context) error {
	l, err := j.arrives(ctx, "bob@corp.example", j.s.at.Public)
	if err != nil {
		return err
	}
	page, err := j.guest.get(ctx, l.Link(j.s.at.Public))
	if err != nil {
		return err
	}
	if err := j.isVerified(ctx, j.user, false); err != nil {
		return fmt.Errorf("after the page was only looked at: %w", err)
	}
	done, err := j.guest.press(ctx, page, "confirm")
	if err != nil {
		return err
	}
	if done.status != http.StatusOK {
		return fmt.Errorf("the button was answered with %d: %s", done.status, done.title())
	}
	if err := j.isVerified(ctx, j.user, true); err != nil {
		return fmt.Errorf("after the button was pressed: %w", err)
	}
	again, err := j.guest.press(ctx, page, "confirm")
	if err == nil && again.status != http.StatusGone {
		err = fmt.Errorf("pressed again, the button was answered with %d", again.status)
	}
	return err
}

func (j *journey) resetMail(ctx context.Context) error {
	known, err := j.s.home.platform.do(ctx, "reset-mail", "bob@corp.example")
	if err != nil {
		return err
	}
	unknown, err := j.s.home.platform.do(ctx, "reset-mail", "nobody@corp.example")
	if err != nil {
		return err
	}
	if known.Status != http.StatusAccepted || unknown.Status != known.Status || unknown.Answer != known.Answer {
		return fmt.Errorf("a known address gets %s, an unknown one %s", known.StatusText(), unknown.StatusText())
	}
	l, err := j.arrives(ctx, "bob@corp.example", j.s.at.Provider+"/reset")
	if err != nil {
		return err
	}
	page, err := j.guest.get(ctx, l.Link(j.s.at.Provider))
	if err != nil {
		return err
	}
	if page.status != http.StatusOK || !strings.HasPrefix(page.url.String(), j.s.at.Provider) {
		return errors.New("its link does not lead to the provider's page")
	}
	return nil
}
