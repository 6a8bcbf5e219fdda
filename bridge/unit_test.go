package bridge

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

func TestUserJSON(t *testing.T) {
	at := time.Date(2026, 11, 20, 16, 7, 24, 0, time.FixedZone("", 3600))
	for name, tc := range map[string]struct {
		u    User
		want string
	}{
		"bare": {User{Tenant: "acme", ID: "x"}, `{"tenant":"acme","id":"x","customer":"","email":"","email_verified":false,"blocked":false}`},
		"full": {
			User{Tenant: "acme", ID: "x", Customer: "c", Email: "e", CreateTime: at, UpdateTime: at.Add(108 * time.Millisecond), LoginTime: at.Add(1500), LoginsCount: new(int64(1<<53 + 1)), EmailVerified: true, Blocked: true},
			`{"tenant":"acme","id":"x","customer":"c","email":"e","create_time":"2026-11-20T15:07:24Z","update_time":"2026-11-20T15:07:24.108Z","logins_count":"9007199254740993","login_time":"2026-11-20T15:07:24.000001500Z","email_verified":true,"blocked":true}`,
		},
		"impossible": {
			User{Tenant: "acme", ID: "x", CreateTime: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), UpdateTime: at.Add(2 * time.Microsecond), LoginsCount: new(int64(-1))},
			`{"tenant":"acme","id":"x","customer":"","email":"","update_time":"2026-11-20T15:07:24.000002Z","email_verified":false,"blocked":false}`,
		},
	} {
		if got, err := json.Marshal(tc.u); err != nil || string(got) != tc.want {
			t.Errorf("%s:\ngot  %s %v\nwant %s", name, got, err, tc.want)
		}
	}
}

func TestNormalEmail(t *testing.T) {
	for in, want := range map[string]string{
		"Ada@Example.ORG": "ada@example.org", "a+b@x.de": "a+b@x.de", "jose\u0301@x.de": "josé@x.de", "JOSÉ@x.de": "josé@x.de",
		"a@bücher.example": "a@xn--bcher-kva.example", "a@XN--BCHER-KVA.example": "a@xn--bcher-kva.example", "root@localhost": "root@localhost",
		"": "", "a": "", "@x.de": "", "a@": "", "a b@x.de": "", "a@b@c": "", "a@x.de\r\nBcc: b@x.de": "", "a\r\n@x.de": "", "<a@x.de>": "", `"a"@x.de`: "",
		"a@[127.0.0.1]": "", "a@x..de": "", "a@-x.de": "", "a,b@x.de": "", "a\u200b@x.de": "", "a\xff@x.de": "", strings.Repeat("a", 250) + "@x.de": "",
	} {
		got, err := NormalEmail(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
		if err != nil && KindOf(err) != KindMalformedEmail {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// The normal form is a fixed point, and an address that could break a header
// or a command has none.
func FuzzNormalEmail(f *testing.F) {
	for _, seed := range []string{"Ada@Example.org", "info@BÜCHER.example", "İ@x.de", "a@ß.de", "ﬁ@x.de", "a@x.de\r\nX: y", "a@１.de"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		normal, err := NormalEmail(address)
		if err != nil {
			return
		}
		if again, err := NormalEmail(normal); err != nil || again != normal {
			t.Fatalf("%q became %q, and that became %q, %v", address, normal, again, err)
		}
		if strings.ContainsAny(normal, "\r\n\x00<> ,;\"") || strings.Count(normal, "@") != 1 {
			t.Fatalf("%q became %q", address, normal)
		}
	})
}

// What is read as a token is exactly what one is written as.
func FuzzParseToken(f *testing.F) {
	good := token{at: store.Place{Tenant: "acme", Partition: 7}, record: linkRecord(store.Place{Tenant: "acme"}, "p"), secret: newSecret()}.String()
	for _, seed := range []string{good, strings.ToUpper(good), good + ".", "acme.07" + good[6:], "", "....", good[:10] + "\n\n\n\n" + good[10:]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, ok := parseToken(text)
		if ok && (k.String() != text || len(k.secret) != 43 || len(k.record) != 22) {
			t.Fatalf("%q was read as %q", text, k)
		}
	})
}

func TestSequenceWaitsAndGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sequence
		leave, err := s.enter(t.Context(), "a", time.Second)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := s.enter(t.Context(), "a", 5*time.Second); KindOf(err) != KindConcurrent {
			t.Errorf("got %v", err)
		}
		if waited := time.Since(began); waited != 5*time.Second {
			t.Errorf("waited %v", waited)
		}
		other, err := s.enter(t.Context(), "b", 0)
		if err != nil {
			t.Errorf("another key: %v", err)
		}
		other()
		var wg sync.WaitGroup
		wg.Go(func() {
			again, err := s.enter(t.Context(), "a", time.Minute)
			if err != nil {
				t.Errorf("after the holder has left: %v", err)
				return
			}
			again()
		})
		time.Sleep(30 * time.Second)
		leave()
		wg.Wait()
		if n := s.size(); n != 0 {
			t.Errorf("%d keys are left", n)
		}
	})
}

// However many come and go, one is inside at a time, and nothing is left.
func TestSequenceLeavesNothing(t *testing.T) {
	var s sequence
	inside := make(map[string]int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for j := range 200 {
				key := fmt.Sprint((i + j) % 7)
				leave, err := s.enter(t.Context(), key, time.Minute)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if inside[key]++; inside[key] != 1 {
					t.Errorf("%d are inside %s", inside[key], key)
				}
				mu.Unlock()
				mu.Lock()
				inside[key]--
				mu.Unlock()
				leave()
			}
		})
	}
	wg.Wait()
	if n := s.size(); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}

func TestEveryKindIsTold(t *testing.T) {
	for _, k := range []Kind{
		KindNotFound, KindAmbiguous, KindBlocked, KindNoEmail, KindEmailChanged, KindConcurrent, KindThrottled, KindUnavailable,
		KindCredentials, KindNotSupported, KindMailNotSupported, KindMalformedID, KindMalformedEmail, KindMalformedCustomer, KindGone,
	} {
		if p := Fail(k).problem(); p.Code != string(k) || p.Title == "" || p.ErrorCode == "" || p.Status < 400 {
			t.Errorf("%s: %+v", k, p)
		}
	}
}

func TestNewRefusesHalfAService(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("a service of nothing was made")
	}
	if _, err := NewHandler(HandlerOptions{}); err == nil {
		t.Error("a handler of nothing was made")
	}
	if _, err := NewPages(nil); err == nil {
		t.Error("pages of nothing were made")
	}
}
