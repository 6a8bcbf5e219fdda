package bridge

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	linkKind     = "bridge.link"
	linkLifetime = 24 * time.Hour
	// PagePath is where the pages of verification links are served, below the
	// tenant's URL.
	PagePath = "/email-verification"
)

// purpose is what a link is for; another kind of link has another purpose, so
// that one is never good for the other.
const purpose = "verify"

// link is what the store keeps of a link: one record per person and purpose,
// so that a newer link takes the older one's place.
type link struct {
	Purpose string `json:"purpose"`
	Person  string `json:"person"`
	// Email is the address, normalised, that the link was sent to.
	Email string `json:"email"`
	// Hash is the SHA-256 of the link's secret.
	Hash []byte `json:"hash"`
}

// token is what a link carries: where its record is, and the secret that
// opens it. As text it is `<tenant>.<partition>.<record>.<secret>`.
type token struct {
	at             store.Place
	record, secret string
}

// newSecret is 256 random bits as 43 characters of base64url.
func newSecret() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// linkRecord is the id of a person's record. It does not say who the person is.
func linkRecord(at store.Place, person string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s", purpose, at.Tenant, person))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func (t token) String() string {
	return strings.Join([]string{t.at.Tenant, strconv.Itoa(int(t.at.Partition)), t.record, t.secret}, ".")
}

// parseToken reads what String wrote; anything else is not ok.
func parseToken(s string) (t token, ok bool) {
	parts := strings.Split(s, ".")
	if len(s) > 256 || len(parts) != 4 {
		return token{}, false
	}
	p, err := strconv.ParseUint(parts[1], 10, 16)
	t = token{at: store.Place{Tenant: parts[0], Partition: store.Partition(p)}, record: parts[2], secret: parts[3]}
	return t, err == nil && t.String() == s && decodes(t.record, 16) && decodes(t.secret, 32)
}

// decodes says whether s is how so many bytes are written. The decoder alone
// would pass over line breaks.
func decodes(s string, length int) bool {
	b, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil && len(b) == length && base64.RawURLEncoding.EncodeToString(b) == s
}

// sendLink makes a link and queues the mail that brings it, in one commit.
func (s *Service) sendLink(ctx context.Context, at store.Place, u User, normal string) error {
	tenant, ok := s.o.Tenant(at.Tenant)
	if !ok {
		return Fail(KindNotFound).Because(errors.New("the tenant is not configured"))
	}
	now, err := s.o.Engine.Now(ctx)
	if err != nil {
		return fmt.Errorf("read the engine's clock: %w", err)
	}
	expires := now.Add(linkLifetime)
	t := token{at: at, record: linkRecord(at, u.ID), secret: newSecret()}
	hash := sha256.Sum256([]byte(t.secret))
	mail := Mail{
		Kind: MailVerify, Tenant: at.Tenant, Person: u.ID, To: u.Email, Expires: expires.UTC(),
		Link: strings.TrimSuffix(tenant.URL, "/") + PagePath + "?" + url.Values{"token": {t.String()}}.Encode(),
	}
	_, err = store.Update(ctx, s.o.Engine, func(ctx context.Context) ([]store.Op, error) {
		ops, err := s.o.Enqueue(at, mail)
		if err != nil {
			return nil, err
		}
		l := link{Purpose: purpose, Person: u.ID, Email: normal, Hash: hash[:]}
		older, err := s.links.Get(ctx, at, t.record)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return append(ops, s.links.Create(at, t.record, l, expires)), nil
		case err != nil:
			return nil, err
		}
		return append(ops, s.links.Replace(at, t.record, l, older.Version, expires)), nil
	})
	if err != nil {
		return fmt.Errorf("queue verification mail: %w", err)
	}
	return nil
}

// dropLink forgets a person's link, and the address in it.
func (s *Service) dropLink(ctx context.Context, at store.Place, person string) error {
	if _, err := s.o.Engine.Commit(ctx, s.links.Drop(at, linkRecord(at, person))); err != nil {
		return fmt.Errorf("drop verification link: %w", err)
	}
	return nil
}

// readLink finds the record that a token opens; KindGone when there is none
// (any more). Whether there ever was cannot be told.
func (s *Service) readLink(ctx context.Context, text string) (store.Row[link], error) {
	t, ok := parseToken(text)
	if !ok {
		return store.Row[link]{}, Fail(KindGone)
	}
	if tenant, ok := s.o.Tenant(t.at.Tenant); !ok || tenant.Place != t.at {
		return store.Row[link]{}, Fail(KindGone) // a stranger's text does not choose where we read
	}
	row, err := s.links.Get(ctx, t.at, t.record)
	if errors.Is(err, store.ErrNotFound) {
		return row, Fail(KindGone)
	}
	if err != nil {
		return row, fmt.Errorf("read verification link: %w", err)
	}
	hash := sha256.Sum256([]byte(t.secret))
	if row.Value.Purpose != purpose || subtle.ConstantTimeCompare(row.Value.Hash, hash[:]) != 1 {
		return store.Row[link]{}, Fail(KindGone)
	}
	return row, nil
}

// confirm spends a link and marks the address that it was sent to, if that is
// still the person's.
func (s *Service) confirm(ctx context.Context, text string) (err error) {
	var row store.Row[link]
	defer func() { s.audit(ctx, opConfirm, row.Place, row.Value.Person, err) }()
	if row, err = s.readLink(ctx, text); err != nil {
		return err
	}
	if s.o.Directory.MarkEmailVerified == nil {
		return Fail(KindNotSupported)
	}
	return s.alone(ctx, row.Place, row.Value.Person, func(u User) error {
		_, err := s.o.Engine.Commit(ctx, s.links.Take(row.Place, row.ID, row.Version))
		if errors.Is(err, store.ErrConflict) {
			return Fail(KindGone).Because(err)
		}
		if err != nil {
			return fmt.Errorf("spend verification link: %w", err)
		}
		return s.o.Directory.MarkEmailVerified(ctx, row.Place, u.ID, row.Value.Email)
	})
}
