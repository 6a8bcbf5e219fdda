package token

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// saltRecord is what the pairwise subjects of a tenant are made with. It never
// changes: with another one every user would be a stranger everywhere.
type saltRecord struct {
	Salt material `json:"salt"`
}

const (
	saltKind = "token.salt"
	saltID   = "pairwise"
	saltSize = 32
	// saltTrust is how long a node goes on with the salt it knows without asking
	// the store whether it is still the one.
	saltTrust = time.Minute
)

// salts are those of all tenants that this node has needed.
type salts struct {
	mu    sync.Mutex
	known map[string]knownSalt
}

type knownSalt struct {
	value material
	read  time.Time
}

func (s *salts) get(tenant string) (knownSalt, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.known[tenant]
	return k, ok
}

func (s *salts) put(tenant string, k knownSalt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string]knownSalt{}
	}
	s.known[tenant] = k
}

// Pairwise is the sub by which the clients of a sector know a person (OpenID
// Connect Core 1.0 §8.1): an HMAC under a secret of the tenant's, so that nobody
// who lacks that can tell two sectors' subs of one person from those of two, nor
// find the person by it. The same on every node, after a restart and in a copy of
// the store.
func (i *Issuer) Pairwise(ctx context.Context, t federation.Tenant, sector, person string) (string, error) {
	if sector == "" || person == "" || strings.ContainsRune(sector, 0) {
		return "", errors.New("token: a pairwise subject needs a sector and a person")
	}
	salt, err := i.salt(ctx, t)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, salt)
	mac.Write([]byte(sector + "\x00" + person))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}

// salt is the tenant's, made at its first use. A node that knows it puts it back
// into a store that has lost it (a failover); where the store has another one,
// that counts, since other nodes have it too.
func (i *Issuer) salt(ctx context.Context, t federation.Tenant) (material, error) {
	now, err := i.now(ctx)
	if err != nil {
		return nil, err
	}
	known, ok := i.salts.get(t.ID)
	if age := now.Sub(known.read); ok && age >= 0 && age < saltTrust {
		return known.value, nil
	}
	first := known.value
	if !ok {
		first = make(material, saltSize)
		rand.Read(first) // never fails: crypto/rand ends the program instead
	}
	var found material
	err = i.settle(ctx, func(ctx context.Context) ([]store.Op, error) {
		row, err := i.saltTable.Get(ctx, t.Place, saltID)
		if err == nil {
			found = row.Value.Salt
			return nil, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, fmt.Errorf("read the salt of pairwise subjects: %w", err)
		}
		found = first
		return []store.Op{i.saltTable.Create(t.Place, saltID, saltRecord{Salt: first}, time.Time{})}, nil
	})
	if err != nil {
		return nil, err
	}
	if len(found) != saltSize {
		return nil, fmt.Errorf("token: the salt of pairwise subjects of tenant %q is broken", t.ID)
	}
	if ok && !hmac.Equal(found, known.value) {
		i.o.Log.ErrorContext(ctx, "the store has another salt of pairwise subjects than before: users are strangers to pairwise clients", "tenant", t.ID)
	}
	i.salts.put(t.ID, knownSalt{value: found, read: now})
	return found, nil
}
