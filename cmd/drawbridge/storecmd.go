package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

// storeCommand is what an operator does to a store beside serving from it.
type storeCommand struct {
	Check   storeCheckCommand   `cmd:"" help:"Read everything in the store and say whether it is sound: exit 0 or 1."`
	Export  storeExportCommand  `cmd:"" help:"Write the whole store to a file that any engine can import. Stop the server first."`
	Import  storeImportCommand  `cmd:"" help:"Make the store out of an exported file. There must be none yet."`
	Backup  storeBackupCommand  `cmd:"" help:"Copy the file of a bolt store, also while the server runs."`
	Restore storeRestoreCommand `cmd:"" help:"Put a backup in the place of the bolt store's file. There must be none yet."`
}

// storeFlags are common to the commands.
type storeFlags struct {
	Config string `short:"c" required:"" placeholder:"FILE" help:"The configuration file."`
}

func (f storeFlags) load() (config.Config, error) {
	src, err := readFile(f.Config)
	if err != nil {
		return config.Config{}, err
	}
	cfg, problems := config.Load(f.Config, src, reach())
	return cfg, problems.Err()
}

// standStill says what to do about a store that others write to.
func standStill(err error) error {
	if errors.Is(err, store.ErrWritten) {
		return fmt.Errorf("stop all nodes first: %w", err)
	}
	return err
}

// movable is a store that can be moved and checked as a whole: every engine.
type movable interface {
	store.Dumper
	// Check tells what is wrong with how the engine keeps things.
	Check(ctx context.Context, tell func(problem string)) error
}

// errServing says what to do about a store that a server works with.
func errServing(path string, cause error) error {
	return fmt.Errorf("%s is in use: stop the server, or work on a backup of it (drawbridge store backup): %w", path, cause)
}

// openToRead opens the store of a configuration, or a bolt file in its place,
// so that nothing of it is changed. Closing it is the caller's.
func openToRead(ctx context.Context, cfg config.Config, file string) (movable, error) {
	if file == "" && cfg.Store.Engine != "bolt" {
		return openServer(ctx, cfg, 0)
	}
	if file == "" {
		file = cfg.Store.Path
	}
	eng, err := boltstore.Open(boltstore.Options{Path: file, Now: time.Now, ReadOnly: true})
	if errors.Is(err, boltstore.ErrInUse) {
		return nil, errServing(file, err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no store at %s", file)
	}
	if err != nil {
		return nil, err
	}
	return eng, nil
}

// onlyBolt refuses what a command cannot do for the configured engine.
func onlyBolt(cfg config.Config) error {
	if cfg.Store.Engine != "bolt" {
		return fmt.Errorf("store.engine is %s: this command works on the file of a bolt store", cfg.Store.Engine)
	}
	return nil
}

// newStore writes the file of a bolt store, beside which there must be nothing of
// another one: commits that a crash has left are not for it.
func newStore(path string, write func(partial string) error) error {
	for _, file := range boltstore.Files(path) {
		if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(taken(file), err)
		}
	}
	return newFile(path, write)
}

// newFile writes a file that must not exist yet. Nothing stands under its name
// before all of it is on the disk, and only its owner may read it. Its folder
// is made if it is missing.
func newFile(path string, write func(partial string) error) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(taken(path), err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".drawbridge-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	partial := filepath.Join(dir, filepath.Base(path))
	if err := write(partial); err != nil {
		return err
	}
	if err := place(partial, path); err != nil {
		return err
	}
	return syncPath(filepath.Dir(path))
}

func taken(path string) error {
	return fmt.Errorf("%s is there already and is not overwritten: move it away first", path)
}

// place gives a file its name, unless somebody else has taken it meanwhile.
func place(partial, path string) error {
	err := os.Link(partial, path)
	switch {
	case errors.Is(err, fs.ErrExist):
		return taken(path)
	case err == nil:
		return nil
	}
	// A file system without hard links: look and rename.
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return taken(path)
	}
	return os.Rename(partial, path)
}

func syncPath(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// writeFile makes a file of what write writes, and syncs it.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(f, 1<<20)
	err = write(out)
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

type storeExportCommand struct {
	storeFlags
	To   string `required:"" placeholder:"FILE" help:"The file to write. It must not exist."`
	File string `placeholder:"FILE" help:"Export this backup of a bolt store instead of the store."`
}

// Run writes a dump of the store.
func (c storeExportCommand) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	totals, err := exportStore(ctx, cfg, c.File, c.To)
	if err != nil {
		return err
	}
	fmt.Printf("%s has %d records and %d log entries, SHA-256 %s. Sealed records are still sealed; the rest of the file can be read by whoever can open it.\n",
		c.To, totals.Records, totals.Entries, totals.SHA256)
	return nil
}

func exportStore(ctx context.Context, cfg config.Config, file, to string) (totals store.DumpTotals, err error) {
	eng, err := openToRead(ctx, cfg, file)
	if err != nil {
		return totals, err
	}
	defer func() { err = errors.Join(err, eng.Close()) }()
	engine := cfg.Store.Engine
	if file != "" {
		engine = "bolt"
	}
	info := store.DumpInfo{Engine: engine, Partitions: eng.Layout().Partitions, Created: time.Now().Truncate(time.Second)}
	err = newFile(to, func(partial string) error {
		return writeFile(partial, func(w io.Writer) (err error) {
			totals, err = store.WriteDump(w, info, eng.Dump(ctx))
			return standStill(err)
		})
	})
	return totals, err
}

type storeImportCommand struct {
	storeFlags
	From string `required:"" placeholder:"FILE" help:"The exported file."`
}

// Run makes the store of the configuration out of a dump.
func (c storeImportCommand) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	totals, err := importStore(ctx, cfg, c.From)
	if err != nil {
		return err
	}
	fmt.Printf("The store has %d records and %d log entries. Its log goes on in a new epoch; leases were left behind.\n", totals.Records, totals.Entries)
	return nil
}

// importStore reads the file twice: once to its end, so that nothing is begun
// with one that is not whole, and once to load it.
func importStore(ctx context.Context, cfg config.Config, from string) (store.DumpTotals, error) {
	f, err := os.Open(from)
	if err != nil {
		return store.DumpTotals{}, err
	}
	defer f.Close()
	info, totals, err := store.VerifyDump(f)
	if err != nil {
		return store.DumpTotals{}, fmt.Errorf("%s: %w", from, err)
	}
	if n := cfg.Store.Partitions; n != 0 && n != info.Partitions {
		return store.DumpTotals{}, fmt.Errorf("store.partitions is %d, and %s is of a store with %d: cookies and tokens name their partition, so the number stays with the store",
			n, from, info.Partitions)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return store.DumpTotals{}, err
	}
	dump, err := store.ReadDump(f)
	if err != nil {
		return store.DumpTotals{}, fmt.Errorf("%s: %w", from, err)
	}
	return totals, loadStore(ctx, cfg, info.Partitions, dump)
}

func loadStore(ctx context.Context, cfg config.Config, partitions int, dump *store.DumpReader) error {
	fill := func(eng movable, err error) error {
		if err != nil {
			return err
		}
		return errors.Join(eng.Load(ctx, store.Moved(dump.Items(), time.Now())), eng.Close())
	}
	if cfg.Store.Engine != "bolt" {
		err := fill(openServer(ctx, cfg, partitions))
		if err != nil && !errors.Is(err, store.ErrNotEmpty) {
			err = fmt.Errorf("%w (what was begun is of no use: remove the keys %s:store and {%s:*, or choose another store.prefix)", err, cfg.Store.Prefix, cfg.Store.Prefix)
		}
		return err
	}
	return newStore(cfg.Store.Path, func(partial string) error {
		eng, err := boltstore.Open(boltstore.Options{Path: partial, Now: time.Now, Partitions: partitions})
		return fill(eng, err)
	})
}
