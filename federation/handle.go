package federation

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// secretLength is the length of 32 random bytes in base64url.
const secretLength = 43

// Handle is what codes, access tokens and session cookies are made of: where
// the record lives, in the clear, and a secret that only its holder knows. As
// text it is `<tenant>.<partition>.<secret>`.
type Handle struct {
	Place  store.Place
	Secret string
}

// NewHandle makes a handle with a new secret: a Moment, and 228 random bits.
func NewHandle(at store.Place) Handle {
	return Handle{Place: at, Secret: Moment() + NewSecret()[momentLength:]}
}

// momentLength is the length of a Moment.
const momentLength = 5

// Moment is about now, to the second, as text that sorts by time. Ids of what
// is made and dies together begin with it: neighbours in the store share the
// pages that a commit writes and a sweep frees. Nothing is decided by it, so
// the machine's clock will do.
func Moment() string {
	id := uuid.Must(uuid.NewV7()) // RFC 9562 §5.7: begins with 48 bits of milliseconds
	seconds := binary.BigEndian.Uint64(id[:8]) >> 16 / 1000
	var text [momentLength]byte
	for i := len(text) - 1; i >= 0; i-- {
		text[i] = inOrder[seconds%64]
		seconds /= 64
	}
	return string(text[:])
}

// inOrder is the alphabet of base64url in the order of its bytes.
const inOrder = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"

// NewSecret is 256 random bits as 43 characters of base64url.
func NewSecret() string {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// String is the handle as its holder sees it.
func (h Handle) String() string {
	return h.Place.Tenant + "." + strconv.FormatUint(uint64(h.Place.Partition), 10) + "." + h.Secret
}

// ID is the id of the record that the handle opens: its moment and a hash of
// the secret, so that reading the store gives nobody a handle.
func (h Handle) ID() string {
	return h.Secret[:min(momentLength, len(h.Secret))] + HashSecret(h.Secret)
}

// ValidHandleID says whether ID can have made a text.
func ValidHandleID(s string) bool {
	return len(s) == momentLength+secretLength && strings.Trim(s, base64url) == ""
}

// HashSecret is the SHA-256 of a secret of NewSecret in base64url. Such
// secrets are too long to guess, so no slower hash is called for.
func HashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ParseHandle reads what String wrote. It says nothing about whether there is
// such a record; anything that String cannot have written is not ok.
func ParseHandle(s string) (h Handle, ok bool) {
	tenant, rest, found := strings.Cut(s, ".")
	number, secret, more := strings.Cut(rest, ".")
	p, err := strconv.ParseUint(number, 10, 16)
	if !found || !more || err != nil || !ValidSlug(tenant) || len(secret) != secretLength {
		return Handle{}, false
	}
	if number != strconv.FormatUint(p, 10) || strings.Trim(secret, base64url) != "" {
		return Handle{}, false
	}
	return Handle{Place: store.Place{Tenant: tenant, Partition: store.Partition(p)}, Secret: secret}, true
}

const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// ValidSlug says whether s can name a tenant: `^[0-9a-z-]+$`, at most 63 bytes.
func ValidSlug(s string) bool {
	return s != "" && len(s) <= 63 && strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyz-") == ""
}
