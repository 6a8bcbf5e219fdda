//go:build bench

package bench

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// party is a relying party: it signs users in at Drawbridge and holds what it gets to the standard.
type party struct {
	id, alg  string
	http     *http.Client
	issuer   string
	verifier *oidc.IDTokenVerifier
}

// tokens are the answer of the token endpoint.
type tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	IDToken      string `json:"id_token"`
}

func newParty(t *testing.T, d *drawbridge, id, alg string) *party {
	t.Helper()
	p := &party{id: id, alg: alg, http: newClient(), issuer: d.public}
	found, err := oidc.NewProvider(oidc.ClientContext(t.Context(), p.http), d.public)
	if err != nil {
		t.Fatal(err)
	}
	p.verifier = found.VerifierContext(oidc.ClientContext(t.Context(), p.http), &oidc.Config{ClientID: id, SupportedSigningAlgs: []string{alg}})
	return p
}

// login takes a new browser through a whole federated login: authorize, upstream, callback, token, userinfo.
func (p *party) login(t *testing.T, user string) (tokens, error) {
	got, err := p.signIn(t, user)
	if err != nil {
		return got, fmt.Errorf("sign in as %s: %w", user, err)
	}
	return got, p.userinfo(got.AccessToken)
}

// signIn is a login up to the tokens.
func (p *party) signIn(t *testing.T, user string) (tokens, error) {
	verifier, state, nonce := rand.Text()+rand.Text(), rand.Text(), rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	toUpstream, cookie, err := p.hop(p.issuer+"/authorize?"+url.Values{
		"client_id": {p.id}, "redirect_uri": {redirectURI}, "response_type": {"code"}, "scope": {"openid profile email"}, "state": {state},
		"nonce": {nonce}, "login_hint": {user}, "code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])},
	}.Encode(), "")
	if err != nil {
		return tokens{}, err
	}
	back, _, err := p.hop(toUpstream, "")
	if err != nil {
		return tokens{}, err
	}
	done, _, err := p.hop(back, cookie)
	if err != nil {
		return tokens{}, err
	}
	u, err := url.Parse(done)
	if err != nil {
		return tokens{}, err
	}
	q := u.Query()
	if !strings.HasPrefix(done, redirectURI+"?") || q.Get("state") != state || q.Get("code") == "" {
		return tokens{}, fmt.Errorf("sent back to %s", done)
	}
	return p.token(t, nonce, url.Values{
		"grant_type": {"authorization_code"}, "code": {q.Get("code")}, "redirect_uri": {redirectURI}, "code_verifier": {verifier},
	})
}

// refresh trades a refresh token for new tokens.
func (p *party) refresh(t *testing.T, have tokens) (tokens, error) {
	got, err := p.token(t, "", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {have.RefreshToken}})
	if err == nil && got.RefreshToken == "" {
		err = errors.New("a refresh gave no refresh token")
	}
	return got, err
}

// hop is one redirect of a browser. It answers where to, and the first cookie that was set as the browser sends it back.
func (p *party) hop(address, cookie string) (to, set string, err error) {
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return "", "", err
	}
	if cookie != "" {
		request.Header.Set("Cookie", cookie)
	}
	response, err := p.http.Do(request)
	if err != nil {
		return "", "", err
	}
	if to = response.Header.Get("Location"); to == "" {
		err = fmt.Errorf("%s answers %s without a redirect", request.URL.Path, response.Status)
	}
	set, _, _ = strings.Cut(response.Header.Get("Set-Cookie"), ";")
	return to, set, errors.Join(err, drain(response.Body))
}

func (p *party) token(t *testing.T, nonce string, form url.Values) (got tokens, err error) {
	request, err := http.NewRequest(http.MethodPost, p.issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return got, err
	}
	request.SetBasicAuth(p.id, clientSecret)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if err := p.read(request, &got); err != nil {
		return got, err
	}
	id, err := p.verifier.Verify(t.Context(), got.IDToken)
	if err != nil {
		return got, err
	}
	var said struct {
		Department string `json:"department"`
	}
	if err := id.Claims(&said); err != nil || id.Nonce != nonce || said.Department != "engineering" {
		return got, fmt.Errorf("the ID token of %s says department %q and nonce %q (%w)", id.Subject, said.Department, id.Nonce, err)
	}
	return got, nil
}

// userinfo reads what the upstream and the hook said.
func (p *party) userinfo(accessToken string) error {
	request, err := http.NewRequest(http.MethodGet, p.issuer+"/userinfo", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+accessToken)
	var said struct {
		Email string `json:"email"`
		Tier  string `json:"tier"`
	}
	if err := p.read(request, &said); err != nil {
		return err
	}
	if !strings.HasSuffix(said.Email, "@corp.example") || said.Tier != "gold" && p.id != "patient" {
		return fmt.Errorf("userinfo says e-mail %q and tier %q", said.Email, said.Tier)
	}
	return nil
}

func (p *party) read(request *http.Request, into any) error {
	response, err := p.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s (%w)", request.URL.Path, response.Status, err)
	}
	return drain(response.Body)
}

// browsers is how many work at once where nothing else is said.
const browsers = 16

// crowd does a piece of work n times with some at once, each beginning the next when one is done (closed loop), and says
// how long each took. The work is told its number. The first error ends it and fails the test.
func crowd(t *testing.T, atOnce, n int, work func(i int) error) []time.Duration {
	t.Helper()
	took := make([]time.Duration, n)
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	for range atOnce {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failed.Load() == nil; i = int(next.Add(1)) - 1 {
				began := time.Now()
				if err := work(i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
				took[i] = time.Since(began)
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		t.Fatal(*err)
	}
	return took
}

// userOf is one of a thousand users: most have been seen before, as in a house that is in use.
func userOf(i int) string { return "user-" + strconv.Itoa(i%1000) }

// middle is the p50 in milliseconds.
func middle(took []time.Duration) float64 { return part(took, 0.5) }

// part is a quantile in milliseconds.
func part(took []time.Duration, q float64) float64 {
	all := make([]float64, len(took))
	for i, d := range took {
		all[i] = milliseconds(d)
	}
	return quantile(all, q)
}
