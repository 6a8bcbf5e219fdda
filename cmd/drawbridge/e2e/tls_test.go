//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestBothListenersSpeakTLS(t *testing.T) {
	at := freeAddr(t)
	cert, key := newCertificate(t)
	files := map[string]any{"cert_file": cert, "key_file": key}
	w := startWorld(t, func(w *world, file settings) {
		file["issuer"], file["tls"] = "https://"+w.public, files
		management, _ := file["management"].(map[string]any)
		management["tls"] = files
		file["clients"] = []any{clientOf("plain", at, nil)}
	})
	party := w.party(t, "plain", at, map[string]string{"NODE_EXTRA_CA_CERTS": cert})
	alice := newVisitor(t)
	alice.client.Transport = w.bridge.client.Transport
	var got signedIn
	alice.walk(t, party.url+"/", party.url+"/callback", map[string]string{"login": "alice"}).decode(t, http.StatusOK, &got)
	if got.Claims["iss"] != "https://"+w.public {
		t.Errorf("iss is %v", got.Claims["iss"])
	}
	if c := w.sessionCookie(t, alice); c == nil || !strings.HasPrefix(c.Name, "__Host-") {
		t.Errorf("the session's cookie is %v, want the prefix __Host-", c)
	}
	alice.get(t, party.url+"/refresh").decode(t, http.StatusOK, &got)
	var seen user
	w.platform().call(t, http.MethodGet, "/v1/users/"+got.Claims["sub"].(string), nil).decode(t, http.StatusOK, &seen)
	if seen.Email != "alice@corp.example" {
		t.Errorf("the platform sees %+v", seen)
	}
	health := exec.CommandContext(lifetime(t), w.bridge.binary, "health", "--config", w.bridge.configFile)
	health.Env = append(os.Environ(), variables(worldEnv())...)
	if printed, err := health.CombinedOutput(); err != nil {
		t.Errorf("the health check says %s: %v", printed, err)
	}
	alice.walk(t, party.url+"/logout", party.url+"/signed-out", nil)
	if c := w.sessionCookie(t, alice); c != nil {
		t.Errorf("the cookie is still there after logout: %v", c)
	}
	w.awaitEnding(t, got.Claims["sid"].(string))

	plain := &http.Client{Timeout: patience}
	for _, address := range []string{w.public, w.management} {
		answer, err := plain.Get("http://" + address + "/readyz")
		if err != nil {
			continue
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusBadRequest {
			t.Errorf("http://%s answers %s", address, answer.Status)
		}
	}
}

// newCertificate makes a self-signed certificate for 127.0.0.1.
func newCertificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "drawbridge e2e"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	write := func(name, kind string, content []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", signed), write("key.pem", "PRIVATE KEY", encoded)
}
