package op

import "testing"

func TestWhoMayFrame(t *testing.T) {
	for want, addresses := range map[string][]string{
		"https://idp.example":                             {"https://idp.example/realms/main", "https://idp.example/logout?client_id=x"},
		"https://idp.example:8443":                        {"https://idp.example:8443", ""},
		"https://sts.idp.example https://sso.idp.example": {"https://sts.idp.example/t", "https://sso.idp.example/bye"},
		"https://one.example":                             {"https://one.example", "https://evil.example;default-src *"},
		"'none'":                                          {"", "://", "http://[::1]:9000", "https://a' 'b/"},
	} {
		if got := framers(addresses...); got != want {
			t.Errorf("%q: %s, want %s", addresses, got, want)
		}
	}
}
