package config

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"
)

// WatchOptions say what to watch and whom to tell.
type WatchOptions struct {
	// Path is the configuration file. Options.ReadFile reads it as well.
	Path    string
	Options Options
	// Every is the interval between looks; zero means two seconds.
	Every time.Duration
	// Trigger asks for a reload at once, changed or not, as signal.Notify does
	// for SIGHUP. May be nil.
	Trigger <-chan os.Signal
	// Apply receives each outcome, one at a time: a Config, or what is wrong
	// with the file, in which case the configuration in use stays.
	Apply func(ctx context.Context, cfg Config, problems Problems)
}

// Watcher reloads a configuration when its file changes, or a file that it
// refers to. It compares contents, so it notices replaced symbolic links, as
// Kubernetes mounts use them, and is not woken by touched files.
type Watcher struct {
	options WatchOptions
	used    []string // the files that the last load read
	current digest   // of their contents then
	pending digest   // of contents that differ, seen once
}

type digest [sha256.Size]byte

// NewWatcher makes a Watcher. Nothing is read yet.
func NewWatcher(o WatchOptions) *Watcher {
	if o.Every <= 0 {
		o.Every = 2 * time.Second
	}
	return &Watcher{options: o, used: []string{o.Path}}
}

// Load reads the file now and remembers what it read, so that Run notices every
// change from here on. Call it before Run, not beside it.
func (w *Watcher) Load() (Config, Problems) { return w.load(make(snapshot)) }

// Run looks after the file until ctx ends, and then returns nil. A changed file
// is applied when two looks in a row find the same contents; a bad one is
// reported once.
func (w *Watcher) Run(ctx context.Context) error {
	ticker := time.NewTicker(w.options.Every)
	defer ticker.Stop()
	trigger := w.options.Trigger
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, open := <-trigger:
			if !open {
				trigger = nil // or it would be ready for ever
				continue
			}
			w.apply(ctx, make(snapshot))
		case <-ticker.C:
			w.look(ctx)
		}
	}
}

func (w *Watcher) look(ctx context.Context) {
	seen := make(snapshot)
	for _, name := range w.used {
		_, _ = seen.read(w.options.Options.ReadFile, name) // what went wrong is part of the digest
	}
	switch found := seen.digest(w.used); found {
	case w.current:
		w.pending = digest{}
	case w.pending:
		w.apply(ctx, seen)
	default:
		w.pending = found
	}
}

func (w *Watcher) apply(ctx context.Context, seen snapshot) {
	cfg, problems := w.load(seen)
	if ctx.Err() == nil {
		w.options.Apply(ctx, cfg, problems)
	}
}

// load reads what the snapshot does not have yet, so that what is applied is
// what has settled.
func (w *Watcher) load(seen snapshot) (Config, Problems) {
	used := map[string]bool{w.options.Path: true}
	through := w.options.Options
	through.ReadFile = func(name string) ([]byte, error) {
		used[name] = true
		return seen.read(w.options.Options.ReadFile, name)
	}
	cfg, problems := Config{}, Problems(nil)
	if src, err := through.ReadFile(w.options.Path); err != nil {
		problems = Problems{{File: w.options.Path, Line: 1, Column: 1, Text: unreadable(err)}}
	} else {
		cfg, problems = Load(w.options.Path, src, through)
	}
	w.used = slices.Sorted(maps.Keys(used))
	w.current, w.pending = seen.digest(w.used), digest{}
	return cfg, problems
}

// unreadable words a failed read without repeating the file's name.
func unreadable(err error) string {
	if cause, ok := errors.AsType[*fs.PathError](err); ok {
		return "cannot be read: " + cause.Err.Error()
	}
	return "cannot be read"
}

// snapshot is what files held at one look.
type snapshot map[string]content

type content struct {
	data []byte
	err  error
}

func (s snapshot) read(readFile func(string) ([]byte, error), name string) ([]byte, error) {
	c, known := s[name]
	if !known {
		c.err = errors.New("no files can be read")
		if readFile != nil {
			c.data, c.err = readFile(name)
		}
		s[name] = c
	}
	return c.data, c.err
}

func (s snapshot) digest(names []string) digest {
	h := sha256.New()
	for _, name := range names {
		c := s[name]
		_, _ = fmt.Fprintf(h, "%q %d %v\n", name, len(c.data), c.err)
		_, _ = h.Write(c.data)
	}
	return digest(h.Sum(nil))
}
