package clientkeys_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/clientkeys"
)

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	must(t, err)
	return raw
}

// many are more keys than a set may have.
func many(t testing.TB) []json.RawMessage {
	var all []json.RawMessage
	for range 51 {
		all = append(all, public(t, "p256", "k", "", ""))
	}
	return all
}

func inline(t testing.TB, keys ...json.RawMessage) federation.Client {
	t.Helper()
	parsed, err := clientkeys.Parse([]byte(set(t, keys...)))
	must(t, err)
	k, err := clientkeys.New(clientkeys.Options{Inline: parsed})
	must(t, err)
	return federation.Client{ID: "shop", Keys: k}
}

func TestEncryption(t *testing.T) {
	client := inline(t, public(t, "rsa", "r", "enc", ""), public(t, "p256", "e", "enc", ""))
	for _, alg := range clientkeys.KeyAlgs() {
		for _, enc := range clientkeys.ContentAlgs() {
			for _, nested := range []bool{true, false} {
				to, err := clientkeys.To(t.Context(), client, federation.Encryption{Alg: alg, Enc: enc})
				must(t, err)
				text, err := to.Encrypt("the text", nested)
				must(t, err)
				kid, key := "e", ready()["p256"]
				if strings.HasPrefix(alg, "RSA") {
					kid, key = "r", ready()["rsa"]
				}
				box, err := jose.ParseEncryptedCompact(text, []jose.KeyAlgorithm{jose.KeyAlgorithm(alg)}, []jose.ContentEncryption{jose.ContentEncryption(enc)})
				must(t, err)
				plain, err := box.Decrypt(key)
				if err != nil || string(plain) != "the text" || box.Header.KeyID != kid {
					t.Errorf("%s %s: %q by %q, %v", alg, enc, plain, box.Header.KeyID, err)
				}
				if cty, _ := box.Header.ExtraHeaders[jose.HeaderContentType].(string); (cty == "JWT") != nested || box.Header.ExtraHeaders["zip"] != nil {
					t.Errorf("%s: %v", alg, box.Header.ExtraHeaders)
				}
			}
		}
	}
}

func TestWhichKeyIsEncryptedTo(t *testing.T) {
	for name, tc := range map[string]struct {
		keys []json.RawMessage
		want string
	}{
		"the one for encryption":   {[]json.RawMessage{public(t, "p256", "all", "", ""), public(t, "p521", "enc", "enc", "")}, "enc"},
		"the first of two":         {[]json.RawMessage{public(t, "p256", "one", "enc", ""), public(t, "p521", "two", "enc", "")}, "one"},
		"the one for everything":   {[]json.RawMessage{public(t, "rsa", "rsa", "", ""), public(t, "p256", "all", "", "")}, "all"},
		"the one of the algorithm": {[]json.RawMessage{public(t, "p521", "other", "enc", "ECDH-ES+A128KW"), public(t, "p256", "this", "enc", "ECDH-ES")}, "this"},
		"none that only signs":     {[]json.RawMessage{public(t, "p256", "sig", "sig", ""), public(t, "p521", "es", "", "ES512")}, ""},
		"none of another kind":     {[]json.RawMessage{public(t, "rsa", "rsa", "enc", ""), public(t, "ed", "ed", "", "")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			to, err := clientkeys.To(t.Context(), inline(t, tc.keys...), federation.Encryption{Alg: "ECDH-ES", Enc: "A128GCM"})
			if tc.want == "" {
				unavailable(t, to, err)
				return
			}
			must(t, err)
			text, err := to.Encrypt("x", false)
			must(t, err)
			box, err := jose.ParseEncryptedCompact(text, []jose.KeyAlgorithm{jose.ECDH_ES}, []jose.ContentEncryption{jose.A128GCM})
			if err != nil || box.Header.KeyID != tc.want {
				t.Errorf("encrypted to %q, %v", box.Header.KeyID, err)
			}
		})
	}
}

// unavailable demands an error that may be told, and nothing to go on with.
func unavailable(t testing.TB, to clientkeys.Recipient, err error) {
	t.Helper()
	e, ok := errors.AsType[*federation.Error](err)
	if !ok || e.Code != federation.TemporarilyUnavailable {
		t.Errorf("%v", err)
	}
	if text, err := to.Encrypt("the text", true); err == nil || text != "" {
		t.Errorf("encrypted all the same: %q", text)
	}
}

func TestNothingIsSaidInPlain(t *testing.T) {
	good := inline(t, public(t, "rsa", "r", "enc", ""), public(t, "p256", "e", "enc", ""))
	for name, as := range map[string]federation.Encryption{
		"RSA1_5": {Alg: "RSA1_5", Enc: "A128GCM"}, "none": {Alg: "none", Enc: "A128GCM"}, "dir": {Alg: "dir", Enc: "A128GCM"}, "no alg": {Enc: "A128GCM"},
		"no enc": {Alg: "ECDH-ES"}, "odd enc": {Alg: "ECDH-ES", Enc: "A192GCM"},
	} {
		t.Run(name, func(t *testing.T) {
			to, err := clientkeys.To(t.Context(), good, as)
			unavailable(t, to, err)
		})
	}
	down := publish(t, "")
	down.says(503, "")
	keys, _ := at(t, down)
	for name, c := range map[string]federation.Client{"no keys": {ID: "shop"}, "a publisher that is down": {ID: "shop", Keys: keys}} {
		t.Run(name, func(t *testing.T) {
			to, err := clientkeys.To(t.Context(), c, federation.Encryption{Alg: "ECDH-ES", Enc: "A128GCM"})
			unavailable(t, to, err)
		})
	}
}
