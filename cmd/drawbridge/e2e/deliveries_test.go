//go:build e2e

package e2e

import (
	"net/http"
	"testing"
)

// deliveryView is a delivery as openapi/management.yaml says.
type deliveryView struct {
	ID       string `json:"id"`
	Webhook  string `json:"webhook"`
	Type     string `json:"type"`
	Session  string `json:"session"`
	State    string `json:"state"`
	Attempts []struct {
		Status int    `json:"status"`
		Result string `json:"result"`
		Reason string `json:"reason"`
	} `json:"attempts"`
}

func TestADeadDeliveryIsSeenAndReplayed(t *testing.T) {
	at := freeAddr(t)
	w := startWorld(t, func(_ *world, file settings) { file["clients"] = []any{clientOf("plain", at, nil)} })
	party, platform := w.party(t, "plain", at, nil), w.platform()
	callJSON(t, http.MethodPut, w.sink.url+"/statuses", []string{"400"}, nil)
	alice, got := signIn(t, party, "alice")
	sid, _ := got.Claims["sid"].(string)
	alice.walk(t, party.url+"/logout", party.url+"/signed-out", nil)
	refused := w.awaitEnding(t, sid)

	var dead deliveryView
	eventually(t, "a dead delivery", func() bool {
		var list struct {
			Items []deliveryView `json:"items"`
		}
		platform.call(t, http.MethodGet, "/v1/session-webhooks/tell-crm/deliveries?state=dead", nil).decode(t, http.StatusOK, &list)
		for _, d := range list.Items {
			dead = d
		}
		return len(list.Items) == 1
	})
	platform.call(t, http.MethodGet, "/v1/deliveries/"+dead.ID, nil).decode(t, http.StatusOK, &dead)
	if dead.ID != refused.id || dead.Webhook != "tell-crm" || dead.Type != "LOGOUT" || dead.Session != sid || dead.State != "dead" {
		t.Errorf("the dead delivery is %+v, want that of session %s", dead, sid)
	}
	if len(dead.Attempts) != 1 || dead.Attempts[0].Status != 400 || dead.Attempts[0].Result != "reject" || dead.Attempts[0].Reason != "status_4xx" {
		t.Errorf("its attempts are %+v, want one that was refused with 400", dead.Attempts)
	}

	platform.expect(t, http.MethodPost, "/v1/deliveries/"+dead.ID+"/replay", nil, http.StatusAccepted, "")
	eventually(t, "the replayed delivery", func() bool { return len(w.endings(t)) == 2 })
	if again := w.endings(t)[1]; again.id != refused.id || again.Session != sid || again.Event != "LOGOUT" {
		t.Errorf("the replay brought %+v after %+v", again, refused)
	}
	eventually(t, "the delivery to be done", func() bool {
		platform.call(t, http.MethodGet, "/v1/deliveries/"+dead.ID, nil).decode(t, http.StatusOK, &dead)
		return dead.State == "delivered"
	})
	if n := len(dead.Attempts); n != 2 || dead.Attempts[n-1].Status != 200 || dead.Attempts[n-1].Result != "delivered" {
		t.Errorf("its attempts are %+v, want the refused one and one that went well", dead.Attempts)
	}
	platform.expect(t, http.MethodGet, "/v1/deliveries/none", nil, http.StatusNotFound, "delivery_not_found")
	platform.expect(t, http.MethodGet, "/v1/session-webhooks/none/deliveries", nil, http.StatusNotFound, "webhook_not_found")
}

func TestAnUnreachableReceiverIsTriedAgain(t *testing.T) {
	t.Parallel() // it waits for the second attempt
	at := freeAddr(t)
	w := startWorld(t, func(_ *world, file settings) { file["clients"] = []any{clientOf("plain", at, nil)} })
	party := w.party(t, "plain", at, nil)
	callJSON(t, http.MethodPut, w.sink.url+"/statuses", []string{"503"}, nil)
	alice, got := signIn(t, party, "alice")
	sid, _ := got.Claims["sid"].(string)
	alice.walk(t, party.url+"/logout", party.url+"/signed-out", nil)
	eventually(t, "the second attempt", func() bool { return len(w.endings(t)) == 2 })
	all := w.endings(t)
	if all[0].id != all[1].id || all[1].Session != sid || all[0].Event != "LOGOUT" {
		t.Errorf("the attempts are %+v, want one delivery twice", all)
	}
}
