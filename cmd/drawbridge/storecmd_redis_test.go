package main

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
)

// onRedis is the configuration with its store on a Redis of the test.
func onRedis(t *testing.T, cfg config.Config) config.Config {
	t.Helper()
	cfg.Store.Engine, cfg.Store.Addresses = "redis", []string{redistest.Start(t).Addr()}
	return cfg
}

// TestFromBoltToRedisAndBack moves a store that people are signed in to: what
// Redis holds is sound, and back on bolt the session, the tokens and every
// position are what they were.
func TestFromBoltToRedisAndBack(t *testing.T) {
	t.Parallel()
	cfg := load(t, storeFile(t))
	b, access, refresh := signedIn(t, cfg)
	before, last := entries(t, cfg)
	redis := onRedis(t, cfg)
	move(t, cfg, redis)
	report := sound(t, redis, "")
	if !strings.Contains(report, "\nsession ") || !strings.Contains(report, fmt.Sprintf("  %d  ", len(before))) {
		t.Errorf("Redis holds\n%s", report)
	}
	if _, err := importStore(t.Context(), redis, filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("it imports nothing")
	}
	cfg.Store.Path = filepath.Join(t.TempDir(), "back.db")
	move(t, redis, cfg)
	sound(t, cfg, "")
	after, head := entries(t, cfg)
	if head.Compare(last) <= 0 || len(after) != len(before) {
		t.Fatalf("the log had %d entries up to %v, and has %d and goes on after %v", len(before), last, len(after), head)
	}
	for i, e := range after {
		if e.Position != before[i].Position || string(e.Value) != string(before[i].Value) || !e.At.Equal(before[i].At.Truncate(time.Microsecond)) {
			t.Errorf("entry %d is %+v, and was %+v", i, e, before[i])
		}
	}
	app, _ := serveOnce(t, cfg)
	b.app = app
	if status := b.userinfo(access); status != 200 {
		t.Errorf("the access token answers %d", status)
	}
	b.tokens(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
	if back := b.authorize("&prompt=none"); back.Get("code") == "" {
		t.Errorf("the session is gone: %v", back)
	}
}

// move exports one store and imports the file into another; a second time it is
// refused.
func move(t *testing.T, from, to config.Config) {
	t.Helper()
	dump := filepath.Join(t.TempDir(), "dump")
	if _, err := exportStore(t.Context(), from, "", dump); err != nil {
		t.Fatal(err)
	}
	wrong := to
	wrong.Store.Partitions = 16
	if _, err := importStore(t.Context(), wrong, dump); err == nil || !strings.Contains(err.Error(), "store.partitions is 16") {
		t.Errorf("another number of partitions answers %v", err)
	}
	if _, err := importStore(t.Context(), to, dump); err != nil {
		t.Fatal(err)
	}
	if _, err := importStore(t.Context(), to, dump); err == nil {
		t.Error("it is imported twice")
	}
}

func TestBoltCommandsRefuseRedis(t *testing.T) {
	t.Parallel()
	cfg := load(t, storeFile(t))
	cfg.Store.Engine = "redis"
	for what, err := range map[string]error{
		"backup": backup(t.Context(), cfg, filepath.Join(t.TempDir(), "copy"), ""), "restore": restore(t.Context(), cfg, "none"),
	} {
		if err == nil || !strings.Contains(err.Error(), "works on the file of a bolt store") {
			t.Errorf("%s answers %v", what, err)
		}
	}
	cfg.Store.TLS = &config.StoreTLS{CAFile: filepath.Join(t.TempDir(), "none.pem")}
	if _, err := openServer(t.Context(), cfg, 0); err == nil || !strings.Contains(err.Error(), "store.tls.ca_file") {
		t.Errorf("a missing authority answers %v", err)
	}
}
