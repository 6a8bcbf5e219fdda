package mail_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// relay is a small SMTP server (RFC 5321) on a loopback port that can be told
// to misbehave.
type relay struct {
	t        *testing.T
	listener net.Listener
	tls      *tls.Config
	// extensions are what EHLO offers; STARTTLS is taken away once it is used.
	extensions []string
	// says are answers to commands, by verb, in place of the usual ones; an
	// empty answer hangs up. "." is the end of the data, "" the greeting.
	says map[string]string
	// mute keeps the connection and never says anything.
	mute bool

	mu    sync.Mutex
	lines []string // what was said to it, without the data
	mails []string // what it took
	wg    sync.WaitGroup
}

func start(t *testing.T, r *relay) *relay {
	t.Helper()
	var err error
	r.t = t
	if r.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	r.wg.Go(r.accept)
	t.Cleanup(func() { _ = r.listener.Close(); r.wg.Wait() })
	return r
}

func (r *relay) accept() {
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.wg.Go(func() { defer func() { _ = conn.Close() }(); r.talk(conn) })
	}
}

func (r *relay) talk(conn net.Conn) {
	in := bufio.NewReader(conn)
	if r.mute {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	say := func(verb, usual string) bool {
		if special, ok := r.says[verb]; ok {
			if usual = special; usual == "" {
				return false
			}
		}
		_, err := io.WriteString(conn, usual+"\r\n")
		return err == nil
	}
	offers := r.extensions
	ok := say("", "220 relay.example ESMTP")
	for ok {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		r.note(line)
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		switch verb {
		case "EHLO":
			ok = say(verb, "250-relay.example\r\n"+offer(offers)+"250 HELP")
		case "STARTTLS":
			if ok = say(verb, "220 go on"); !ok {
				return
			}
			secure := tls.Server(conn, r.tls)
			if secure.Handshake() != nil {
				return
			}
			conn, in, offers = secure, bufio.NewReader(secure), without(offers, "STARTTLS")
		case "DATA":
			if ok = say(verb, "354 go on"); ok && !strings.HasPrefix(r.says[verb], "4") && !strings.HasPrefix(r.says[verb], "5") {
				ok = r.take(in) && say(".", "250 taken")
			}
		case "AUTH":
			ok = say(verb, "235 welcome")
		case "QUIT":
			say(verb, "221 bye")
			return
		default:
			ok = say(verb, "250 ok")
		}
	}
}

func offer(extensions []string) (out string) {
	for _, e := range extensions {
		out += "250-" + e + "\r\n"
	}
	return out
}

func without(all []string, gone string) (kept []string) {
	for _, e := range all {
		if e != gone {
			kept = append(kept, e)
		}
	}
	return kept
}

func (r *relay) take(in *bufio.Reader) bool {
	var mail strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		mail.WriteString(strings.TrimPrefix(line, "."))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mails = append(r.mails, mail.String())
	return true
}

func (r *relay) note(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

func (r *relay) heard() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

func (r *relay) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mails
}

// certificate is one for 127.0.0.1 that vouches for itself.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "relay"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool
}

func (r *relay) String() string { return fmt.Sprint(r.listener.Addr()) }
