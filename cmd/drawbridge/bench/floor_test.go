//go:build bench

package bench

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	stdcrypto "crypto"
)

// floorVariable makes the test binary the floor. Its value is the address that the floor sends its own requests to.
const floorVariable = "DRAWBRIDGE_BENCH_FLOOR"

// floor is a process that does what a federated login cannot do without, and nothing else: of the four requests it
// serves, one sends three and checks one ES256 signature, and one makes a signature. Nothing is parsed, kept or logged.
type floor struct {
	url string
	cmd *exec.Cmd
}

// startFloor starts the process. It ends with the test, or when the test binary dies, for its input ends then.
func startFloor(t *testing.T) *floor {
	t.Helper()
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // what has been sent counts, not what arrives
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(sink.Close)
	f := &floor{cmd: exec.Command(os.Args[0])}
	f.cmd.Env = append(os.Environ(), floorVariable+"="+sink.URL)
	f.cmd.Stderr = os.Stderr
	alive, err := f.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := f.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = alive.Close() // tells it to end
		if err := f.cmd.Wait(); err != nil {
			t.Errorf("the floor ended: %v", err)
		}
	})
	addr, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatalf("the floor did not start: %v", err)
	}
	f.url = "http://" + strings.TrimSpace(addr)
	return f
}

// login asks for the four requests of a login whose ID token has the algorithm.
func (f *floor) login(client *http.Client, alg string) error {
	for _, path := range []string{"/plain", "/callback", "/sign/" + alg, "/plain"} {
		if err := f.get(client, path); err != nil {
			return err
		}
	}
	return nil
}

func (f *floor) get(client *http.Client, path string) error {
	answer, err := client.Get(f.url + path)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("the floor answers %s to %s", answer.Status, path)
	}
	if drained := drain(answer.Body); err == nil {
		err = drained
	}
	return err
}

// serveFloor is the process.
func serveFloor(sink string) error {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte("what is signed"))
	theirs, err := ecdsa.SignASN1(rand.Reader, ecKey, digest[:])
	if err != nil {
		return err
	}
	client := newClient()
	routes := http.NewServeMux()
	handle := func(path string, work func() error) {
		routes.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			if err := work(); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			_, _ = io.WriteString(w, "ok") // a client that has gone needs no answer
		})
	}
	handle("/plain", func() error { return nil })
	handle("/send", func() error { return send(client, sink) })
	handle("/callback", func() error {
		for range 3 {
			if err := send(client, sink); err != nil {
				return err
			}
		}
		if !ecdsa.VerifyASN1(&ecKey.PublicKey, digest[:], theirs) {
			return fmt.Errorf("the signature does not verify")
		}
		return nil
	})
	handle("/sign/RS256", func() error {
		_, err := rsa.SignPKCS1v15(rand.Reader, rsaKey, stdcrypto.SHA256, digest[:])
		return err
	})
	handle("/sign/ES256", func() error {
		_, err := ecdsa.SignASN1(rand.Reader, ecKey, digest[:])
		return err
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	server := &http.Server{Handler: routes}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test closes it
	_ = server.Close()
	<-failed
	return nil
}

// send is one request sent, as plain as they come.
func send(client *http.Client, to string) error {
	answer, err := client.Post(to, "application/json", strings.NewReader("{}"))
	if err != nil {
		return err
	}
	return drain(answer.Body)
}

// newClient keeps a connection for everybody who calls at once, and follows no redirects.
func newClient() *http.Client {
	return &http.Client{
		Timeout:       patience,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 128, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
