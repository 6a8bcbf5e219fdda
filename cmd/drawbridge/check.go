package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/edge"
	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

type checkCommand struct {
	Config string `short:"c" required:"" placeholder:"FILE" help:"The configuration file."`
	Live   bool   `help:"Also ask every upstream for its metadata."`
}

// Run checks a configuration as start-up would, without listening, storing or,
// unless asked to, calling anybody.
func (c checkCommand) Run(ctx context.Context) error {
	src, err := readFile(c.Config)
	if err != nil {
		return err
	}
	cfg, problems := config.Load(c.Config, src, reach())
	if len(problems) > 0 {
		return problems.Err()
	}
	built, wrong := checker(slog.New(slog.NewTextHandler(os.Stderr, nil))).build(cfg, nil)
	if len(wrong) > 0 {
		return located(cfg, wrong)
	}
	printCallbacks(os.Stdout, cfg)
	for _, text := range built.untranslated() {
		fmt.Fprintln(os.Stdout, text)
	}
	if c.Live {
		return askUpstreams(ctx, os.Stdout, built)
	}
	return nil
}

// checker builds revisions that will never serve.
func checker(log *slog.Logger) *builder {
	return &builder{
		log: log, now: time.Now, metrics: edge.NewMetrics(version), layout: store.Layout{Partitions: 1},
		own:      func() []netip.AddrPort { return nil },
		identity: func(_ store.Place, first identity) (identity, error) { return first, nil },
		hookToken: func(string, string) func(context.Context) (string, error) {
			return func(context.Context) (string, error) { return "", errors.New("a check has no keys") }
		},
	}
}

// located says where in the file each problem is.
func located(cfg config.Config, wrong []problem) error {
	errs := make([]error, 0, len(wrong))
	for _, p := range wrong {
		errs = append(errs, errors.New(cfg.Problem(p.path, p.text).String()))
	}
	return errors.Join(errs...)
}

// printCallbacks says what has to be registered at each upstream.
func printCallbacks(w io.Writer, cfg config.Config) {
	issuers := map[string]string{}
	for _, t := range cfg.Tenants {
		issuers[t.ID] = t.Issuer
	}
	fmt.Fprintln(w, "The configuration is good. Register these callback addresses:")
	for _, u := range cfg.Upstreams {
		fmt.Fprintf(w, "  %s: %s\n", u.ID, at(issuers[u.Tenant], "callback", u.ID))
	}
	printReturns(w, cfg, issuers)
	printLogouts(w, cfg, issuers)
}

// askUpstreams makes the first call that a sign-in would make.
func askUpstreams(ctx context.Context, w io.Writer, r *revision) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(r.connectors)) {
		c := r.connectors[name]
		if c.plain != nil {
			fmt.Fprintf(w, "  upstream %s is asked nothing: plain OAuth 2.0 has no discovery\n", name)
			continue
		}
		if _, err := c.oidc.EndSessionURL(ctx, "", "", ""); err != nil {
			errs = append(errs, fmt.Errorf("upstream %s: %w", name, err))
			continue
		}
		fmt.Fprintf(w, "  upstream %s answers\n", name)
	}
	return errors.Join(errs...)
}
