package op_test

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
)

// form is the media type of what clients post.
const form = "application/x-www-form-urlencoded"

// badCall is a call of the token endpoint, and the standard error it gets.
type badCall struct {
	body, auth, kind string
	status           int
	code             string
}

// badCalls are made of what shop was given: tokens, a code with PKCE, and one
// without.
func badCalls(shop *party, got tokens, code, plain string) map[string]badCall {
	_, basic := shop.authenticated(nil)
	header := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	redeem := func(more string) string { return redemption(code) + more }
	change := func(f func(url.Values)) string {
		q, _ := url.ParseQuery(redemption(code))
		f(q)
		return q.Encode()
	}
	without := func(name string) string { return change(func(q url.Values) { q.Del(name) }) }
	with := func(name, value string) string { return change(func(q url.Values) { q.Set(name, value) }) }
	return map[string]badCall{
		"nothing":                   {"", "", form, 401, "invalid_client"},
		"no type":                   {redeem(""), basic, "", 400, "invalid_request"},
		"JSON":                      {`{"grant_type":"authorization_code"}`, basic, "application/json", 400, "invalid_request"},
		"malformed":                 {redeem("&%zz"), basic, form, 400, "invalid_request"},
		"too large":                 {redeem("&x=" + strings.Repeat("x", 20<<10)), basic, form, 400, "invalid_request"},
		"no client":                 {redeem(""), "", form, 401, "invalid_client"},
		"unknown client":            {redeem(""), header("nobody:x"), form, 401, "invalid_client"},
		"wrong secret":              {redeem(""), header("shop:wrong"), form, 401, "invalid_client"},
		"no secret":                 {redeem(""), header("shop:"), form, 401, "invalid_client"},
		"no colon":                  {redeem(""), header("shop"), form, 401, "invalid_client"},
		"not encoded":               {redeem(""), header("shop:shop secret: 100% & more"), form, 401, "invalid_client"},
		"no base64":                 {redeem(""), "Basic !!", form, 401, "invalid_client"},
		"another scheme":            {redeem(""), "Bearer " + got.Access, form, 401, "invalid_client"},
		"secret in the body":        {redeem("&client_id=shop&client_secret=shop+secret%3A+100%25+%26+more"), "", form, 401, "invalid_client"},
		"secret in two places":      {redeem("&client_id=shop&client_secret=x"), basic, form, 400, "invalid_request"},
		"two names":                 {redeem("&client_id=post"), basic, form, 400, "invalid_request"},
		"as a public client":        {redeem("&client_id=shop"), "", form, 401, "invalid_client"},
		"public with a secret":      {redeem("&client_id=spa&client_secret=x"), "", form, 401, "invalid_client"},
		"public by header":          {redeem(""), header("spa:"), form, 401, "invalid_client"},
		"no grant type":             {without("grant_type"), basic, form, 400, "invalid_request"},
		"empty grant type":          {with("grant_type", ""), basic, form, 400, "invalid_request"},
		"unknown grant type":        {with("grant_type", "password"), basic, form, 400, "unsupported_grant_type"},
		"client_credentials":        {with("grant_type", "client_credentials"), basic, form, 400, "unsupported_grant_type"},
		"grant type in other case":  {with("grant_type", "Authorization_Code"), basic, form, 400, "unsupported_grant_type"},
		"grant type twice":          {redeem("&grant_type=authorization_code"), basic, form, 400, "invalid_request"},
		"long grant type":           {with("grant_type", strings.Repeat("g", 5000)), basic, form, 400, "invalid_request"},
		"no code":                   {without("code"), basic, form, 400, "invalid_request"},
		"empty code":                {with("code", ""), basic, form, 400, "invalid_request"},
		"code twice":                {redeem("&code=" + code), basic, form, 400, "invalid_request"},
		"code, no text":             {with("code", "\xff"), basic, form, 400, "invalid_request"},
		"code with NUL":             {with("code", code+"\x00"), basic, form, 400, "invalid_request"},
		"long code":                 {with("code", strings.Repeat("c", 5000)), basic, form, 400, "invalid_request"},
		"no such code":              {with("code", code[:len(code)-1]+"_"), basic, form, 400, "invalid_grant"},
		"code in another case":      {with("code", strings.ToUpper(code)), basic, form, 400, "invalid_grant"},
		"code with a space":         {with("code", code+" "), basic, form, 400, "invalid_grant"},
		"code of another tenant":    {with("code", "acme"+strings.TrimPrefix(code, "default")), basic, form, 400, "invalid_grant"},
		"code of another partition": {with("code", strings.Replace(code, ".0.", ".1.", 1)), basic, form, 400, "invalid_grant"},
		"an access token":           {with("code", got.Access), basic, form, 400, "invalid_grant"},
		"a refresh token":           {with("code", got.Refresh), basic, form, 400, "invalid_grant"},
		"no redirect_uri":           {without("redirect_uri"), basic, form, 400, "invalid_grant"},
		"another redirect_uri":      {with("redirect_uri", "https://shop.example/cb?tenant=a%20b"), basic, form, 400, "invalid_grant"},
		"redirect_uri twice":        {redeem("&redirect_uri=x"), basic, form, 400, "invalid_request"},
		"no verifier":               {without("code_verifier"), basic, form, 400, "invalid_grant"},
		"wrong verifier":            {with("code_verifier", strings.Repeat("v", 43)), basic, form, 400, "invalid_grant"},
		"short verifier":            {with("code_verifier", "v"), basic, form, 400, "invalid_grant"},
		"the challenge":             {with("code_verifier", challengeOf(verifier)), basic, form, 400, "invalid_grant"},
		"verifier for nothing":      {with("code", plain), basic, form, 400, "invalid_grant"},
		"no refresh token":          {"grant_type=refresh_token", basic, form, 400, "invalid_request"},
		"no such refresh token":     {"grant_type=refresh_token&refresh_token=" + got.Refresh[:len(got.Refresh)-1] + "_", basic, form, 400, "invalid_grant"},
		"a later generation":        {"grant_type=refresh_token&refresh_token=" + later(got.Refresh), basic, form, 400, "invalid_grant"},
		"an access token again":     {"grant_type=refresh_token&refresh_token=" + got.Access, basic, form, 400, "invalid_grant"},
		"refresh token twice":       {"grant_type=refresh_token&refresh_token=" + got.Refresh + "&refresh_token=x", basic, form, 400, "invalid_request"},
		"more scope":                {"grant_type=refresh_token&scope=openid+phone&refresh_token=" + got.Refresh, basic, form, 400, "invalid_scope"},
		"scope twice":               {"grant_type=refresh_token&scope=openid&scope=email&refresh_token=" + got.Refresh, basic, form, 400, "invalid_request"},
		"another client refreshes":  {"grant_type=refresh_token&client_id=spa&refresh_token=" + got.Refresh, "", form, 400, "invalid_grant"},
		"another client redeems":    {redeem("&client_id=spa"), "", form, 400, "invalid_grant"},
	}
}

// redemption is the body that spends a code of shop with PKCE.
func redemption(code string) string {
	return "grant_type=authorization_code&code=" + code + "&redirect_uri=https%3A%2F%2Fshop.example%2Fcb&code_verifier=" + verifier
}

// TestTokenEndpointBadInput: a standard error in JSON, and nothing changed.
func TestTokenEndpointBadInput(t *testing.T) {
	h := open(t)
	shop, spa, b := h.party("default", "shop"), h.party("default", "spa"), h.browser()
	got := shop.signIn(b)
	code := shop.code(b.get(shop.ask("code_challenge", challengeOf(verifier), "code_challenge_method", "S256")))
	plain := shop.code(b.get(shop.ask()))
	_, basic := shop.authenticated(nil)
	for name, tc := range badCalls(shop, got, code, plain) {
		h.unchanged(name, func() {
			answer := shop.call("/token", tc.body, "Authorization", tc.auth, "Content-Type", tc.kind)
			if answer.status != tc.status || answer.Error != tc.code || answer.Access != "" || answer.ID != "" {
				t.Errorf("%s: %d %s (%s)", name, answer.status, answer.Error, answer.Reason)
			}
			if strings.ContainsAny(answer.Reason, "\r\n\t\"\\") || answer.Reason == "" || answer.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %q %v", name, answer.Reason, answer.header)
			}
			if challenge := answer.header.Get("WWW-Authenticate"); (challenge != "") != (tc.status == 401 && tc.auth != "") {
				t.Errorf("%s: challenge %q", name, challenge)
			}
		})
	}
	h.unchanged("two headers", func() {
		if answer := shop.call("/token", redemption(code), "Authorization", basic, "Authorization", basic, "Content-Type", form); answer.Error != "invalid_request" {
			t.Errorf("%+v", answer)
		}
		if answer := shop.call("/token?"+redemption(code), "", "Authorization", basic, "Content-Type", form); answer.Error != "invalid_request" {
			t.Errorf("parameters in the address: %+v", answer)
		}
	})
	// All of that has cost nobody a thing.
	if answer := shop.call("/token", redemption(code)+"&client_id=shop", "Authorization", basic, "Content-Type", form); answer.status != 200 {
		t.Errorf("%+v", answer)
	}
	if answer := shop.redeem(plain); answer.status != 200 || shop.refresh(got.Refresh).status != 200 {
		t.Errorf("%+v", answer)
	}
	if once := h.party("default", "once"); once.refresh(got.Refresh).Error != "unauthorized_client" {
		t.Error("a grant type that the client may not use")
	}
	if spa.redeem(spa.code(b.get(spa.ask()))).status != 200 || !h.lines.has("client not authenticated", "nobody") || !h.lines.has("token refused", "invalid_grant") {
		t.Error("no audit")
	}
	if contains(h.lines.all(), "shop secret") || contains(h.lines.all(), code) || contains(h.lines.all(), got.Refresh) {
		t.Error("a secret is in the log")
	}
}

// later is a refresh token with a number that its holder made up.
func later(token string) string {
	part := strings.Split(token, ".")
	part[3] = "7"
	return strings.Join(part, ".")
}

func TestRevokeBadInput(t *testing.T) {
	h := open(t)
	shop := h.party("default", "shop")
	got := shop.signIn(h.browser())
	_, basic := shop.authenticated(nil)
	for name, tc := range map[string]struct {
		body, auth, kind string
		status           int
		code             string
	}{
		"nothing":       {"", basic, form, 400, "invalid_request"},
		"empty":         {"token=", basic, form, 400, "invalid_request"},
		"twice":         {"token=a&token=b", basic, form, 400, "invalid_request"},
		"no client":     {"token=" + got.Access, "", form, 401, "invalid_client"},
		"public":        {"token=" + got.Access + "&client_id=spa", "", form, 400, "invalid_grant"},
		"no form":       {"token=" + got.Access, basic, "text/plain", 400, "invalid_request"},
		"long":          {"token=" + strings.Repeat("x", 17_000), basic, form, 400, "invalid_request"},
		"NUL":           {"token=%00", basic, form, 400, "invalid_request"},
		"unknown":       {"token=" + got.Access[:len(got.Access)-1] + "_", basic, form, 200, ""},
		"no generation": {"token=" + later(got.Refresh), basic, form, 200, ""},
		"an ID token":   {"token=" + got.ID + "&token_type_hint=id_token", basic, form, 200, ""},
	} {
		h.unchanged(name, func() {
			if answer := shop.call("/revoke", tc.body, "Authorization", tc.auth, "Content-Type", tc.kind); answer.status != tc.status || answer.Error != tc.code {
				t.Errorf("%s: %d %s", name, answer.status, answer.Error)
			}
		})
	}
	if answer := shop.call("/revoke", "token_type_hint=access_token&token="+got.Refresh, "Authorization", basic, "Content-Type", form); answer.status != 200 || shop.live(got.Access) {
		t.Errorf("a wrong hint: %+v", answer)
	}
}
