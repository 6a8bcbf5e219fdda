package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
)

// BenchmarkIDToken mints and signs, beside the bare signature.
func BenchmarkIDToken(b *testing.B) {
	h := newHouse(b)
	g := h.grant()
	g.Session = "0123456789abcdefghijklmnopq"
	access := federation.NewHandle(h.tenant.Place).String()
	sum := sha256.Sum256([]byte(access))
	for _, alg := range []federation.SigningAlg{federation.ES256, federation.RS256} {
		b.Run(string(alg), func(b *testing.B) {
			for b.Loop() {
				payload := idToken{issuer: h.tenant.Issuer, grant: g, access: access, at: h.clock.now(), life: time.Minute}.claims()
				if _, err := h.keys.Sign(b.Context(), h.tenant, alg, idTokenType, payload); err != nil {
					b.Fatal(err)
				}
			}
		})
		k, err := h.keys.working(b.Context(), h.tenant, use(alg))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(string(alg)+"/bare", func(b *testing.B) {
			for b.Loop() {
				switch s := k.signer.(type) {
				case *rsa.PrivateKey:
					_, err = rsa.SignPKCS1v15(nil, s, crypto.SHA256, sum[:])
				case *ecdsa.PrivateKey:
					_, err = ecdsa.SignASN1(rand.Reader, s, sum[:])
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkInspect is userinfo's part of reading.
func BenchmarkInspect(b *testing.B) {
	h := newHouse(b)
	out, _ := h.tokens()
	for b.Loop() {
		if _, err := h.issuer.Inspect(b.Context(), h.tenant, out.AccessToken); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSeal is what an anonymous visit to the authorization endpoint costs.
func BenchmarkSeal(b *testing.B) {
	h := newHouse(b)
	plain := make([]byte, 600)
	for b.Loop() {
		sealed, err := h.keys.Seal(b.Context(), h.tenant, "p", plain)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := h.keys.Open(b.Context(), h.tenant, "p", sealed); err != nil {
			b.Fatal(err)
		}
	}
}
