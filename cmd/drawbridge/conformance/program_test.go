package conformance

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// suite is the program among the parties that it serves.
type suite struct {
	// root is the default tenant's issuer.
	root string
	// corp signs users in; partner does for the one client that looks at how
	// Drawbridge takes an upstream's logout.
	corp, partner *upstreamtest.Provider
	party         *party
	trusted       *x509.CertPool
}

// client is a relying party as the program knows it.
type client struct {
	id, secret string
	// tenant is the one that it belongs to, empty for the default one.
	tenant string
	// post says that it proves itself in the body.
	post bool
}

func first() client  { return client{id: "first", secret: "first-secret-Zk39xQw83Lm"} }
func second() client { return client{id: "second", secret: "second-secret-uV72mPq04Ty"} }
func third() client  { return client{id: "third", secret: "third-secret-Rn51cXe96Hd", post: true} }
func back() client   { return client{id: "back", secret: "back-secret-Wd83kLs27Fj"} }
func front() client  { return client{id: "front", secret: "front-secret-Gb64vNz18Qa"} }
func guest() client  { return client{id: "guest", secret: "guest-secret-Yt29hMk75Ux"} }

// at is a client like this one at another tenant.
func (c client) at(tenant string) client {
	if tenant != "" {
		c.tenant, c.id, c.secret = tenant, tenant+"_"+c.id, c.secret+"-"+tenant
	}
	return c
}

// clients are all of them.
func clients() []client {
	return []client{first(), second(), third(), back(), front(), guest(), first().at(acme), second().at(acme), third().at(acme)}
}

// acme is a tenant whose issuer has a path.
const acme = "acme"

// open builds the program and starts it until the test ends.
func open(t *testing.T) *suite {
	t.Helper()
	cert, key := certificate(t)
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	s := &suite{trusted: x509.NewCertPool(), corp: upstreamtest.New(t), partner: upstreamtest.New(t)}
	if !s.trusted.AppendCertsFromPEM(text) {
		t.Fatal("the certificate cannot be read")
	}
	s.corp.Set(upstreamtest.Knobs{Claims: map[string]any{"acr": "1"}, Userinfo: everything()})
	s.party = newParty(t, cert, key)
	public, management := freeAddr(t), freeAddr(t)
	s.root = "https://" + public
	file := filepath.Join(t.TempDir(), "drawbridge.yaml")
	if err := os.WriteFile(file, []byte(s.file(t, public, management, cert, key)), 0o600); err != nil {
		t.Fatal(err)
	}
	s.serve(t, file, cert, "http://"+management+"/readyz")
	return s
}

// everything is a user about whom every standard claim is known.
func everything() map[string]any {
	return map[string]any{
		"given_name": "Alice", "family_name": "Liddell", "middle_name": "Pleasance", "nickname": "ali", "preferred_username": "alice",
		"profile": "https://corp.example/alice", "picture": "https://corp.example/alice.png", "website": "https://alice.example/",
		"gender": "female", "birthdate": "1852-05-04", "zoneinfo": "Europe/London", "locale": "en-GB", "updated_at": 1700000000,
		"address":      map[string]any{"formatted": "Christ Church\nOxford", "locality": "Oxford", "country": "GB"},
		"phone_number": "+44 1865 276150", "phone_number_verified": true,
	}
}

// file is the program's configuration.
func (s *suite) file(t *testing.T, public, management, cert, key string) string {
	t.Helper()
	text := fmt.Sprintf(`
issuer: %s
listen: %s
tls: {cert_file: %q, key_file: %q}
management: {listen: %s}
store: {engine: bolt, path: %q}
egress: {upstreams: [127.0.0.0/8], relying_parties: [127.0.0.0/8]}
limits: off # one user, who signs in from one address more often than anybody does
tenants: [{id: default}, {id: acme}]
upstreams:
  - {id: corp, issuer: %[7]q, client_id: drawbridge, client_secret: "${env:CORP_SECRET}", domains: [corp.example]}
  - {id: partner, issuer: %[8]q, client_id: drawbridge, client_secret: "${env:CORP_SECRET}"}
  - {id: acme-corp, tenant: acme, issuer: %[7]q, client_id: drawbridge, client_secret: "${env:CORP_SECRET}", domains: [corp.example]}
clients:
`, s.root, public, cert, key, management, filepath.ToSlash(filepath.Join(t.TempDir(), "drawbridge.db")), s.corp.URL, s.partner.URL)
	for _, c := range clients() {
		upstream, more := "corp", ""
		switch {
		case c.tenant != "":
			upstream, more = c.tenant+"-corp", "    tenant: "+c.tenant+"\n"
		case c == back():
			more = "    backchannel_logout_uri: " + s.party.URL + "/back\n    backchannel_logout_session_required: true\n"
		case c == front():
			more = "    frontchannel_logout_uri: " + s.party.URL + "/front\n    frontchannel_logout_session_required: true\n"
		case c == guest():
			upstream = "partner"
		}
		if c.post {
			more += "    token_endpoint_auth_method: client_secret_post\n"
		}
		text += fmt.Sprintf(`  - client_id: %s
    client_secret: "${env:SECRET_%[1]s}"
    redirect_uris: [%s]
    post_logout_redirect_uris: [%s]
    grant_types: [authorization_code, refresh_token]
    upstreams: [%s]
%s`, c.id, s.party.callback(c), s.party.bye(c), upstream, more)
	}
	return text
}

// serve runs the program, and holds it to a clean end.
func (s *suite) serve(t *testing.T, file, cert, ready string) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "drawbridge")
	if printed, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "..").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	cmd := exec.Command(binary, "serve", "--config", file)
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+cert, "CORP_SECRET="+s.corp.ClientSecret)
	for _, c := range clients() {
		cmd.Env = append(cmd.Env, "SECRET_"+c.id+"="+c.secret)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the program ended with %v", err)
			}
			if t.Failed() {
				t.Logf("the program said:\n%s", &printed)
			}
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			t.Error("the program does not end")
		}
	})
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			t.Fatal("the program ended before it was ready")
		default:
		}
		res, err := http.Get(ready)
		if err != nil {
			continue
		}
		_ = res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return
		}
	}
	t.Fatal("the program is not ready")
}

// freeAddr is a loopback address that nothing listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// certificate writes one for this machine, which stands for itself.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Drawbridge's tests"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// http is a client that trusts the certificate and follows nothing.
func (s *suite) http(t *testing.T) *http.Client {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.trusted}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Timeout: 30 * time.Second, Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
