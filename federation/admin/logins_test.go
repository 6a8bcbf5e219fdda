package admin_test

import (
	"strings"
	"testing"
)

func TestLoginsDoor(t *testing.T) {
	d, a := openUsers(t)
	for _, base := range []string{"/v1/tenants/default/users/ada", "/v1/users/ada", "/v1/users/corp%7Ca%2Fd%20a"} {
		a.calls = nil
		for _, c := range []struct {
			who, method, path string
			want              int
		}{
			{"platform", "GET", "/logins", 200}, {"platform", "HEAD", "/logins", 200}, {"platform", "DELETE", "/logins/partner", 204},
			{"unlinker", "DELETE", "/logins/a%2Fb", 204}, {"platform", "DELETE", "/logins/corp", 409}, {"platform", "DELETE", "/logins/blog", 404},
			{"unlinker", "GET", "/logins", 403}, {"reader", "GET", "/logins", 403}, {"blocker", "DELETE", "/logins/partner", 403}, {"", "GET", "/logins", 401},
			{"platform", "PUT", "/logins/partner", 405}, {"platform", "GET", "/logins?x=1", 400}, {"platform", "DELETE", "/logins/%00", 400},
		} {
			status, body := d.call(c.who, c.method, base+c.path)
			if status != c.want {
				t.Errorf("%s %s %s: %d %s", c.who, c.method, base+c.path, status, body)
			}
			if status == 200 && body != "" {
				d.holds("Logins", body)
			}
		}
		if got := strings.Join(a.calls, ", "); got != "unlink partner default ada, unlink a/b default ada, unlink corp default ada, unlink blog default ada" {
			t.Errorf("asked %s", got)
		}
	}
	if log := d.log.String(); strings.Count(log, "login removed") != 6 || strings.Contains(log, "upstream=corp") || a.req.AgentUser != "grace" {
		t.Errorf("log %s", log)
	}
}
