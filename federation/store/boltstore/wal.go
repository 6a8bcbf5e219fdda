package boltstore

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// Files are the paths of all files that may belong to the store at a path: the
// file itself and the two that are written ahead of it.
func Files(path string) []string { return []string{path, path + ".wal", path + ".wal2"} }

// errUnsynced says that a frame was written, and that nobody knows whether it
// is on the disk.
var errUnsynced = errors.New("sync write-ahead file")

// wal are the two write-ahead files. Frames are appended to one, until a fold
// begins and takes what is in it; then to the other. The fold's end makes the
// first one free, to be written over from its beginning: a file that neither
// grows nor shrinks is synced without its folder and its inode.
type wal struct {
	path  string
	files [2]*os.File
	// size is how far each file was made.
	size [2]int64
	// active is the file that is appended to, and at where.
	active int
	at     int64
	run    runID
	// seq is of the newest frame.
	seq uint64
	// write and sync are what they say, but where a test makes the disk fail.
	write func(f *os.File, b []byte, at int64) (int, error)
	sync  func(*os.File) error
	step  func(string)
}

func newWAL(path string) wal {
	return wal{path: path, write: (*os.File).WriteAt, sync: syncData, step: func(string) {}}
}

func (w *wal) begun() bool { return w.files[0] != nil }

// make makes both files. The database does not know of them yet.
func (w *wal) make() error {
	for i, path := range Files(w.path)[1:] {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return errors.Join(err, w.remove())
		}
		w.files[i], w.size[i] = f, 0
	}
	w.active, w.at, w.seq = 0, 0, 0
	if _, err := rand.Read(w.run[:]); err != nil {
		return errors.Join(err, w.remove())
	}
	if err := syncDir(filepath.Dir(w.path)); err != nil {
		return errors.Join(err, w.remove())
	}
	return nil
}

// remove removes the files. Where it fails, what is left is known to be folded.
func (w *wal) remove() error {
	err := w.close()
	for _, path := range Files(w.path)[1:] {
		if e := os.Remove(path); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

func (w *wal) close() (err error) {
	for i, f := range w.files {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
		w.files[i] = nil
	}
	return err
}

// The files grow in steps, so that few commits change their size.
const (
	leastGrowth = 256 << 10
	mostGrowth  = 4 << 20
)

// append ends a frame and puts it on the disk. Where it answers errUnsynced the
// frame may be there; with any other error it is not, and will not be.
func (w *wal) append(frame []byte) error {
	if err := endFrame(frame, w.run, w.seq+1); err != nil {
		return err
	}
	f, end := w.files[w.active], w.at+int64(len(frame))
	w.step("write")
	if n, err := w.write(f, frame, w.at); n < len(frame) {
		return w.unwrite(f, n, fmt.Errorf("write-ahead file: %w", err))
	}
	if end > w.size[w.active] {
		w.grow(f, end)
	}
	w.step("sync")
	if err := w.sync(f); err != nil {
		return fmt.Errorf("%w: %w", errUnsynced, err)
	}
	w.step("synced")
	w.at, w.seq = end, w.seq+1
	return nil
}

// unwrite takes back what was written of a frame: what is missing of it may happen
// to stand there already, and it must not be found after a crash.
func (w *wal) unwrite(f *os.File, n int, cause error) error {
	if _, err := f.WriteAt(make([]byte, min(n, frameHead)), w.at); err != nil {
		return fmt.Errorf("%w: %w", errUnsynced, errors.Join(cause, err))
	}
	return cause
}

// grow writes zeros behind what was written. It may fail: then the next commit
// is the one that takes more room.
func (w *wal) grow(f *os.File, end int64) {
	more := min(max(end, leastGrowth), mostGrowth)
	if _, err := w.write(f, make([]byte, more), end); err == nil {
		end += more
	}
	w.size[w.active] = end
}

// astray says that somebody has removed or replaced a file, so that a crash would
// lose what is written to it. The next commit makes both anew, once all that they
// have is folded.
func (w *wal) astray() bool {
	for i, f := range w.files {
		if f == nil {
			continue
		}
		opened, err1 := f.Stat()
		now, err2 := os.Stat(Files(w.path)[i+1])
		if err1 != nil || err2 != nil || !os.SameFile(opened, now) {
			return true
		}
	}
	return false
}

// rotate goes on in the other file, of which nothing is needed any more.
func (w *wal) rotate() {
	w.active, w.at = 1-w.active, 0
	if w.size[w.active] > 4*mostWeight {
		// One commit was huge. If it stays so long, that does no harm.
		if err := w.files[w.active].Truncate(0); err == nil {
			w.size[w.active] = 0
		}
	}
}

// begin makes the write-ahead files and tells the database that they are there.
func (e *Engine) begin() error {
	if err := e.wal.make(); err != nil {
		return fmt.Errorf("store: make write-ahead file: %w", err)
	}
	e.step("made")
	tx, err := e.db.Begin(true)
	if err != nil {
		return errors.Join(fmt.Errorf("store: begin: %w", err), e.wal.remove())
	}
	if err := putMark(tx, mark{inUse: true, run: e.wal.run}); err != nil {
		return errors.Join(fmt.Errorf("store: write: %w", err), tx.Rollback(), e.wal.remove())
	}
	id := tx.ID()
	if err := e.commit(tx); err != nil {
		if err = e.settle(id, err); e.failure.Load() == nil {
			err = errors.Join(err, e.wal.remove())
		}
		return err
	}
	e.lastTx = id
	e.step("marked")
	return nil
}

// mark is what the database knows of the write-ahead files.
type mark struct {
	// inUse says that the files may hold what the database does not.
	inUse bool
	// run is whose frames count, and folded the newest that is in the database.
	// Both are kept when the files are gone, to know them if they come back.
	run    runID
	folded uint64
}

func walKey() []byte { return []byte("wal") }

func putMark(tx *bbolt.Tx, m mark) error {
	meta := tx.Bucket([]byte(metaBucket))
	version := uint64(schema)
	if m.inUse {
		version = schemaInUse
	}
	if err := meta.Put([]byte("schema"), number(version)); err != nil {
		return err
	}
	return meta.Put(walKey(), append(m.run[:], number(m.folded)...))
}
