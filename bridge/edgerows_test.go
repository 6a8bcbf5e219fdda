package bridge_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/bridge"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// selecting are the rows about how a user is named.
func selecting() []edgeCase {
	long := strings.Repeat("x", 257)
	return []edgeCase{
		{"01 unknown id", knobs{}, []step{get(users+"/"+nobody, 404, "user_not_found", has("error_code", "2001"))}},
		{"02 unknown email or customer", knobs{}, []step{
			get(users+"?email=nobody@example.org", 404, "user_not_found"), get(users+"?customer=nobody", 404, "user_not_found"),
			post(users+"/lookup", `{"email":"nobody@example.org"}`, 404, "user_not_found"),
		}},
		{"03 ids that are none", knobs{}, []step{
			get(users+"/", 400, "malformed_id", untouched), get(users+"/.", 400, "malformed_id", untouched),
			get(users+"/..", 400, "malformed_id", untouched), get(users+"/%2e%2e", 400, "malformed_id", untouched),
			get(users+"/%00", 400, "malformed_id", untouched), get(users+"/a%0Ab", 400, "malformed_id", untouched),
			get(users+"/%ff", 400, "malformed_id", untouched), get(users+"/%7f", 400, "malformed_id", untouched),
			get(users+"/"+long, 400, "malformed_id", untouched), del(users+"/%2e%2e", 400, "malformed_id", untouched),
			put(users+"/../email-verified", "", 400, "malformed_id", untouched), post(users+"//verification-email", "", 400, "malformed_id", untouched),
		}},
		{"04 id of another form", knobs{}, []step{
			get(users+"/42", 404, "user_not_found", untouched), get(users+"/urn:uuid:"+ada, 404, "user_not_found", untouched),
			get(users+"/corp%7C", 404, "user_not_found", untouched), get(users+"/%7C65a1", 404, "user_not_found", untouched),
			get(users+"/"+strings.ToUpper(ada), 200, "", has("id", ada)), get(users+"/corp%7C65a1", 200, "", has("id", ada)),
			get(users+"/corp|65a1", 200, "", has("id", ada)), get(users+"/other%7C65a1", 404, "user_not_found"),
		}},
		{"05 customer id of odd bytes", knobs{}, []step{
			get(users+"?customer=C%2F100%25%20%3F%23%C3%BC", 200, "", has("id", ada, "customer", "C/100% ?#ü")),
			post(users+"/lookup", `{"customer":"C/100% ?#ü"}`, 200, "", has("id", ada)),
			get(users+"?customer=C%2F100", 404, "user_not_found"), get(users+"?customer=", 400, "malformed_customer"),
			post(users+"/lookup", `{"customer":"a\u0000b"}`, 400, "malformed_customer"),
		}},
		{"06 plus that became a space", knobs{}, []step{
			get(users+"?email=ada+shop@example.org", 400, "malformed_email", func(t *testing.T, _ *house, a answer) {
				if detail, _ := a.body["detail"].(string); !strings.Contains(detail, "%2B") {
					t.Errorf("no hint in %q", detail)
				}
			}),
			get(users+"?email=ada%2Bshop@example.org", 200, "", has("id", plus)),
		}},
		{"07 semicolon in the query", knobs{}, []step{
			get(users+"?email=ada@example.org;customer=x", 400, "malformed_query", untouched), get(users+"?a=b;c", 400, "malformed_query", untouched),
			get(users+"?email=%zz", 400, "malformed_query", untouched),
		}},
		{"08 not exactly one selector", knobs{}, []step{
			get(users, 400, "exactly_one_selector"), get(users+"?email=a@b.c&customer=x", 400, "exactly_one_selector"),
			get(users+"?email=a@b.c&email=a@b.c", 400, "exactly_one_selector"), get(users+"?id="+ada, 400, "unknown_parameter"),
			post(users+"/lookup", `{}`, 400, "exactly_one_selector"), post(users+"/lookup", `{"email":"a@b.c","customer":"x"}`, 400, "exactly_one_selector"),
			post(users+"/lookup", `{"email":null}`, 400, "exactly_one_selector"), get(users+"/"+ada+"?x=1", 400, "unknown_parameter"),
		}},
		{"09 email in another case", knobs{}, []step{
			get(users+"?email=ADA@EXAMPLE.ORG", 200, "", has("id", ada, "email", "Ada@Example.org")),
			post(users+"/lookup", `{"email":"aDA@example.ORG"}`, 200, "", has("email", "Ada@Example.org")),
		}},
		{"10 IDN domain", knobs{}, []step{
			get(users+"?email=info@b%C3%BCcher.example", 200, "", has("id", idn)), get(users+"?email=info@xn--bcher-kva.example", 200, "", has("id", idn)),
			get(users+"?email=info@BU%CC%88CHER.example", 200, "", has("id", idn)), get(users+"?email=info@xn--a.example", 400, "malformed_email"),
			get(users+"?email=info@-x-.example", 400, "malformed_email"),
		}},
		{"11 local part that is not ASCII", knobs{}, []step{
			get(users+"?email=jose%CC%81@example.org", 200, "", has("id", eai)),
			post(users+"/"+eai+"/verification-email", "", 501, "mail_not_supported", has("error_code", "2009")),
			post(reset, `{"email":"josé@example.org"}`, 501, "mail_not_supported"), post(reset, `{"email":"noël@example.org"}`, 501, "mail_not_supported", mailed("reset", 0)),
		}},
		{"11 local part that is not ASCII, relay that can", knobs{options: func(o *bridge.Options) { o.InternationalMail = true }}, []step{
			post(users+"/"+eai+"/verification-email", "", 202, "", mailed("verify", 1)),
		}},
		{"12 plus-address", knobs{}, []step{
			get(users+"?email=ada%2Bshop@example.org", 200, "", has("id", plus)), get(users+"?email=ada%2Bother@example.org", 404, "user_not_found"),
			get(users+"?email=a.da@example.org", 404, "user_not_found"),
		}},
		{"13 two users match", knobs{}, []step{
			get(users+"?email=twin@example.org", 409, "ambiguous", func(t *testing.T, _ *house, a answer) {
				if strings.Contains(string(a.raw), twin1) || a.body["error_code"] != "2002" {
					t.Errorf("the answer tells who: %s", a.raw)
				}
			}),
			get(users+"?customer=twin", 409, "ambiguous"),
			get(users+"?email=vera@example.org", 200, "", has("id", vera)), // whose address it is goes before who says so
		}},
	}
}

// changing are the rows about what is done to a user.
func changing() []edgeCase {
	return []edgeCase{
		{"15 user without customer or email", knobs{}, []step{
			get(users+"/"+eve, 200, "", has("customer", "", "email", "", "email_verified", false, "blocked", false, "logins_count", "0")),
			put(users+"/"+eve+"/email-verified", "", 409, "no_email"), post(users+"/"+eve+"/verification-email", "", 409, "no_email", has("error_code", "2004")),
		}},
		{"16 blocked user, get", knobs{}, []step{get(users+"/"+bob, 200, "", has("blocked", true))}},
		{"17 blocked user, mails", knobs{}, []step{
			post(users+"/"+bob+"/verification-email", "", 409, "user_blocked", has("error_code", "2003")),
			post(reset, `{"email":"bob@example.org"}`, 202, "", deliversNothing),
		}},
		{"18 delete twice", knobs{}, []step{
			del(users+"/corp%7C65a1", 204, ""), del(users+"/"+ada, 404, "user_not_found"), get(users+"/"+ada, 404, "user_not_found"),
		}},
		{"18 delete twice, missing is deleted", knobs{handler: func(o *bridge.HandlerOptions) { o.MissingIsDeleted = true }}, []step{
			del(users+"/"+ada, 204, ""), del(users+"/"+ada, 204, ""), del(users+"/..", 400, "malformed_id"),
		}},
		{"20 mark verified twice, or an old address", knobs{}, []step{
			put(users+"/"+ada+"/email-verified", "", 204, ""), put(users+"/"+ada+"/email-verified", `{"email":"ADA@example.org"}`, 204, ""),
			get(users+"/"+ada, 200, "", has("email_verified", true)),
			put(users+"/"+plus+"/email-verified", `{"email":"old@example.org"}`, 409, "email_changed", has("error_code", "2005")),
			put(users+"/"+plus+"/email-verified", `{"email":""}`, 400, "malformed_email"), get(users+"/"+plus, 200, "", has("email_verified", false)),
		}},
		{"21 verification mail for a verified address", knobs{}, []step{
			post(users+"/"+vera+"/verification-email", "", 204, "", mailed("verify", 0)), post(users+"/"+ada+"/verification-email", "{}", 202, "", mailed("verify", 1)),
		}},
		{"22 reset for anybody", knobs{}, sameForAll(reset)},
		{"23 repeated send", knobs{options: func(o *bridge.Options) { o.PerAddress = bridge.Rate{Burst: 2, Every: time.Minute} }}, []step{
			post(reset, `{"email":"ada@example.org"}`, 202, ""), post(reset, `{"email":"ADA@example.org"}`, 202, ""),
			post(reset, `{"email":"Ada@EXAMPLE.org"}`, 429, "too_many_requests", header("Retry-After", "60")),
			post(reset, `{"email":"nobody@example.org"}`, 202, ""), post(reset, `{"email":"nobody@example.org"}`, 202, ""),
			post(reset, `{"email":"nobody@example.org"}`, 429, "too_many_requests", header("Retry-After", "60")),
			post(users+"/"+ada+"/verification-email", "", 202, ""), // another operation
		}},
		{"23 busy caller", knobs{options: func(o *bridge.Options) { o.PerCaller = bridge.Rate{Burst: 2, Every: time.Hour} }}, []step{
			post(reset, `{"email":"a@example.org"}`, 202, ""), post(users+"/"+nobody+"/verification-email", "", 404, "user_not_found"),
			post(reset, `{"email":"b@example.org"}`, 429, "too_many_requests", header("Retry-After")),
			as("both", http.MethodPost, reset, `{"email":"b@example.org"}`, 202, ""), get(users+"/"+ada, 200, ""),
		}},
	}
}

// calling are the rows about who may call, for whom, and what for.
func calling() []edgeCase {
	return []edgeCase{
		{"31 impossible operation", knobs{directory: func(d *bridge.Directory) {
			*d = bridge.Directory{Get: d.Get}
		}}, []step{
			get(users+"/"+ada, 200, ""), get(users+"?email=ada@example.org", 501, "not_supported"), get(users+"?customer=x", 501, "not_supported"),
			del(users+"/"+ada, 501, "not_supported", has("error_code", "2009")), put(users+"/"+ada+"/email-verified", "", 501, "not_supported"),
			post(users+"/"+ada+"/verification-email", "", 501, "not_supported"), post(reset, `{"email":"ada@example.org"}`, 501, "not_supported"),
			get("/v1/capabilities", 200, "", abilities("native", "none", "none", "none", "none", "none", "none")),
		}},
		{"31 a directory that only finds", knobs{directory: func(d *bridge.Directory) { d.Get = nil }}, []step{
			get(users+"/"+ada, 501, "not_supported"), del(users+"/"+ada, 501, "not_supported"), put(users+"/"+ada+"/email-verified", "", 501, "not_supported"),
			post(users+"/"+ada+"/verification-email", "", 501, "not_supported"), get(users+"?email=ada@example.org", 200, ""),
			get("/v1/capabilities", 200, "", abilities("none", "native", "native", "none", "none", "none", "emulated")),
		}},
		{"31 no reset page anywhere", knobs{pages: map[string]string{}}, []step{
			post(reset, `{"email":"ada@example.org"}`, 501, "not_supported"), post(reset, `{"email":"nobody@example.org"}`, 501, "not_supported", untouched),
			get("/v1/capabilities", 200, "", abilities("native", "native", "native", "native", "native", "emulated", "none")),
		}},
		{"31 no mail", knobs{options: func(o *bridge.Options) { o.Enqueue = nil }}, []step{
			post(users+"/"+ada+"/verification-email", "", 501, "not_supported"), post(reset, `{"email":"ada@example.org"}`, 501, "not_supported"),
		}},
		{"31 all can be done", knobs{}, []step{
			get("/v1/tenants/acme/capabilities", 200, "", abilities("native", "native", "native", "native", "native", "emulated", "emulated")),
		}},
		{"32 tenants", knobs{}, []step{
			get("/v1/users/"+ada, 200, "", has("tenant", "acme")), with(get("/v1/users/"+ada, 200, ""), "X-IRM-TenantId: "+acmeUUID),
			with(get(users+"/"+ada, 200, ""), "X-IRM-TenantId: "+strings.ToUpper(acmeUUID)),
			with(get(users+"/"+ada, 400, "tenant_mismatch"), "X-IRM-TenantId: "+betaUUID), with(get("/v1/users/"+ada, 400, "malformed_tenant"), "X-IRM-TenantId: acme"),
			get("/v1/tenants/beta/users/"+zoe, 403, "tenant_refused"), get("/v1/tenants/gamma/users/"+zoe, 403, "tenant_refused"),
			with(get("/v1/users/"+zoe, 403, "tenant_refused"), "X-IRM-TenantId: "+betaUUID),
			as("both", http.MethodGet, "/v1/users/"+ada, "", 400, "tenant_required"), as("both", http.MethodGet, "/v1/tenants/beta/users/"+zoe, "", 200, "", has("tenant", "beta")),
		}},
		{"33 id of another tenant", knobs{}, []step{
			as("both", http.MethodGet, users+"/"+zoe, "", 404, "user_not_found"), as("both", http.MethodGet, "/v1/tenants/beta/users/corp%7C65a1", "", 404, "user_not_found"),
			as("both", http.MethodDelete, users+"/"+zoe, "", 404, "user_not_found"), as("both", http.MethodGet, "/v1/tenants/beta/users?email=ada@example.org", "", 404, "user_not_found"),
		}},
		{"34 no or bad credentials", knobs{}, []step{
			as("", http.MethodGet, users+"/"+ada, "", 401, "unauthenticated", header("WWW-Authenticate", `Basic realm="drawbridge", charset="UTF-8"`)),
			with(as("", http.MethodGet, users+"/"+ada, "", 401, "unauthenticated", untouched), "Authorization: Basic cGxhdGZvcm06d3Jvbmc="),
			as("", http.MethodGet, "/nowhere", "", 401, "unauthenticated"),
		}},
		{"34 too many failures", knobs{}, failures(20)},
		{"35 missing permission", knobs{}, []step{
			as("reader", http.MethodGet, users+"/"+ada, "", 200, ""), as("reader", http.MethodDelete, users+"/"+ada, "", 403, "forbidden"),
			as("reader", http.MethodPut, users+"/"+ada+"/email-verified", "", 403, "forbidden"), as("reader", http.MethodPost, users+"/"+ada+"/verification-email", "", 403, "forbidden"),
			as("reader", http.MethodPost, reset, `{"email":"a@b.c"}`, 403, "forbidden"), get(users+"/"+ada, 200, ""),
		}},
		{"36 body without a media type", knobs{}, []step{
			with(post(users+"/lookup", `{"email":"ada@example.org"}`, 415, "unsupported_media_type"), "Content-Type:"),
			post(users+"/"+ada+"/verification-email", "", 202, ""), post(users+"/lookup", "", 400, "malformed_body"),
		}},
	}
}

// strictness are the rows about what a request may look like.
func strictness() []edgeCase {
	return []edgeCase{
		{"37 media types", knobs{}, []step{
			with(post(users+"/lookup", `{}`, 415, "unsupported_media_type"), "Content-Type: text/plain"),
			with(post(users+"/lookup", `{}`, 415, "unsupported_media_type"), "Content-Type: application/json;charset=iso-8859-1"),
			with(post(users+"/lookup", `{"customer":"bob"}`, 200, ""), "Content-Type: application/json;charset=UTF-8"),
			with(get(users+"/"+ada, 406, "not_acceptable"), "Accept: text/html"), with(get(users+"/"+ada, 200, ""), "Accept: text/html, */*;q=0.1"),
		}},
		{"38 too much", knobs{}, []step{
			post(users+"/lookup", `{"email":"`+strings.Repeat("x", 17<<10)+`"}`, 413, "body_too_large"),
			with(get(users+"/"+ada, 431, "headers_too_large"), "X-Long: "+strings.Repeat("x", 33<<10)),
		}},
		{"39 JSON that is not strict", knobs{}, []step{
			post(users+"/lookup", `{"email":"a@b.c","email":"a@b.c"}`, 400, "malformed_body", has("error_code", "1041")), post(users+"/lookup", `{"Email":"a@b.c"}`, 400, "malformed_body"),
			post(users+"/lookup", `{"email":"a@b.c","x":1}`, 400, "malformed_body"), post(users+"/lookup", `{"email":"a@b.c"}{}`, 400, "malformed_body"),
			post(users+"/lookup", "\xef\xbb\xbf{}", 400, "malformed_body"), post(users+"/lookup", `{"email":[[[[[[1]]]]]]}`, 400, "malformed_body"),
			post(users+"/lookup", `{"email":1}`, 400, "malformed_body"), post(users+"/lookup", `[]`, 400, "malformed_body"),
			post(users+"/"+ada+"/verification-email", `{"x":1}`, 400, "malformed_body", mailed("verify", 0)), post(reset, `{"email":"not one"}`, 400, "malformed_email"),
		}},
		{"39 in the other dialects", knobs{profile: wire.ProfileOnegini}, []step{
			post(users+"/lookup", `{`, 400, "", has("error_code", "1041", "error_message", "The request received by the server was invalid or malformed", "title", nil)),
			with(post(users+"/lookup", `{`, 400, "malformed_body"), "Accept: application/problem+json, application/json;q=0.5"),
		}},
		{"40 wrong method, unknown path", knobs{}, []step{
			as("platform", http.MethodPatch, users+"/"+ada, "", 405, "method_not_allowed", header("Allow", "GET, HEAD, DELETE")),
			post(users, "{}", 405, "method_not_allowed", header("Allow", "GET, HEAD")), get(reset, 405, "method_not_allowed", header("Allow", "POST")),
			get("/v1/nothing", 404, "path_not_found"), get(users+"/"+ada+"/", 404, "path_not_found"), get(users+"/lookup", 404, "user_not_found"),
		}},
		{"41 paths that climb", knobs{}, []step{
			get("//v1/users/"+ada, 404, "path_not_found"), get("/v1//users/"+ada, 404, "path_not_found"), get("/v1/x/../users/"+ada, 404, "path_not_found"),
			get("/v1/tenants/../users/"+ada, 404, "path_not_found"), get(users+"/"+ada+"/../"+bob, 404, "path_not_found"),
			as("platform", http.MethodPut, users+"/x%2Femail-verified", "", 405, "method_not_allowed"), del(users+"/x%2F..%2F"+ada, 404, "user_not_found", untouched),
		}},
		{"42 HEAD and conditions", knobs{}, []step{
			as("platform", http.MethodHead, users+"/"+ada, "", 200, "", header("Content-Length")), as("platform", http.MethodHead, users+"/"+nobody, "", 404, ""),
			with(get(users+"/"+ada, 200, ""), `If-None-Match: *`, "If-Modified-Since: Fri, 20 Nov 2026 15:07:24 GMT"),
		}},
		{"43 many logins, unknown logins", knobs{directory: func(d *bridge.Directory) {
			d.FindByCustomer = uncounted(d.FindByCustomer)
		}}, []step{
			get(users+"/"+plus, 200, "", has("logins_count", "9007199254740993")),
			get(users+"?customer=bob", 200, "", has("logins_count", nil, "login_time", nil, "create_time", nil)),
			get(users+"/"+ada, 200, "", has("login_time", "2026-11-20T15:07:24.108Z", "create_time", "2025-11-20T15:07:24.108Z")),
		}},
		{"46 shutdown", knobs{}, []step{
			get(users+"/"+ada, 200, "", func(_ *testing.T, h *house, _ answer) { h.drain.Begin() }),
			get(users+"/"+ada, 503, "shutting_down", func(t *testing.T, _ *house, a answer) {
				if !a.Close || a.Header.Get("Retry-After") == "" {
					t.Errorf("the connection stays open: %v", a.Header)
				}
			}),
		}},
	}
}
