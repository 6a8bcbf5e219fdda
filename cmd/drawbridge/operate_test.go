package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

// A connector must not go on reaching what the file no longer allows.
func TestReloadNarrowsEgress(t *testing.T) {
	text := file(t, upstreamtest.New(t).URL, "")
	app := start(t, text)
	before := app.live.Load().connectors["default/corp"].oidc
	app.Reload(t.Context(), load(t, strings.Replace(text, "upstreams: [127.0.0.0/8]", "upstreams: []", 1)))
	after := app.live.Load().connectors["default/corp"].oidc
	if after == before {
		t.Fatal("the connector kept its client")
	}
	if _, err := after.EndSessionURL(t.Context(), "", "", ""); err == nil {
		t.Error("a private upstream is reached without permission")
	}
}

// What needs a restart is told on every reload until it is as it was at the start.
func TestNeedRestart(t *testing.T) {
	text := file(t, "http://127.0.0.1:9000", "")
	started := load(t, text)
	for change, want := range map[string][]string{
		"":                         nil,
		"listen: 127.0.0.1:0\n":    {"listen"},
		"log: {level: debug}\n":    {"log"},
		"node_name: other\n":       {"node_name"},
		"tokens: {code: 30s}\n":    nil,
		"keys: {overlap: 30d}\n":   {"keys"},
		"trusted_proxies: [::1]\n": {"trusted_proxies"},
	} {
		next := text
		if strings.HasPrefix(change, "listen") {
			next = strings.Replace(text, change, "listen: 127.0.0.1:9\n", 1)
		} else {
			change = strings.Replace(change, "[::1]", `["::1/128"]`, 1)
			next += change
		}
		if got := needRestart(started, load(t, next)); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", change, got, want)
		}
	}
}

func TestReadFileWaitsForNobody(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readFile(pipe); err != nil || len(got) != 0 {
		t.Errorf("a pipe without a writer: %d bytes, %v", len(got), err)
	}
	if got, err := readFile(os.DevNull); err != nil || len(got) != 0 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	endless, err := readFile("/dev/zero")
	if err != nil || len(endless) != mostRead {
		t.Errorf("a device without end: %d bytes, %v", len(endless), err)
	}
	if _, err := readFile(pipe + "-nothing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestDurationsAreLoggedInMilliseconds(t *testing.T) {
	var out bytes.Buffer
	newLogger(&out, config.Log{Level: "info", Format: "json"}).Info("x", "took", 1500*time.Microsecond, "n", 3)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line["took_ms"] != 1.5 || line["n"] != 3.0 {
		t.Errorf("%v, %s", err, out.String())
	}
}

// pair writes a certificate with the serial number given.
func pair(t *testing.T, files config.TLS, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(serial)}, &x509.Certificate{}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{files.CertFile: {Type: "CERTIFICATE", Bytes: der}, files.KeyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestACertificateIsReplacedAlsoByAnOlderFile(t *testing.T) {
	dir := t.TempDir()
	files := config.TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	var log bytes.Buffer
	pair(t, files, 1)
	c, err := newCertificate(&files, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	dated := func(at time.Time) {
		for _, name := range []string{files.CertFile, files.KeyFile} {
			if err := os.Chtimes(name, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	serial := func() int64 {
		c.look()
		leaf, err := x509.ParseCertificate(c.pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.SerialNumber.Int64()
	}
	pair(t, files, 2)
	dated(time.Now().Add(-time.Hour))
	if got := serial(); got != 2 {
		t.Errorf("certificate %d after an older one was put back", got)
	}
	if err := os.WriteFile(files.KeyFile, []byte("half a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := serial(); got != 2 {
			t.Errorf("certificate %d while the new one is no good", got)
		}
	}
	if n := strings.Count(log.String(), "no good"); n != 1 {
		t.Errorf("a bad pair was told %d times: %s", n, log.String())
	}
	pair(t, files, 3)
	if got := serial(); got != 3 {
		t.Errorf("certificate %d after the pair was mended", got)
	}
}

// A node that is told to stop still serves everybody until balancers had time to
// notice, and keeps no connection for a request that would come too late.
func TestANodeSaysGoodbyeBeforeItCloses(t *testing.T) {
	app, err := New(load(t, file(t, upstreamtest.New(t).URL, "shutdown_delay: 2s")), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{}}
	ask := func(address string) (int, bool) {
		res, err := client.Get("http://" + address)
		if err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Error(err)
		}
		return res.StatusCode, res.Close
	}
	discovery, ready := app.PublicAddr()+"/.well-known/openid-configuration", app.ManagementAddr()+"/readyz"
	if status, closed := ask(discovery); status != http.StatusOK || closed {
		t.Fatalf("%d, closed %v, before the stop", status, closed)
	}
	stop()
	for status := http.StatusOK; status == http.StatusOK; time.Sleep(time.Millisecond) { // a poll
		status, _ = ask(ready)
	}
	for range 3 {
		if status, closed := ask(discovery); status != http.StatusOK || !closed {
			t.Errorf("%d, closed %v, after the stop", status, closed)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := client.Get("http://" + discovery); err == nil {
		t.Error("it serves after its end")
	}
}

// A client that never ends its request keeps nobody from a clean end.
func TestTheDrainCutsOffWhatDoesNotEnd(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	reached := make(chan struct{})
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(reached)
		_, _ = r.Body.Read(make([]byte, 10)) // until it is cut off
	})}
	served := make(chan error, 1)
	go func() { served <- serve(server, listener, nil)(t.Context()) }()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
	<-reached
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	app := &App{log: slog.New(slog.DiscardHandler)}
	if err := app.finish(ctx, "public", server); err != nil {
		t.Errorf("the end is not clean: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("the loop ended with %v", err)
	}
}

func TestReadinessNoticesThatTheStoreIsGone(t *testing.T) {
	app := start(t, file(t, upstreamtest.New(t).URL, ""))
	address := "http://" + app.ManagementAddr() + "/readyz"
	if status, _ := get(t, address); status != http.StatusOK {
		t.Fatalf("%d at the start", status)
	}
	if err := os.Rename(app.started.Store.Path, app.started.Store.Path+".moved"); err != nil {
		t.Fatal(err)
	}
	if status, _ := get(t, address); status != http.StatusServiceUnavailable {
		t.Errorf("%d while the store's file is gone", status)
	}
}

func TestWatchersMayAskWithHEAD(t *testing.T) {
	app := start(t, file(t, upstreamtest.New(t).URL, ""))
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi/users.yaml"} {
		res, err := http.Head("http://" + app.ManagementAddr() + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("HEAD %s: %d", path, res.StatusCode)
		}
	}
}

func TestAReloadForgivesNoFailures(t *testing.T) {
	text := file(t, upstreamtest.New(t).URL, "")
	app := start(t, text)
	attempt := func() int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+app.ManagementAddr()+"/v1/sessions", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("platform", "a guess")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	for attempt() != http.StatusTooManyRequests {
	}
	app.Reload(t.Context(), load(t, text))
	if status := attempt(); status != http.StatusTooManyRequests {
		t.Errorf("%d after a reload", status)
	}
}

// eventsOf appends events about somebody and hands out their ids.
func eventsOf(t *testing.T, app *App, person string, n int) (ids []string) {
	t.Helper()
	for range n {
		e := sessionhooks.Event{ID: sessionhooks.NewID(), Stream: sessionhooks.StreamUser, Type: sessionhooks.UserSignedIn, Tenant: "default",
			Aggregate: person, Occurred: time.Now(), Detected: time.Now(), Data: []byte(`{"FromIpAddress":"192.0.2.7"}`)}
		if _, err := app.engine.Commit(t.Context(), app.events.Append(store.Place{Tenant: "default"}, e)...); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
	}
	return ids
}

func TestTheEventLogIsTrimmed(t *testing.T) {
	app := start(t, file(t, upstreamtest.New(t).URL, ""))
	eventsOf(t, app, "somebody", 3)
	if err := app.trimOnce(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if got, err := app.events.Read(t.Context(), 0, store.Position{}, 10, 0); err != nil || len(got) != 3 {
		t.Fatalf("%d young events, %v", len(got), err)
	}
	if err := app.trimOnce(t.Context(), -time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := app.events.Read(t.Context(), 0, store.Position{}, 10, 0); !errors.Is(err, store.ErrTrimmed) {
		t.Errorf("old events were kept: %v", err)
	}
}

func TestDeletionErasesWhatEventsTell(t *testing.T) {
	app := start(t, file(t, upstreamtest.New(t).URL, ""))
	at := store.Place{Tenant: "default"}
	const leaver, other = "0196a000-0000-7000-8000-000000000001", "0196a000-0000-7000-8000-000000000002"
	gone, stays := eventsOf(t, app, leaver, 2), eventsOf(t, app, other, 1)
	if err := (people{app}).Delete(t.Context(), at, leaver); err == nil {
		t.Error("nobody was deleted, and no error told so")
	}
	for id, about := range map[string]string{gone[0]: leaver, gone[1]: leaver, stays[0]: other} {
		if data, err := app.events.Data(t.Context(), at, about, id); err != nil || (data != nil) != (about == other) {
			t.Errorf("data %s of %s, %v", data, about, err)
		}
	}
}

// An outage must not make a caller throw its token away.
func TestABearerTokenThatCannotBeLookedAt(t *testing.T) {
	app := start(t, file(t, upstreamtest.New(t).URL, ""))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	good := federation.NewHandle(app.live.Load().registry.Tenants()[0].Place).String()
	if _, err := app.bearer(ctx, good); err == nil || !strings.HasPrefix(err.Error(), "503 ") {
		t.Errorf("an interrupted look: %v", err)
	}
	for _, given := range []string{"", "x", "nobody.0.x.y", good} {
		if _, err := app.bearer(t.Context(), given); err == nil || strings.HasPrefix(err.Error(), "503 ") {
			t.Errorf("%q: %v", given, err)
		}
	}
}
