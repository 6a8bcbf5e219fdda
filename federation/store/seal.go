package store

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
)

// SealingKey is a key that seals records at rest.
type SealingKey struct {
	// ID is kept in every record that the key sealed; 1 to 64 bytes.
	ID string
	// Key is 32 bytes of AES-256.
	Key []byte
}

// Sealer seals with the first of its keys and opens with any, so that a key is
// rotated by putting a new one in front. A value is bound to its record's key:
// moved to another record, another tenant or another table it does not open.
type Sealer struct {
	first string
	aeads map[string]cipher.AEAD
}

// NewSealer makes a sealer of AES-256-GCM with random nonces. Without keys it
// is nil, which Table takes for "not sealed".
func NewSealer(keys []SealingKey) (*Sealer, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	s := &Sealer{first: keys[0].ID, aeads: make(map[string]cipher.AEAD, len(keys))}
	for _, k := range keys {
		if len(k.ID) == 0 || len(k.ID) > 64 || s.aeads[k.ID] != nil {
			return nil, errors.New("store: sealing keys need ids of 1 to 64 bytes, each once")
		}
		if len(k.Key) != 32 {
			return nil, fmt.Errorf("store: sealing key %q has %d bytes, not 32", k.ID, len(k.Key))
		}
		block, err := aes.NewCipher(k.Key)
		if err != nil {
			return nil, fmt.Errorf("store: sealing key %q: %w", k.ID, err)
		}
		if s.aeads[k.ID], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, fmt.Errorf("store: sealing key %q: %w", k.ID, err)
		}
	}
	return s, nil
}

// A stored value is: one byte of form, the schema as a uvarint, and then, for
// formSealed, the key id with its length in one byte; then the body.
const (
	formPlain  = 1
	formSealed = 2
)

func seal(s *Sealer, k Key, schema int, body []byte) []byte {
	if s == nil {
		head := binary.AppendUvarint([]byte{formPlain}, uint64(schema))
		return append(head, body...)
	}
	head := binary.AppendUvarint([]byte{formSealed}, uint64(schema))
	head = append(head, byte(len(s.first)))
	head = append(head, s.first...)
	return s.aeads[s.first].Seal(head, nil, body, bind(k, schema))
}

func unseal(s *Sealer, k Key, value []byte) (schema int, body []byte, err error) {
	if len(value) < 2 {
		return 0, nil, errors.New("store: record is cut short")
	}
	n, used := binary.Uvarint(value[1:])
	if used <= 0 || n > 1<<20 {
		return 0, nil, errors.New("store: record has no schema version")
	}
	rest := value[1+used:]
	switch value[0] {
	case formPlain:
		return int(n), rest, nil
	case formSealed:
		body, err = s.open(k, int(n), rest)
		return int(n), body, err
	default:
		return 0, nil, fmt.Errorf("store: form %d: %w", value[0], ErrNewer)
	}
}

func (s *Sealer) open(k Key, schema int, rest []byte) ([]byte, error) {
	if len(rest) == 0 || len(rest) < 1+int(rest[0]) {
		return nil, errors.New("store: sealed record is cut short")
	}
	id, sealed := string(rest[1:1+rest[0]]), rest[1+rest[0]:]
	if s == nil || s.aeads[id] == nil {
		return nil, fmt.Errorf("key %q is not configured: %w", id, ErrSealed)
	}
	body, err := s.aeads[id].Open(nil, nil, sealed, bind(k, schema))
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", id, ErrSealed)
	}
	return body, nil
}

// bind is what a sealed value cannot be moved away from.
func bind(k Key, schema int) []byte {
	return fmt.Appendf(nil, "drawbridge\x00%d\x00%s\x00%s", schema, k.Kind, k.ID)
}
