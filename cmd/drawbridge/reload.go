package main

import (
	"context"

	"github.com/drawbridge-id/drawbridge/config"
)

// reloader applies what the watcher finds.
type reloader struct{ app *App }

func (r *reloader) apply(ctx context.Context, cfg config.Config, problems config.Problems) {
	if len(problems) > 0 {
		r.app.refuse(ctx, problems)
		return
	}
	r.app.Reload(ctx, cfg)
}

// needRestart names what differs from the configuration that the process was
// started with and is not read again.
func needRestart(started, cfg config.Config) []string {
	var keys []string
	differ := func(key string, was, is any) {
		if !same(was, is) {
			keys = append(keys, key)
		}
	}
	differ("listen", started.Listen, cfg.Listen)
	differ("tls", started.TLS, cfg.TLS)
	differ("trusted_proxies", started.TrustedProxies, cfg.TrustedProxies)
	differ("management.listen", started.Management.Listen, cfg.Management.Listen)
	differ("management.tls", started.Management.TLS, cfg.Management.TLS)
	differ("store", started.Store, cfg.Store)
	differ("session.store_outage", started.Session.StoreOutage, cfg.Session.StoreOutage)
	differ("keys", started.Keys, cfg.Keys)
	differ("smtp", started.SMTP, cfg.SMTP)
	differ("egress.webhooks", started.Egress.Webhooks, cfg.Egress.Webhooks)
	differ("log", started.Log, cfg.Log)
	differ("node_name", started.NodeName, cfg.NodeName)
	return keys
}

// Reload puts another configuration in force, whole or not at all. What only a
// restart can change is said, and stays as it was.
func (a *App) Reload(ctx context.Context, cfg config.Config) {
	next, wrong := a.build.build(cfg, a.live.Load())
	if len(wrong) > 0 {
		problems := make(config.Problems, len(wrong))
		for i, p := range wrong {
			problems[i] = cfg.Problem(p.path, p.text)
		}
		a.refuse(ctx, problems)
		return
	}
	handler, err := a.managementHandler(next)
	if err != nil {
		a.refuse(ctx, config.Problems{cfg.Problem("management", err.Error())})
		return
	}
	a.live.Store(next)
	a.management.Store(&handler)
	if err := a.keys.Ensure(ctx); err != nil {
		a.log.ErrorContext(ctx, "keys of new tenants are not there yet; they will be made later", "error", err)
	}
	for _, key := range needRestart(a.started, cfg) {
		a.log.WarnContext(ctx, "this change needs a restart", "key", key)
	}
	a.metrics.Reloaded("applied")
	a.log.InfoContext(ctx, "configuration reloaded", "audit", true)
}

// refuse says why a configuration was not put in force.
func (a *App) refuse(ctx context.Context, problems config.Problems) {
	for _, p := range problems {
		a.log.ErrorContext(ctx, "configuration problem", "problem", p.String())
	}
	a.metrics.Reloaded("refused")
	a.log.ErrorContext(ctx, "the configuration was not reloaded; what was in force stays in force", "audit", true, "problems", len(problems))
}
