package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// ErrInUse says that another process (or another engine of this one) has the
// file open.
var ErrInUse = errors.New("store: file is in use by another process")

// ErrReadOnly says that the engine was opened with Options.ReadOnly.
var ErrReadOnly = errors.New("store: file was opened to be read only")

// Options say which file to open and how. Path and Now are required; every
// other field has a default that suits production.
type Options struct {
	// Path is the file. It is made with mode 0600 where it is missing, its
	// directories with mode 0700.
	Path string
	// Now is the clock that all deadlines are judged by.
	Now func() time.Time
	// Partitions is the number that a new file is created with (default 1, at
	// most 65,536). For a file that is there it must be the same number, or 0.
	Partitions int
	// MaxBatch is how many commits may share one sync. Default 1,024.
	MaxBatch int
	// LockTimeout is how long to wait for a process that holds the file.
	// Default 1 second.
	LockTimeout time.Duration
	// SweepEvery is how often Run looks for expired records. Default 10 seconds.
	SweepEvery time.Duration
	// FoldEvery is how long a commit may stand only in the write-ahead file.
	// Default 1 second.
	FoldEvery time.Duration
	// NewEpoch is set once, when the file was restored from a backup: entries
	// appended from now on have positions that were never used before, also
	// not in what the backup does not know.
	NewEpoch bool
	// ReadOnly opens a file that must be there and changes nothing of it.
	// Commits answer ErrReadOnly. Several may have a file open so, but not
	// while one has it open to write.
	ReadOnly bool
}

func (o Options) withDefaults() (Options, error) {
	if o.Path == "" || o.Now == nil {
		return o, errors.New("store: a bolt engine needs a path and a clock")
	}
	if o.Partitions < 0 || o.Partitions > 1<<16 {
		return o, fmt.Errorf("store: %d partitions are not between 1 and %d", o.Partitions, 1<<16)
	}
	if o.ReadOnly && o.NewEpoch {
		return o, errors.New("store: a new epoch cannot be begun in a file that is only read")
	}
	if o.MaxBatch < 0 || o.LockTimeout < 0 || o.SweepEvery < 0 || o.FoldEvery < 0 {
		return o, errors.New("store: a negative option of the bolt engine")
	}
	setDefault(&o.MaxBatch, 1024)
	setDefault(&o.LockTimeout, time.Second)
	setDefault(&o.SweepEvery, 10*time.Second)
	setDefault(&o.FoldEvery, time.Second)
	return o, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Open opens the file, or creates it, and starts the engine's writer, which
// Close joins. ErrInUse when somebody else has the file open; store.ErrNewer
// when a newer version of Drawbridge wrote it; store.ErrLoading when it holds
// half of what was to be loaded.
func Open(o Options) (*Engine, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if !o.ReadOnly {
		if err := makeDir(filepath.Dir(o.Path)); err != nil {
			return nil, fmt.Errorf("store: create directory: %w", err)
		}
	}
	db, err := openFile(o)
	if err != nil {
		return nil, err
	}
	e, err := prepare(db, o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: open %s: %w", o.Path, err), db.Close())
	}
	e.writing.Go(e.write)
	return e, nil
}

// openFile also turns bbolt's panics over damaged pages into an error, without
// their text, which shows keys.
func openFile(o Options) (db *bbolt.DB, err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("store: open %s: %w", o.Path, errDamaged)
		}
	}()
	if info, err := os.Stat(o.Path); o.ReadOnly || err == nil && info.Size() > 0 {
		db, err := lookAt(o)
		if err != nil || o.ReadOnly {
			return db, err
		}
		if err := db.Close(); err != nil {
			return nil, fmt.Errorf("store: open %s: %w", o.Path, err)
		}
	}
	if db, err = openBolt(o, bbolt.Options{InitialMmapSize: initialMap()}); err != nil {
		return nil, err
	}
	// Bounds how much a nearly empty file takes: the map is large from the start.
	db.AllocSize = 4 << 20
	return db, nil
}

// lookAt opens a file to read it, and refuses one that was cut short: to read
// beyond its end would end the process. One that is to be read only is held to
// more than that, at the price of reading it all.
func lookAt(o Options) (*bbolt.DB, error) {
	db, err := openBolt(o, bbolt.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	err = db.View(func(tx *bbolt.Tx) error {
		info, err := os.Stat(o.Path)
		if err == nil && info.Size() < tx.Size() {
			err = fmt.Errorf("it has %d bytes of %d: %w", info.Size(), tx.Size(), errDamaged)
		}
		if err == nil && o.ReadOnly {
			err = walkPages(o.Path, db.Info().PageSize)
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: open %s: %w", o.Path, err), db.Close())
	}
	return db, nil
}

func openBolt(o Options, how bbolt.Options) (*bbolt.DB, error) {
	// bbolt gives up a poll of 50 ms before its timeout.
	how.Timeout = o.LockTimeout + 50*time.Millisecond
	how.NoFreelistSync = true
	how.FreelistType = bbolt.FreelistMapType
	db, err := bbolt.Open(o.Path, 0o600, &how)
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("%w: %s", ErrInUse, o.Path)
	}
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", o.Path, err)
	}
	return db, nil
}

func initialMap() int {
	if strconv.IntSize == 32 {
		return 64 << 20
	}
	return 1 << 30
}

// schema is the version of the layout that the package doc shows. It is the
// first: when there is another, prepare brings a file from the one before in
// the transaction that would otherwise make its buckets. schemaInUse is the same
// layout while there may be commits in the write-ahead file that the database
// has not: a binary that does not look there refuses it.
const (
	schema      = 1
	schemaInUse = 2
)

// prepare makes the buckets of a new file, or checks those of an old one, and
// takes over what a crash has left beside it.
func prepare(db *bbolt.DB, o Options) (*Engine, error) {
	var layout store.Layout
	fresh := false
	err := db.View(func(tx *bbolt.Tx) (err error) {
		if fresh, err = isFresh(tx); err != nil || fresh {
			return err
		}
		layout, err = readLayout(tx, o.Partitions)
		return err
	})
	if err == nil && fresh && o.ReadOnly {
		err = errors.New("there is nothing in it")
	}
	if err != nil {
		return nil, err
	}
	if fresh {
		layout.Partitions = max(o.Partitions, 1)
		err := db.Update(func(tx *bbolt.Tx) error { return createBuckets(tx, layout) })
		if err = errors.Join(err, syncDir(filepath.Dir(o.Path))); err != nil {
			return nil, err
		}
	}
	e := newEngine(db, layout, o)
	if err := e.recover(); err != nil {
		return nil, err
	}
	if fresh || !o.NewEpoch {
		return e, nil
	}
	return e, db.Update(func(tx *bbolt.Tx) error { return advanceEpoch(tx, layout, o.Now()) })
}

func isFresh(tx *bbolt.Tx) (bool, error) {
	if tx.Bucket([]byte(metaBucket)) != nil {
		return false, nil
	}
	if name, _ := tx.Cursor().First(); name != nil {
		return false, errors.New("the file is not a Drawbridge store")
	}
	return true, nil
}

func createBuckets(tx *bbolt.Tx, layout store.Layout) error {
	for p := range layout.Partitions {
		n := namesOf(store.Partition(p))
		for _, name := range [][]byte{n.records, n.expiry, n.log} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
	}
	parts, err := tx.CreateBucket([]byte(partitionsBucket))
	if err != nil {
		return err
	}
	for p := range layout.Partitions {
		if err := parts.Put(partitionKey(store.Partition(p)), counters{head: store.Position{Epoch: 1}}.encode()); err != nil {
			return err
		}
	}
	meta, err := tx.CreateBucket([]byte(metaBucket))
	if err != nil {
		return err
	}
	if err := meta.Put([]byte("schema"), number(schema)); err != nil {
		return err
	}
	return meta.Put([]byte("partitions"), number(uint64(layout.Partitions)))
}

func readLayout(tx *bbolt.Tx, want int) (store.Layout, error) {
	meta := tx.Bucket([]byte(metaBucket))
	version, parts := meta.Get([]byte("schema")), meta.Get([]byte("partitions"))
	if len(version) != 8 || len(parts) != 8 {
		return store.Layout{}, fmt.Errorf("read layout: %w", errDamaged)
	}
	v := binary.BigEndian.Uint64(version)
	if v == 0 {
		return store.Layout{}, fmt.Errorf("read layout: %w", errDamaged)
	}
	if v > schemaInUse {
		return store.Layout{}, fmt.Errorf("its schema is %d, this binary knows %d: %w", v, schemaInUse, store.ErrNewer)
	}
	if meta.Get(loadingKey()) != nil {
		return store.Layout{}, store.ErrLoading
	}
	n := binary.BigEndian.Uint64(parts)
	if n == 0 || n > 1<<16 {
		return store.Layout{}, fmt.Errorf("read layout: %w", errDamaged)
	}
	if want != 0 && uint64(want) != n {
		return store.Layout{}, fmt.Errorf("it was created with %d partitions, which cannot become %d", n, want)
	}
	return store.Layout{Partitions: int(n)}, nil
}

// advanceEpoch begins an epoch of its own in every partition.
func advanceEpoch(tx *bbolt.Tx, layout store.Layout, now time.Time) error {
	parts := tx.Bucket([]byte(partitionsBucket))
	for p := range layout.Partitions {
		key := partitionKey(store.Partition(p))
		c, err := parseCounters(parts.Get(key))
		if err != nil {
			return err
		}
		c.head = c.head.NextEpoch(now)
		if err := parts.Put(key, c.encode()); err != nil {
			return err
		}
	}
	return nil
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// makeDir is MkdirAll that also survives a power cut.
func makeDir(dir string) error {
	_, err := os.Stat(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeDir(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
