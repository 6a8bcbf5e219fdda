package session

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// BenchmarkEnd ends sessions with everything that goes with an end: the event
// in the log, its payload, and one delivery that is due.
func BenchmarkEnd(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			h := open(b, func(o *Options) { o.Plan = delivery })
			var spent time.Duration
			var took []time.Duration
			for b.Loop() {
				b.StopTimer()
				all := h.crowd(64*min(writers, 32), "ada", fullLogin)
				b.StartTimer()
				start := time.Now()
				took = append(took, h.endBy(writers, all)...)
				spent += time.Since(start)
			}
			slices.Sort(took)
			b.ReportMetric(float64(len(took))/spent.Seconds(), "ends/s")
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// delivery plans what a session webhook needs in the commit of an end.
func delivery(_ context.Context, c federation.Change) ([]store.Op, error) {
	if c.Kind != federation.SessionEnded {
		return nil, nil
	}
	id := uuid.Must(uuid.NewV7()).String()
	payload, err := json.Marshal(map[string]string{
		"WebhookEventType": string(c.Cause), "UserId": c.Session.Person, "OidcSid": c.Session.ID,
		"AMCtxId": c.Session.AuditID, "XUSRef": c.Session.Reference, "FullLoginURL": c.Session.FullLoginURL,
	})
	if err != nil {
		return nil, err
	}
	at := c.Tenant.Place
	return []store.Op{
		store.Append(at.Partition, []byte(`{"id":"`+id+`","type":"session ended","at":"`+c.At.Format(time.RFC3339Nano)+`"}`)),
		store.Create(at.Key("payload", id), payload, time.Time{}),
		store.Create(at.Own().Key("delivery.due", store.DueID(c.Detected, id)), []byte(id), time.Time{}),
	}, nil
}

// fullLogin is a login of the usual size, of somebody else each time.
func fullLogin(_ int, b *Begin) {
	b.Person.ID = uuid.NewString()
	b.Login.IDToken = strings.Repeat("x", 900)
	b.Login.Claims = claims.Set{
		"iss": "https://corp.example", "sub": "248289761001", "name": "Ada Lovelace", "email": "ada@corp.example",
		"email_verified": true, "groups": []any{"staff", "engineering"}, "department": "analytical engines",
	}
}

// endBy ends sessions with so many writers and says how long each end took.
func (h *house) endBy(writers int, all []Started) []time.Duration {
	took := make([]time.Duration, len(all))
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < len(all); i += writers {
				start := time.Now()
				if err := h.End(h.t.Context(), h.org, all[i].Session.ID, federation.Logout, federation.Request{ID: "bench"}); err != nil {
					h.t.Errorf("End: %v", err)
				}
				took[i] = time.Since(start)
			}
		})
	}
	wg.Wait()
	return took
}
