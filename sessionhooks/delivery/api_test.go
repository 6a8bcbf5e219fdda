package delivery_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// told puts a delivery of a webhook of the default tenant into the store, as an
// attempt or more have left it.
func (d *door) told(hook string, state delivery.State, attempts ...delivery.Attempt) string {
	d.Helper()
	at := time.Now().Add(-time.Minute)
	j := delivery.Job{Sender: delivery.SessionWebhooks, Target: hook, Event: defaultUUID, Kind: "LOGOUT", About: "sid-1", Occurred: at, Created: at, Next: at}
	ops := d.queue.Enqueue(d.at, j)
	_, j.ID, _ = strings.Cut(ops[0].Key.Local(), "/")
	j.Tenant, j.State, j.Attempts, j.Failed = "default", state, attempts, len(attempts)
	if state == delivery.Pending {
		d.commit(ops...)
		return j.ID
	}
	j.Next, j.Finished = time.Time{}, time.Now()
	jobs := store.NewTable[delivery.Job](d.bolt, store.TableOptions{Kind: "job", Schema: 1})
	d.commit(jobs.Create(d.at, j.Sender+"/"+j.ID, j, time.Time{}))
	return j.ID
}

func TestEveryRouteIsDocumented(t *testing.T) {
	d := openDoor(t)
	routes := 0
	err := d.router.Walk(func(r *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		template, err := r.GetPathTemplate()
		if err != nil {
			return err
		}
		methods, err := r.GetMethods()
		if err != nil {
			return err
		}
		item := d.doc.Paths.Value(documentPath(template))
		for _, m := range methods {
			if m == http.MethodHead { // what GET promises
				continue
			}
			if routes++; item == nil || item.GetOperation(m) == nil {
				t.Errorf("%s %s is not in the document", m, template)
				continue
			}
			if id := item.GetOperation(m).OperationID; strings.TrimSuffix(id, "OfCredential") != r.GetName() {
				t.Errorf("%s %s is %s in the document and %s here", m, template, id, r.GetName())
			}
		}
		return nil
	})
	if err != nil || routes != 10 {
		t.Errorf("%d routes, %v", routes, err)
	}
}

func TestWebhooksAreListedWithoutTheirTemplates(t *testing.T) {
	d := openDoor(t)
	for _, path := range []string{"/v1/session-webhooks", "/v1/tenants/default/session-webhooks"} {
		status, told := d.call("reader", "GET", path)
		want := "map[items:[map[events:[LOGOUT UPGRADE DESTROY MAX_TIMEOUT IDLE_TIMEOUT] host:hook.example id:crm mode:independent]" +
			" map[events:[] host:127.0.0.1:9300 id:crm_2 mode:independent]] order:tenant]"
		if status != 200 || fmt.Sprint(told) != want {
			t.Errorf("%s: %d %v", path, status, told)
		}
	}
	if status, told := d.call("other", "GET", "/v1/session-webhooks"); status != 200 || fmt.Sprint(told) != "map[items:[] order:tenant]" {
		t.Errorf("of another tenant: %d %v", status, told)
	}
}

func TestADeliveryWithItsAttempts(t *testing.T) {
	d := openDoor(t)
	at := time.Date(2031, 5, 6, 7, 8, 9, 0, time.FixedZone("CEST", 7200))
	id := d.told("crm", delivery.Dead,
		delivery.Attempt{At: at, Took: 1500 * time.Millisecond, Status: 503, Result: "retry", Reason: "status_5xx"},
		delivery.Attempt{At: at, Took: 15 * time.Second, Result: "retry", Reason: "timeout"})
	status, told := d.call("reader", "GET", "/v1/deliveries/"+id)
	if status != 200 || told["id"] != id || told["webhook"] != "crm" || told["event"] != defaultUUID || told["type"] != "LOGOUT" ||
		told["session"] != "sid-1" || told["state"] != "dead" || told["failed"] != 2.0 || told["next_attempt"] != nil || told["finished"] == nil {
		t.Fatalf("%d %v", status, told)
	}
	want := "[map[at:2031-05-06T05:08:09Z duration_ms:1500 reason:status_5xx result:retry status:503]" +
		" map[at:2031-05-06T05:08:09Z duration_ms:15000 reason:timeout result:retry]]"
	if got := fmt.Sprint(told["attempts"]); got != want {
		t.Errorf("attempts %s, want %s", got, want)
	}
	pending := d.told("crm", delivery.Pending)
	if status, told := d.call("platform", "GET", "/v1/tenants/default/deliveries/"+pending); status != 200 ||
		told["next_attempt"] == nil || told["finished"] != nil || fmt.Sprint(told["attempts"]) != "[]" {
		t.Errorf("pending: %d %v", status, told)
	}
	if status, _ := d.call("platform", "HEAD", "/v1/deliveries/"+pending); status != 200 {
		t.Errorf("HEAD is %d", status)
	}
}

func TestListingGoesThroughPages(t *testing.T) {
	d := openDoor(t)
	var all, dead []string
	for i := range 25 {
		state := delivery.Done
		if i%5 == 0 {
			state = delivery.Dead
		}
		id := d.told("crm", state)
		if all = append(all, id); state == delivery.Dead {
			dead = append(dead, id)
		}
		d.told("crm_2", delivery.Dead) // whose ids begin like those of crm
	}
	for query, want := range map[string][]string{"limit=10": all, "limit=100": all, "limit=5": all, "state=dead&limit=2": dead, "state=dead&limit=5": dead, "state=pending": nil} {
		var got []string
		after, pages := "", 0
		for {
			path := "/v1/session-webhooks/crm/deliveries?" + query
			if after != "" {
				path += "&after=" + url.QueryEscape(after)
			}
			status, told := d.call("reader", "GET", path)
			if status != 200 {
				t.Fatalf("%s: %d %v", path, status, told)
			}
			for _, item := range told["items"].([]any) {
				got = append(got, item.(map[string]any)["id"].(string))
			}
			pages++
			next, more := told["next"].(string)
			if !more {
				break
			}
			after = next
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %d deliveries in %d pages, want %d", query, len(got), pages, len(want))
		}
	}
}

// A removed webhook is known as long as it has deliveries.
func TestDeliveriesOfWebhooksThatAreNotConfigured(t *testing.T) {
	d := openDoor(t)
	d.told("removed", delivery.Done)
	for path, want := range map[string]int{
		"crm/deliveries": 200, "removed/deliveries": 200, "removed/deliveries?state=dead": 200, "never/deliveries": 404, "never/deliveries?state=dead": 404,
	} {
		if status, told := d.call("reader", "GET", "/v1/session-webhooks/"+path); status != want {
			t.Errorf("%s: %d %v", path, status, told)
		}
	}
}

func TestAListWithFewMatchesIsBounded(t *testing.T) {
	d := openDoor(t)
	var ops []store.Op
	for range 2500 {
		ops = append(ops, d.queue.Enqueue(d.at, delivery.Job{Sender: delivery.SessionWebhooks, Target: "crm", Event: defaultUUID, Kind: "LOGOUT"})...)
	}
	d.commit(ops...)
	last := d.told("crm", delivery.Dead)
	status, told := d.call("reader", "GET", "/v1/session-webhooks/crm/deliveries?state=dead")
	next, more := told["next"].(string)
	if status != 200 || len(told["items"].([]any)) != 0 || !more {
		t.Fatalf("%d %v", status, told)
	}
	_, told = d.call("reader", "GET", "/v1/session-webhooks/crm/deliveries?state=dead&after="+next)
	if items := told["items"].([]any); len(items) != 1 || items[0].(map[string]any)["id"] != last || told["next"] != nil {
		t.Errorf("then %v", told)
	}
}

// TestDeliveriesToClients: what relying parties were told is found by the
// client, whatever its id looks like, and by its own id beside the webhooks'.
func TestDeliveriesToClients(t *testing.T) {
	d := openDoor(t)
	const odd = "https://rp.example/a_b"
	enqueue := func(sender, target string) string {
		now := time.Now()
		ops := d.queue.Enqueue(d.at, delivery.Job{Sender: sender, Target: target, Event: defaultUUID, Kind: "DESTROY", About: "sid-1", Occurred: now, Created: now, Next: now})
		d.commit(ops...)
		_, id, _ := strings.Cut(ops[0].Key.Local(), "/")
		return id
	}
	mine, longer, hook := enqueue(delivery.LogoutTokens, odd), enqueue(delivery.LogoutTokens, odd+"_c"), enqueue(delivery.SessionWebhooks, "crm")
	status, told := d.call("reader", "GET", "/v1/clients/"+url.PathEscape(odd)+"/logout-deliveries?state=pending")
	items, _ := told["items"].([]any)
	if status != 200 || len(items) != 1 {
		t.Fatalf("%d %v", status, told)
	}
	if item := items[0].(map[string]any); item["id"] != mine || item["client"] != odd || item["webhook"] != nil {
		t.Errorf("%v", item)
	}
	for id, who := range map[string]string{mine: "client", longer: "client", hook: "webhook"} {
		if status, told := d.call("reader", "GET", "/v1/deliveries/"+url.PathEscape(id)); status != 200 || told["id"] != id || told[who] == nil {
			t.Errorf("%s: %d %v", id, status, told)
		}
		if status, _ := d.call("platform", "POST", "/v1/tenants/default/deliveries/"+url.PathEscape(id)+"/replay"); status != 202 {
			t.Errorf("%s: replay answers %d", id, status)
		}
	}
	for who, want := range map[string]int{"platform": 200, "other": 404, "users": 403} {
		if status, _ := d.call(who, "GET", "/v1/clients/shop/logout-deliveries"); status != want {
			t.Errorf("%s: %d, want %d", who, status, want)
		}
	}
	if status, _ := d.call("reader", "GET", "/v1/session-webhooks/shop/deliveries"); status != 404 {
		t.Errorf("a client is no webhook: %d", status)
	}
}
