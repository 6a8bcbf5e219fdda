package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// StartTLS runs a server that speaks TLS only, and gives the configuration
// that clients need: it trusts an authority made for this test, which is also
// on disk as CAFile, and holds a certificate of the client's own. The server
// does not ask for that one unless conf says "tls-auth-clients yes".
func StartTLS(t testing.TB, conf ...string) (*Server, *tls.Config) {
	t.Helper()
	dir := t.TempDir()
	ca := newAuthority(t)
	server, client := ca.issue(t, "server"), ca.issue(t, "client")
	files := map[string]string{"ca": writePEM(t, dir, "ca.pem", "CERTIFICATE", ca.cert.Raw)}
	files["cert"] = writePEM(t, dir, "server.pem", "CERTIFICATE", server.Certificate[0])
	key, err := x509.MarshalPKCS8PrivateKey(server.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	files["key"] = writePEM(t, dir, "server.key", "PRIVATE KEY", key)
	trust := x509.NewCertPool()
	trust.AddCert(ca.cert)
	config := &tls.Config{RootCAs: trust, Certificates: []tls.Certificate{client}, MinVersion: tls.VersionTLS12}
	s := start(t, plan{tls: config, lines: func(port int) []string {
		return append(common(port), append([]string{
			"port 0", "tls-port " + strconv.Itoa(port), "tls-replication yes",
			"tls-ca-cert-file " + strconv.Quote(files["ca"]), "tls-cert-file " + strconv.Quote(files["cert"]),
			"tls-key-file " + strconv.Quote(files["key"]), "tls-auth-clients no",
		}, conf...)...)
	}})
	s.ca = files["ca"]
	return s, config.Clone()
}

// CAFile is where the certificate authority of a server from StartTLS lies, in
// PEM; empty for any other.
func (s *Server) CAFile() string { return s.ca }

// authority signs the certificates of one test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	template := certificate("redistest authority")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	ca := &authority{cert: template, key: newKey(t)}
	ca.cert = ca.sign(t, template, ca.key)
	return ca
}

// issue makes a certificate for a server on this machine, or a client.
func (ca *authority) issue(t testing.TB, name string) tls.Certificate {
	t.Helper()
	template := certificate(name)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.DNSNames, template.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	key := newKey(t)
	signed := ca.sign(t, template, key)
	return tls.Certificate{Certificate: [][]byte{signed.Raw}, PrivateKey: key, Leaf: signed}
}

func (ca *authority) sign(t testing.TB, template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	raw, err := x509.CreateCertificate(rand.Reader, template, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func certificate(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(24 * time.Hour),
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t testing.TB, dir, name, kind string, der []byte) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
