package sessionhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// SigningKey is a symmetric key of Standard Webhooks. It does not print. The
// zero SigningKey is none; ParseSigningSecret makes one.
type SigningKey struct{ key Secret }

const (
	signingPrefix = "whsec_"
	minSigningKey = 24
	maxSigningKey = 64
)

// ParseSigningSecret reads a secret as Standard Webhooks writes it: whsec_ and
// then 24 to 64 random bytes in the base64 of RFC 4648 §4. The error does not
// hold the secret.
func ParseSigningSecret(s Secret) (SigningKey, error) {
	encoded, ok := strings.CutPrefix(s.Reveal(), signingPrefix)
	if !ok {
		return SigningKey{}, errors.New("signing secret does not begin with " + signingPrefix)
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return SigningKey{}, errors.New("signing secret is not base64 after " + signingPrefix)
	}
	if len(key) < minSigningKey || len(key) > maxSigningKey {
		return SigningKey{}, errors.New("signing secret has fewer than 24 or more than 64 bytes")
	}
	return SigningKey{key: NewSecret(string(key))}, nil
}

// Sign sets the headers of Standard Webhooks: webhook-id, the same on every
// attempt, which must not have a full stop; webhook-timestamp, when this attempt
// is made; and webhook-signature with a v1 signature for each key, so that a
// receiver may know any one of them while secrets are rotated. Without keys
// the request is not signed.
func Sign(h http.Header, id string, at time.Time, body []byte, keys ...SigningKey) {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	signatures := make([]string, 0, len(keys))
	for _, k := range keys {
		signatures = append(signatures, "v1,"+mac(k.key.Reveal(), []byte(id), []byte("."), []byte(timestamp), []byte("."), body))
	}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", timestamp)
	h.Del("webhook-signature")
	if len(signatures) > 0 {
		h.Set("webhook-signature", strings.Join(signatures, " "))
	}
}

// SignIRM sets X-IRM-Signature: the HMAC-SHA256 of the body under the secret's
// own bytes, in base64. It says nothing about when the request was made.
func SignIRM(h http.Header, body []byte, secret Secret) {
	h.Set("X-IRM-Signature", mac(secret.Reveal(), body))
}

func mac(key string, parts ...[]byte) string {
	hash := hmac.New(sha256.New, []byte(key))
	for _, p := range parts {
		hash.Write(p)
	}
	return base64.StdEncoding.EncodeToString(hash.Sum(nil))
}
