package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// identity is what is kept of a tenant for ever.
type identity struct {
	// UUID is the public id, where the file gave none when the tenant was new.
	UUID string `json:"uuid,omitempty"`
	// Spread says that its persons are spread over the partitions.
	Spread bool `json:"spread,omitempty"`
}

// errSpread says that persons would not be found any more.
var errSpread = errors.New("cannot be changed for a tenant that the store knows already: its persons would not be found")

// tenantOf makes a tenant of the file's: its public id is what the file says, or
// one that is minted once and kept.
func (b *builder) tenantOf(t config.Tenant) (federation.Tenant, error) {
	made := federation.Tenant{ID: t.ID, Name: t.Name, SignIn: federation.SignIn(t.SignIn), ACRLevels: t.ACRLevels, Linking: federation.Linking(t.Linking), Issuer: t.Issuer, Place: b.layout.Place(t.ID)}
	spread := t.Spread == "person"
	if spread {
		if b.layout.Partitions > federation.MaxSpread {
			return made, fmt.Errorf("needs a store of at most %d partitions; this one has %d", federation.MaxSpread, b.layout.Partitions)
		}
		made.Spread = b.layout
	}
	known, err := b.identity(made.Place, identity{UUID: strings.ToLower(t.UUID), Spread: spread})
	if err == nil && known.Spread != spread {
		err = errSpread
	}
	if made.UUID = strings.ToLower(t.UUID); made.UUID == "" {
		made.UUID = known.UUID
	}
	return made, err
}

// keepIdentity reads what is kept of the tenant at a place, or keeps first.
func (a *App) keepIdentity(at store.Place, first identity) (identity, error) {
	if first.UUID != "" && a.engine.Layout().Partitions == 1 {
		return first, nil // nothing that a later file could break
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	table := store.NewTable[identity](a.engine, store.TableOptions{Kind: "tenant", Schema: 1})
	var known identity
	_, err := store.Update(ctx, a.engine, func(ctx context.Context) ([]store.Op, error) {
		row, err := table.Get(ctx, at, "identity")
		known = row.Value
		if errors.Is(err, store.ErrNotFound) {
			known = first
			if known.UUID == "" {
				known.UUID = uuid.Must(uuid.NewV7()).String()
			}
			return []store.Op{table.Create(at, "identity", known, time.Time{})}, nil
		}
		if err != nil || known.UUID != "" || first.UUID != "" {
			return nil, err
		}
		known.UUID = uuid.Must(uuid.NewV7()).String()
		return []store.Op{table.Replace(at, "identity", known, row.Version, time.Time{})}, nil
	})
	return known, err
}
