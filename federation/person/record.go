package person

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/drawbridge-id/drawbridge/federation"
)

// record is a person as stored.
type record struct {
	federation.Person
	// Bytes is the subject where it is not UTF-8, which JSON would spoil.
	Bytes []byte `json:"subject_bytes,omitempty"`
}

func recordOf(p federation.Person) record {
	r := record{Person: p}
	if !utf8.ValidString(p.Subject) {
		r.Subject, r.Bytes = "", []byte(p.Subject)
	}
	return r
}

func (r record) person() federation.Person {
	p := r.Person
	if r.Bytes != nil {
		p.Subject = string(r.Bytes)
	}
	return p
}

// alias says whom an upstream's subject belongs to.
type alias struct {
	Person string `json:"person"`
}

// aliasID ends with a hash of fixed length without a slash, so that no two
// pairs of upstream and subject share an id, whatever an upstream's name holds.
func aliasID(upstream, subject string) string { return upstream + "/" + digest(subject) }

// indexID is the place of a person under a value; all persons of one value
// share the prefix indexID(value, "").
func indexID(value, person string) string { return digest(value) + "/" + person }

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// newID is a UUID of version 7 (RFC 9562 §5.7) with the engine's time in it.
func newID(now time.Time) string {
	var id uuid.UUID
	rand.Read(id[:]) // never fails: crypto/rand ends the program instead
	var stamp [8]byte
	binary.BigEndian.PutUint64(stamp[:], uint64(max(now.UnixMilli(), 0)))
	copy(id[:6], stamp[2:])
	id[6] = 0x70 | id[6]&0x0f
	id[8] = 0x80 | id[8]&0x3f
	return id.String()
}

// isID says whether s is written as newID writes, so that no other text
// reaches a key.
func isID(s string) bool {
	id, err := uuid.Parse(s)
	return err == nil && id.String() == s
}
