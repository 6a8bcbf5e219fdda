package main

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	// announceEvery is how often a node says that it is there.
	announceEvery = 15 * time.Second
	// announceLife is how long it is believed to be there after the last time.
	announceLife = 3 * announceEvery
	// differPatience is how long nodes may differ before that is told: longer
	// than a rolling restart takes.
	differPatience = 5 * time.Minute
	// mostNodes bounds what is read of the store.
	mostNodes = 500
)

// nodeInfo is what a node says of itself. Times are the engine's.
type nodeInfo struct {
	Node string `json:"node"`
	// Instance tells processes of one name apart; each start has its own.
	Instance string `json:"instance"`
	Version  string `json:"version"`
	// Config stands for what the nodes' files must have in common: two nodes
	// with the same value run the same. It can be compared within one store only,
	// and gives nothing away of secrets in the file.
	Config  string    `json:"config"`
	Started time.Time `json:"started"`
	Seen    time.Time `json:"seen"`
}

// nodeList is who is there, and whether all run the same.
type nodeList struct {
	Nodes []nodeInfo `json:"nodes"`
	// Agree says that configuration and version are the same everywhere.
	Agree bool `json:"agree"`
}

// revisionsOptions say what a node announces. All but Observe are required.
type revisionsOptions struct {
	Engine        store.Engine
	Node, Version string
	// Config is the digest of the configuration in force.
	Config func() [sha256.Size]byte
	Log    *slog.Logger
	// Observe hears after every look how many nodes there are, and for how long
	// they have differed: 0 while they agree.
	Observe func(nodes int, differed time.Duration)
}

// revisions tells nodes of each other: each has one record, in partition 0's own
// place, which expires unless it is renewed. Nothing depends on it; it is there
// to be looked at, and to tell when a rolling restart was forgotten half way.
type revisions struct {
	o        revisionsOptions
	instance string
	nodes    *store.Table[nodeInfo]
	salts    *store.Table[[]byte]
	at       store.Place

	// For Run alone:
	started time.Time
	differs time.Time // since when nodes differ; zero while they agree
	told    bool
	failing bool
}

func newRevisions(o revisionsOptions) *revisions {
	return &revisions{
		o: o, instance: rand.Text()[:10], at: store.Place{},
		nodes: store.NewTable[nodeInfo](o.Engine, store.TableOptions{Kind: "node", Schema: 1}),
		salts: store.NewTable[[]byte](o.Engine, store.TableOptions{Kind: "node.salt", Schema: 1}),
	}
}

// Run announces this node and looks at the others until ctx ends; then it takes
// its announcement back. It goes on over failures of the store.
func (r *revisions) Run(ctx context.Context) error {
	tick := time.NewTicker(announceEvery)
	defer tick.Stop()
	for {
		err := r.round(ctx)
		if err != nil && ctx.Err() == nil && !r.failing {
			r.o.Log.WarnContext(ctx, "this node could not be announced to the others", "error", err)
		}
		r.failing = err != nil
		select {
		case <-ctx.Done():
			return r.leave(ctx)
		case <-tick.C:
		}
	}
}

// leave takes the announcement back. One that stays expires.
func (r *revisions) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if _, err := r.o.Engine.Commit(ctx, r.nodes.Drop(r.at, r.id())); err != nil {
		r.o.Log.InfoContext(ctx, "this node's announcement was not taken back; it expires", "error", err)
	}
	return nil
}

func (r *revisions) id() string { return r.o.Node + "/" + r.instance }

// round is one announcement and one look.
func (r *revisions) round(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, announceEvery)
	defer cancel()
	now, err := r.o.Engine.Now(ctx)
	if err != nil {
		return fmt.Errorf("read the engine's clock: %w", err)
	}
	if r.started.IsZero() {
		r.started = now
	}
	mark, err := r.mark(ctx)
	if err != nil {
		return err
	}
	me := nodeInfo{Node: r.o.Node, Instance: r.instance, Version: r.o.Version, Config: mark, Started: r.started.UTC(), Seen: now.UTC()}
	if _, err := r.o.Engine.Commit(ctx, r.nodes.Put(r.at, r.id(), me, now.Add(announceLife))); err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	seen, err := r.Nodes(ctx)
	if err != nil {
		return err
	}
	r.judge(ctx, seen, now)
	return nil
}

// judge tells, once, when nodes have differed for too long, and once when they
// agree again.
func (r *revisions) judge(ctx context.Context, seen nodeList, now time.Time) {
	switch {
	case seen.Agree:
		if r.told {
			r.o.Log.InfoContext(ctx, "all nodes run the same configuration and version again", "nodes", len(seen.Nodes))
		}
		r.differs, r.told = time.Time{}, false
	case r.differs.IsZero() || now.Before(r.differs):
		r.differs = now
	}
	var differed time.Duration
	if !seen.Agree {
		differed = now.Sub(r.differs)
	}
	if differed >= differPatience && !r.told {
		r.told = true
		var all []string
		for _, n := range seen.Nodes {
			all = append(all, n.Node+" "+n.Version+" "+n.Config)
		}
		r.o.Log.WarnContext(ctx, "nodes run different configurations or versions", "since", r.differs, "nodes", all)
	}
	if r.o.Observe != nil {
		r.o.Observe(len(seen.Nodes), differed)
	}
}

// Nodes lists the nodes that are there, by name.
func (r *revisions) Nodes(ctx context.Context) (nodeList, error) {
	rows, err := r.nodes.Scan(ctx, r.at, "", "", mostNodes)
	if err != nil {
		return nodeList{}, fmt.Errorf("list nodes: %w", err)
	}
	out := nodeList{Nodes: make([]nodeInfo, 0, len(rows)), Agree: true}
	for _, row := range rows {
		out.Nodes = append(out.Nodes, row.Value)
		if first := out.Nodes[0]; row.Value.Config != first.Config || row.Value.Version != first.Version {
			out.Agree = false
		}
	}
	slices.SortFunc(out.Nodes, func(a, b nodeInfo) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), a.Started.Compare(b.Started), cmp.Compare(a.Instance, b.Instance))
	})
	return out, nil
}

// mark is the configuration's digest under a key that never leaves the store:
// somebody who sees marks cannot try passwords against them.
func (r *revisions) mark(ctx context.Context) (string, error) {
	var salt []byte
	_, err := store.Update(ctx, r.o.Engine, func(ctx context.Context) ([]store.Op, error) {
		row, err := r.salts.Get(ctx, r.at, "salt")
		if err == nil {
			salt = row.Value
			return nil, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		salt = make([]byte, 32)
		rand.Read(salt) // never fails: crypto/rand ends the program instead
		return []store.Op{r.salts.Create(r.at, "salt", salt, time.Time{})}, nil
	})
	if err != nil {
		return "", fmt.Errorf("read the key of configuration marks: %w", err)
	}
	digest := r.o.Config()
	mac := hmac.New(sha256.New, salt)
	mac.Write(digest[:])
	return hex.EncodeToString(mac.Sum(nil)[:8]), nil
}

// configDigest is a hash of what nodes must have in common, secrets included:
// not of what is a node's own, its name, addresses, certificate files, log, and
// where its bolt file or its spool lies.
func configDigest(cfg config.Config) (sum [sha256.Size]byte) {
	cfg.NodeName, cfg.Listen, cfg.TLS, cfg.Log = "", "", nil, config.Log{}
	cfg.Management.Listen, cfg.Management.TLS, cfg.Store.Path, cfg.Store.Spool = "", nil, "", ""
	if cfg.Store.TLS != nil {
		cfg.Store.TLS = &config.StoreTLS{ServerName: cfg.Store.TLS.ServerName}
	}
	h := sha256.New()
	digest(h, reflect.ValueOf(cfg))
	return [sha256.Size]byte(h.Sum(nil))
}

// digest writes a value so that different ones never look the same: each with
// its kind and, where it has parts, their number. What a package keeps to itself
// is not written, but for types that say what they are as text.
func digest(h hash.Hash, v reflect.Value) {
	if !v.IsValid() {
		fmt.Fprint(h, "nil;")
		return
	}
	switch x := v.Interface().(type) {
	case config.Secret:
		fmt.Fprintf(h, "secret %t %q;", x.IsZero(), x.Reveal())
		return
	case encoding.TextMarshaler:
		if v.Kind() != reflect.Pointer {
			text, err := x.MarshalText()
			fmt.Fprintf(h, "text %q %v;", text, err)
			return
		}
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		digest(h, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() {
				fmt.Fprintf(h, "%s:", field.Name)
				digest(h, v.Field(i))
			}
		}
		fmt.Fprint(h, "end;")
	case reflect.Slice, reflect.Array:
		fmt.Fprintf(h, "list %d:", v.Len())
		for i := range v.Len() {
			digest(h, v.Index(i))
		}
	case reflect.Map:
		entries := make(map[string]reflect.Value, v.Len())
		for _, key := range v.MapKeys() {
			entries[fmt.Sprint(key)] = v.MapIndex(key)
		}
		fmt.Fprintf(h, "map %d:", len(entries))
		for _, key := range slices.Sorted(maps.Keys(entries)) {
			fmt.Fprintf(h, "%q:", key)
			digest(h, entries[key])
		}
	default:
		fmt.Fprintf(h, "%s %q;", v.Kind(), fmt.Sprint(v))
	}
}
