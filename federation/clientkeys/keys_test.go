package clientkeys_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/federation/clientkeys"
)

func TestKeysAreFetchedWhenNeeded(t *testing.T) {
	p := publish(t, set(t, public(t, "p256", "a", "", "")))
	k, c := at(t, p)
	if p.hits.Load() != 0 {
		t.Error("fetched before anybody asked")
	}
	find := func(kid string, want bool, hits int64) {
		t.Helper()
		found, err := k.Find(t.Context(), named(kid))
		if want && (err != nil || len(found) != 1 || found[0].KeyID != kid) || !want && !errors.Is(err, clientkeys.ErrNone) {
			t.Errorf("%s: %v, %v", kid, found, err)
		}
		if p.hits.Load() != hits {
			t.Errorf("%s: fetched %d times, want %d", kid, p.hits.Load(), hits)
		}
	}
	find("a", true, 1)
	find("a", true, 1)
	find("b", false, 1) // it has just been looked
	c.advance(10 * time.Second)
	find("b", false, 2)
	find("b", false, 2)
	p.says(200, set(t, public(t, "p256", "b", "", "")))
	find("b", false, 2)
	c.advance(10 * time.Second)
	find("b", true, 3)
	find("a", false, 3)
	c.advance(time.Hour - time.Nanosecond)
	find("b", true, 3)
	c.advance(time.Nanosecond)
	find("b", true, 4)
	c.advance(-2 * time.Hour) // a clock that went back
	find("b", true, 5)
}

func TestRelyingPartiesSayHowLongKeysAreKept(t *testing.T) {
	for header, life := range map[string]time.Duration{
		"": time.Hour, "max-age=600": 10 * time.Minute, "public, MAX-AGE=\"600\"": 10 * time.Minute, "max-age=1": time.Minute, "no-store": time.Minute,
		"no-cache, max-age=600": time.Minute, "max-age=99999999": 24 * time.Hour, "max-age=9999999999999999999999": time.Minute, "max-age=-1": time.Minute,
		"private": time.Hour,
	} {
		p := publish(t, "")
		p.says(200, set(t, public(t, "p256", "a", "", "")), "Cache-Control", header)
		k, c := at(t, p)
		for want, step := range []time.Duration{0, life - time.Nanosecond, time.Nanosecond} {
			c.advance(step)
			if _, err := k.Find(t.Context(), named("a")); err != nil || p.hits.Load() != int64(1+want/2) {
				t.Errorf("%q: fetched %d times, %v", header, p.hits.Load(), err)
			}
		}
	}
}

// TestPublisherThatFails: known keys serve for a day, nothing known is an error
// that is no "none fits", and a broken publisher is not hammered.
func TestPublisherThatFails(t *testing.T) {
	good := set(t, public(t, "p256", "a", "", ""))
	for name, fault := range map[string]http.HandlerFunc{
		"500":        func(w http.ResponseWriter, _ *http.Request) { http.Error(w, good, 500) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"no JSON":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"a list":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("[]")) },
		"no keys":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) },
		"odd keys": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"keys":[{"kty":"oct","k":"AAAA"},5]}`))
		},
		"too large": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(good + strings.Repeat(" ", 128<<10)))
		},
		"no answer": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"half of one": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9999")
			_, _ = w.Write([]byte(good))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := publish(t, good)
			p.does(fault)
			k, c := at(t, p)
			for range 3 {
				if _, err := k.Find(t.Context(), named("a")); err == nil || errors.Is(err, clientkeys.ErrNone) {
					t.Fatalf("nothing known: %v", err)
				}
			}
			if p.hits.Load() != 1 {
				t.Errorf("asked %d times at once", p.hits.Load())
			}
			p.says(200, good)
			c.advance(10 * time.Second)
			if _, err := k.Find(t.Context(), named("a")); err != nil {
				t.Fatalf("it came back: %v", err)
			}
			p.does(fault)
			c.advance(time.Hour)
			hits := p.hits.Load()
			for range 3 {
				if _, err := k.Find(t.Context(), named("a")); err != nil {
					t.Fatalf("known keys: %v", err)
				}
			}
			c.advance(30 * time.Second)
			if _, err := k.Find(t.Context(), named("b")); err == nil || errors.Is(err, clientkeys.ErrNone) {
				t.Errorf("an unknown key, and nobody to ask: %v", err)
			}
			if p.hits.Load() != hits+1 {
				t.Errorf("asked %d times in a minute", p.hits.Load()-hits)
			}
			c.advance(24 * time.Hour)
			if _, err := k.Find(t.Context(), named("a")); err == nil {
				t.Error("keys that nobody could fetch for a day are used")
			}
		})
	}
}

// TestManyAskAtOnce: one fetch for all, who has given up does not end it, and a
// publisher that hangs does not hold up what is known.
func TestManyAskAtOnce(t *testing.T) {
	p := publish(t, "")
	release := make(chan struct{})
	p.does(func(w http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = w.Write([]byte(set(t, public(t, "p256", "a", "", ""))))
	})
	k, _ := at(t, p)
	gone, leave := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if _, err := k.Find(gone, named("a")); !errors.Is(err, context.Canceled) {
			t.Errorf("who left was told %v", err)
		}
	})
	for p.hits.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	for range 20 {
		group.Go(func() {
			if _, err := k.Find(t.Context(), named("a")); err != nil {
				t.Errorf("who waited was told %v", err)
			}
		})
	}
	leave()
	close(release)
	group.Wait()
	if p.hits.Load() != 1 {
		t.Errorf("fetched %d times", p.hits.Load())
	}
}

func TestWhichKeysAreKept(t *testing.T) {
	// 1024 bits of RSA, and one of 512 and of a curve that nobody knows.
	weak := `{"kty":"RSA","kid":"weak","e":"AQAB","n":"` + strings.Repeat("_", 170) + `"}`
	large := `{"kty":"RSA","kid":"large","e":"AQAB","n":"` + strings.Repeat("_", 1400) + `"}`
	odd := `{"kty":"OKP","kid":"odd","crv":"X9999","x":"AAAA"}`
	oct := `{"kty":"oct","kid":"oct","k":"AAECAwQFBgcICQoLDA0ODw"}`
	ops := strings.Replace(string(public(t, "p256", "ops", "", "")), `{`, `{"key_ops":["deriveKey"],`, 1)
	verify := strings.Replace(string(public(t, "p256", "verify", "", "")), `{`, `{"key_ops":["verify"],`, 1)
	private := string(mustJSON(t, jose.JSONWebKey{Key: ready()["p256"], KeyID: "private"}))
	off := `{"kty":"EC","kid":"off","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`
	body := `{"keys":[` + strings.Join([]string{weak, large, odd, oct, ops, verify, private, off, "5", "null", string(public(t, "ed", "ed", "sig", "")), string(public(t, "rsa", "rsa", "", ""))}, ",") + `],"more":1}`
	k, _ := at(t, publish(t, body))
	found, err := k.Find(t.Context(), func(jose.JSONWebKey) bool { return true })
	must(t, err)
	uses := map[string]string{}
	for _, key := range found {
		uses[key.KeyID] = key.Use
	}
	if len(uses) != 4 || uses["ops"] != "enc" || uses["verify"] != "sig" || uses["ed"] != "sig" || uses["rsa"] != "" {
		t.Errorf("%v", uses)
	}
	for name, bad := range map[string]string{"weak": weak, "large": large, "odd": odd, "oct": oct, "private": private, "off the curve": off, "a number": "5"} {
		if _, err := clientkeys.Parse([]byte(`{"keys":[` + bad + `]}`)); err == nil || strings.Contains(err.Error(), "AAA") {
			t.Errorf("%s in the configuration: %v", name, err)
		}
	}
	for name, bad := range map[string]string{"nothing": ``, "no set": `{}`, "no keys": `{"keys":[]}`, "a list": `[]`, "many": set(t, many(t)...)} {
		if _, err := clientkeys.Parse([]byte(bad)); err == nil {
			t.Errorf("%s passes in the configuration", name)
		}
	}
	if keys, err := clientkeys.Parse([]byte(set(t, public(t, "rsa", "r", "", ""), public(t, "p521", "e", "enc", "")))); err != nil || len(keys) != 2 {
		t.Errorf("%d, %v", len(keys), err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]clientkeys.Options{
		"nothing": {}, "both": {Inline: []jose.JSONWebKey{{}}, URI: "https://x.example"}, "no client": {URI: "https://x.example"},
	} {
		if _, err := clientkeys.New(o); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}
