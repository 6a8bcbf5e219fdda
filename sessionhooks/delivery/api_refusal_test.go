package delivery_test

import (
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

func TestReplayThroughTheDoor(t *testing.T) {
	d := openDoor(t)
	id := d.told("crm", delivery.Dead, delivery.Attempt{At: time.Now(), Status: 404, Result: "reject", Reason: "status_4xx"})
	path := "/v1/deliveries/" + id + "/replay"
	for who, want := range map[string]int{"reader": 403, "users": 403, "other": 404, "": 401} {
		if status, told := d.call(who, "POST", path); status != want {
			t.Errorf("%q: %d %v", who, status, told)
		}
	}
	for _, body := range []string{`{"state":"pending"}`, `[]`, `x`} {
		if status, told := d.call("platform", "POST", path, body); status != 400 {
			t.Errorf("with %s: %d %v", body, status, told)
		}
	}
	if status, told := d.call("platform", "POST", path+"?now=1"); status != 400 {
		t.Errorf("with a parameter: %d %v", status, told)
	}
	if d.replayed != 0 || len(d.dues()) != 0 {
		t.Fatal("something was replayed")
	}
	status, told := d.call("platform", "POST", path)
	if status != 202 || told["state"] != "pending" || told["id"] != id || told["failed"] != 0.0 || len(told["attempts"].([]any)) != 1 {
		t.Errorf("%d %v", status, told)
	}
	if d.replayed != 1 || len(d.dues()) != 1 {
		t.Errorf("told %d times, due %v", d.replayed, d.dues())
	}
	for _, text := range []string{`"audit":true`, `"caller":"platform"`, `"agent_user":"grace"`, id, `"tenant":"default"`} {
		if d.logs.count(text) != 1 {
			t.Errorf("the audit line has no %s", text)
		}
	}
	if status, told := d.call("platform", "POST", "/v1/tenants/default/deliveries/"+id+"/replay", "{}"); status != 202 {
		t.Errorf("of one that is pending: %d %v", status, told)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	d := openDoor(t)
	id := d.told("crm", delivery.Done)
	for _, tc := range []struct {
		who, method, path string
		want              int
	}{
		{"", "GET", "/v1/session-webhooks", 401},
		{"users", "GET", "/v1/session-webhooks", 403},
		{"platform", "GET", "/v1/tenants/other/session-webhooks", 403},
		{"platform", "GET", "/v1/tenants/nobody/session-webhooks", 403},
		{"ghost", "GET", "/v1/session-webhooks", 403},
		{"both", "GET", "/v1/session-webhooks", 400},
		{"platform", "GET", "/v1/session-webhooks?limit=1", 400},
		{"platform", "GET", "/v1/session-webhooks/crm/deliveries?limit=0", 400},
		{"platform", "GET", "/v1/session-webhooks/crm/deliveries?limit=101", 400},
		{"platform", "GET", "/v1/session-webhooks/crm/deliveries?limit=x", 400},
		{"platform", "GET", "/v1/session-webhooks/crm/deliveries?limit=1&limit=2", 400},
		{"platform", "GET", "/v1/session-webhooks/crm/deliveries?state=", 400},
		{"platform", "GET", "/v1/session-webhooks/crm/deliveries?state=DEAD", 400},
		{"platform", "GET", "/v1/session-webhooks/crm/deliveries?after=", 400},
		{"platform", "GET", "/v1/session-webhooks/crm/deliveries?after=other_1", 400},
		{"platform", "GET", "/v1/session-webhooks/crm/deliveries?after=%00", 400},
		{"platform", "GET", "/v1/session-webhooks/crm/deliveries?order=desc", 400},
		{"platform", "GET", "/v1/session-webhooks//deliveries", 400},
		{"platform", "GET", "/v1/session-webhooks/../deliveries", 400},
		{"platform", "GET", "/v1/session-webhooks/crm%2F..%2F..%2Fmail/deliveries", 404},
		{"platform", "GET", "/v1/session-webhooks/" + strings.Repeat("x", 257) + "/deliveries", 400},
		{"platform", "GET", "/v1/deliveries/" + id + "?x=1", 400},
		{"platform", "GET", "/v1/deliveries/nothing", 404},
		{"platform", "GET", "/v1/deliveries/crm_", 404},
		{"platform", "GET", "/v1/deliveries/", 400},
		{"both", "GET", "/v1/tenants/other/deliveries/" + id, 404},
		{"other", "GET", "/v1/deliveries/" + id, 404},
		{"platform", "POST", "/v1/deliveries/nothing/replay", 404},
		{"platform", "DELETE", "/v1/deliveries/" + id, 405},
		{"platform", "GET", "/v1/deliveries/" + id + "/replay", 405},
		{"platform", "GET", "/v1/deliveries", 404},
	} {
		status, told := d.call(tc.who, tc.method, tc.path)
		if status != tc.want || status >= 400 && told["status"] != float64(status) {
			t.Errorf("%s %s %s: %d %v, want %d", tc.who, tc.method, tc.path, status, told, tc.want)
		}
	}
}

func TestADoorThatCannotBe(t *testing.T) {
	if _, err := delivery.NewAPI(delivery.APIOptions{}); err == nil {
		t.Error("taken")
	}
}
