package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gorilla/mux"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// scopeBackup is the operation of copying the whole store. A credential with
// `store` has it; and it must be good for every tenant, because they are all
// in the copy.
const scopeBackup = "store:backup"

const backupPath = "/v1/store/backup"

// backupPatience is how long a receiver of a backup may take for one write
// before it is given up: what it holds up cannot be used again in the file.
const backupPatience = time.Minute

// mountStore registers what the management API does to the store as a whole.
func (a *App) mountStore(api *mux.Router) {
	api.Handle(backupPath, wire.Endpoint(a.backupStore)).Methods(http.MethodGet).Name("backupStore")
}

// backupStore streams a copy of the bolt store's file while everything goes on.
// A copy that fails in the middle ends the connection, so that no client takes
// it for a whole one.
func (a *App) backupStore(w http.ResponseWriter, r *http.Request) error {
	caller, err := wire.Require(r, scopeBackup, wire.EveryTenant)
	if err != nil {
		return err
	}
	source, ok := any(a.engine).(interface {
		Backup(ctx context.Context, w io.Writer) error
	})
	if !ok {
		return wire.NotFound("no_backup", "The store has a server of its own, which makes its backups.")
	}
	a.log.InfoContext(r.Context(), "store backup", slog.Bool("audit", true), slog.String("caller", caller.Name), slog.String("request_id", caller.RequestID))
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := &patient{w: w, control: http.NewResponseController(w)}
	if err := source.Backup(r.Context(), out); err != nil {
		if out.wrote {
			a.log.WarnContext(r.Context(), "store backup ended early", "error", err)
			panic(http.ErrAbortHandler)
		}
		return err
	}
	return nil
}

// patient gives every write a deadline of its own: a backup may take longer
// than any other answer, but a receiver that hangs may not.
type patient struct {
	w       io.Writer
	control *http.ResponseController
	wrote   bool
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(backupPatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	p.wrote = true
	return p.w.Write(b)
}

type storeBackupCommand struct {
	storeFlags
	To         string `required:"" placeholder:"FILE" help:"The file to write. It must not exist."`
	Credential string `placeholder:"NAME" help:"The management credential to ask a running server with; otherwise the first that may."`
}

// Run copies the file: itself where nobody works with it, and otherwise it asks
// the server that does.
func (c storeBackupCommand) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if err := backup(ctx, cfg, c.To, c.Credential); err != nil {
		return err
	}
	fmt.Printf("%s is a copy of the store, and sound. It holds what the store holds: keep it as safe.\n", c.To)
	return nil
}

func backup(ctx context.Context, cfg config.Config, to, credential string) error {
	if err := onlyBolt(cfg); err != nil {
		return err
	}
	write := func(w io.Writer) error { return askForBackup(ctx, cfg, credential, w) }
	eng, err := openToCopy(cfg.Store.Path)
	if err == nil {
		defer func() { _ = eng.Close() }() // nothing was written
		write = func(w io.Writer) error { return eng.Backup(ctx, w) }
	} else if !errors.Is(err, boltstore.ErrInUse) {
		return err
	}
	return newFile(to, func(partial string) error {
		if err := writeFile(partial, write); err != nil {
			return err
		}
		return soundFile(ctx, partial)
	})
}

// openToCopy opens a store's file to read it. What a crash has left beside it is
// taken over first, as the next start of the server would.
func openToCopy(path string) (*boltstore.Engine, error) {
	eng, err := boltstore.Open(boltstore.Options{Path: path, Now: time.Now, ReadOnly: true})
	if err != nil || !eng.Unfolded() {
		return eng, err
	}
	if err := eng.Close(); err != nil {
		return nil, err
	}
	folded, err := boltstore.Open(boltstore.Options{Path: path, Now: time.Now})
	if err == nil {
		err = folded.Close()
	}
	if err != nil {
		return nil, err
	}
	return boltstore.Open(boltstore.Options{Path: path, Now: time.Now, ReadOnly: true})
}

// soundFile says whether a file is a whole and undamaged bolt store.
func soundFile(ctx context.Context, path string) error {
	eng, err := boltstore.Open(boltstore.Options{Path: path, Now: time.Now, ReadOnly: true})
	if err != nil {
		return err
	}
	var wrong []error
	err = eng.Check(ctx, func(problem string) { wrong = append(wrong, errors.New(problem)) })
	return errors.Join(append(wrong, err, eng.Close())...)
}

// askForBackup asks the server of the same configuration, on this machine.
func askForBackup(ctx context.Context, cfg config.Config, credential string, w io.Writer) error {
	who, err := mayBackup(cfg, credential)
	if err != nil {
		return err
	}
	address, err := managementURL(cfg)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+backupPath, nil)
	if err != nil {
		return err
	}
	req.SetBasicAuth(who.Username, who.Password.Reveal())
	// The certificate is for the name that others use; this asks the loopback.
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ResponseHeaderTimeout: backupPatience,
	}}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("somebody works with %s, and the server does not answer: %w", cfg.Store.Path, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the server refuses: %s", res.Status)
	}
	_, err = io.Copy(w, res.Body)
	return err
}

// mayBackup finds the credential to ask with.
func mayBackup(cfg config.Config, name string) (config.Credential, error) {
	for _, c := range cfg.Management.Credentials {
		caller := wire.Caller{Tenants: c.Tenants, Scopes: c.Scopes}
		if name == c.Username || name == "" && caller.Allows(scopeBackup, wire.EveryTenant) {
			return c, nil
		}
	}
	if name != "" {
		return config.Credential{}, fmt.Errorf("management.credentials has no %q", name)
	}
	return config.Credential{}, errors.New(`a server works with the store, and no management credential may ask it for a backup: it needs the scope "store" and the tenants ["*"]`)
}

// managementURL is where the management listener is reached from this machine.
func managementURL(cfg config.Config) (string, error) {
	host, port, err := net.SplitHostPort(cfg.Management.Listen)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http"
	if cfg.Management.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port), nil
}

type storeRestoreCommand struct {
	storeFlags
	From string `required:"" placeholder:"FILE" help:"The backup."`
}

// Run puts a backup in place.
func (c storeRestoreCommand) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if err := restore(ctx, cfg, c.From); err != nil {
		return err
	}
	fmt.Printf("%s is restored. What happened after the backup is lost; the log goes on in a new epoch, so no event's position is used twice.\n", cfg.Store.Path)
	return nil
}

func restore(ctx context.Context, cfg config.Config, from string) error {
	if err := onlyBolt(cfg); err != nil {
		return err
	}
	backup, err := os.Open(from)
	if err != nil {
		return err
	}
	defer backup.Close()
	return newStore(cfg.Store.Path, func(partial string) error {
		err := writeFile(partial, func(w io.Writer) error {
			_, err := io.Copy(w, backup)
			return err
		})
		if err != nil {
			return err
		}
		if err := soundFile(ctx, partial); err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		eng, err := boltstore.Open(boltstore.Options{Path: partial, Now: time.Now, NewEpoch: true})
		if err != nil {
			return err
		}
		return eng.Close()
	})
}
