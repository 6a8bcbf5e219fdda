package token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// over is what is remembered of a session that has ended.
type over struct {
	Cause federation.Cause `json:"cause"`
	At    time.Time        `json:"at"`
}

func overTable(eng store.Engine) *store.Table[over] {
	return store.NewTable[over](eng, store.TableOptions{Kind: "token.over", Schema: 1})
}

// NoteEnds is a Planner that remembers how a session ended, in the commit of the
// end, where asked says that somebody holds a grant that is offline and ends
// with it all the same (federation.Grant.EndsOn). It is remembered for as long
// as any grant can last.
func NoteEnds(eng store.Engine, asked func(c federation.Change) bool, lifetimes func() Lifetimes) federation.Planner {
	table := overTable(eng)
	return func(_ context.Context, c federation.Change) ([]store.Op, error) {
		if c.Kind != federation.SessionEnded || c.Session == nil || c.Cause == federation.Upgrade || !asked(c) {
			return nil, nil
		}
		l := lifetimes()
		until := c.Detected.Add(l.Code + l.RefreshMax)
		return []store.Op{table.Put(c.Place(), c.Session.ID, over{Cause: c.Cause, At: c.At}, until)}, nil
	}
}

// outlived says whether an offline grant has outlived a session that it was not
// to outlive. It costs a read, and that only where the client asked for it.
func (i *Issuer) outlived(ctx context.Context, t federation.Tenant, g federation.Grant) (bool, error) {
	if !g.Offline || len(g.EndsOn) == 0 || g.Session == "" {
		return false, nil
	}
	row, err := i.overs.Get(ctx, t.PlaceOf(g.Session), g.Session)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read how a session ended: %w", err)
	}
	return slices.Contains(g.EndsOn, row.Value.Cause), nil
}
