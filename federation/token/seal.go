package token

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/drawbridge-id/drawbridge/federation"
)

// maxSealed is more than a browser carries.
const maxSealed = 64 << 10

// Seal makes plain unreadable and unchangeable to whoever carries it
// (AES-256-GCM). The answer is letters, digits, '-', '_' and '.': fit for
// cookies and addresses. It opens for the same tenant and purpose only, as long
// as its key is published. Whether it is used twice or too late is the caller's
// concern.
func (k *Keyring) Seal(ctx context.Context, t federation.Tenant, purpose string, plain []byte) (string, error) {
	sealer, err := k.working(ctx, t, useSeal)
	if err != nil {
		return "", err
	}
	box := sealer.aead.Seal(nil, nil, plain, sealedFor(t, purpose))
	return sealer.ID + "." + base64.RawURLEncoding.EncodeToString(box), nil
}

// Open reads what Seal wrote; ErrNotOurs for everything else.
func (k *Keyring) Open(ctx context.Context, t federation.Tenant, purpose, sealed string) ([]byte, error) {
	id, text, found := strings.Cut(sealed, ".")
	if !found || len(sealed) > maxSealed {
		return nil, ErrNotOurs
	}
	box, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotOurs, err)
	}
	sealer, err := k.find(ctx, t, id)
	if err != nil {
		return nil, err
	}
	if sealer.aead == nil {
		return nil, fmt.Errorf("%w: the key is of another use", ErrNotOurs)
	}
	plain, err := sealer.aead.Open(nil, nil, box, sealedFor(t, purpose))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotOurs, err)
	}
	return plain, nil
}

// sealedFor is what a sealed value cannot be moved away from. A tenant's name
// holds no zero byte, so the two parts cannot run into each other.
func sealedFor(t federation.Tenant, purpose string) []byte {
	return []byte("drawbridge seal\x00" + t.ID + "\x00" + purpose)
}
