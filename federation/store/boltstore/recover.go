package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// recover takes over what the write-ahead files have and the database has not:
// into the database, or, of a store that is only read, into memory.
func (e *Engine) recover() error {
	var m mark
	err := e.db.View(func(tx *bbolt.Tx) (err error) {
		e.lastTx = tx.ID()
		m, err = readMark(tx)
		return err
	})
	if err != nil {
		return err
	}
	segments, err := readSegments(e.o.Path)
	if err != nil {
		return err
	}
	if !m.inUse {
		return e.dropLeftovers(m, segments)
	}
	if len(segments) < len(e.wal.files) {
		return fmt.Errorf("%s.wal or .wal2 is missing, and with it perhaps what was committed last: %w", e.o.Path, errDamaged)
	}
	frames, err := collect(segments, m.run, m.folded)
	if err != nil {
		return fmt.Errorf("%s.wal: %w", e.o.Path, err)
	}
	parts := map[store.Partition]*part{}
	for _, frame := range frames {
		if err := replay(frame, parts); err != nil {
			return err
		}
	}
	for p := range parts {
		if int(p) >= e.layout.Partitions {
			return fmt.Errorf("%s.wal has partition %d of %d: %w", e.o.Path, p, e.layout.Partitions, errDamaged)
		}
	}
	if e.o.ReadOnly {
		e.unfolded = true
		for p, part := range parts {
			part.maxTx = math.MaxInt
			e.parts[p].Store(part)
		}
		return nil
	}
	return e.foldRecovered(parts, mark{run: m.run, folded: m.folded + uint64(len(frames))})
}

func (e *Engine) foldRecovered(parts map[store.Partition]*part, m mark) error {
	for _, part := range parts {
		part.frozen, part.active = part.active, layer{}
	}
	if err := e.writeFold(&fold{parts: parts, mark: m, begun: true}); err != nil {
		return err
	}
	e.step("recovered")
	return e.removeSegments()
}

func (e *Engine) removeSegments() error {
	return errors.Join(e.wal.remove(), syncDir(filepath.Dir(e.o.Path)))
}

// dropLeftovers removes files of which nothing is needed: they were about to be
// removed, or just made, when the process ended. Others are left alone, and the
// database is not opened beside them: what they hold may be missing in it.
func (e *Engine) dropLeftovers(m mark, segments [][]byte) error {
	unknown, err := collect(segments, m.run, m.folded)
	known := err == nil && len(unknown) == 0
	for _, s := range segments {
		_, ours := frameAt(s, m.run)
		known = known && (ours || len(bytes.Trim(s, "\x00")) == 0)
	}
	if !known {
		return fmt.Errorf("beside it are %s.wal and .wal2, with commits of another store or of another time of this one: put them to the file they belong to, or move them away: %w",
			e.o.Path, errDamaged)
	}
	if e.o.ReadOnly || len(segments) == 0 {
		return nil
	}
	return e.removeSegments()
}

// readMark reads what the database knows of its write-ahead files.
func readMark(tx *bbolt.Tx) (mark, error) {
	meta := tx.Bucket([]byte(metaBucket))
	known := meta.Get(walKey())
	m := mark{inUse: bytes.Equal(meta.Get([]byte("schema")), number(schemaInUse))}
	switch {
	case len(known) == len(m.run)+8:
		copy(m.run[:], known)
		m.folded = binary.BigEndian.Uint64(known[len(m.run):])
	case known != nil || m.inUse:
		return m, fmt.Errorf("read layout: %w", errDamaged)
	}
	return m, nil
}

// readSegments reads the write-ahead files that are there.
func readSegments(path string) (segments [][]byte, err error) {
	for _, file := range Files(path)[1:] {
		b, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		segments = append(segments, b)
	}
	return segments, nil
}

// collect finds the frames after the newest folded one, in order. What a crash
// has left of the very last is dropped, because nobody was told that it stands.
// A frame that is missing before others is damage: each was written when the one
// before was on the disk.
func collect(segments [][]byte, run runID, folded uint64) ([][]byte, error) {
	found := map[uint64][]byte{}
	newest := uint64(0)
	for _, s := range segments {
		if foreign(s, run) {
			return nil, fmt.Errorf("it has commits of another store, or of another time of this one: %w", errDamaged)
		}
		chain(s, run, func(seq uint64, frame []byte) { found[seq] = frame })
		newest = max(newest, newestHead(s, run))
	}
	var frames [][]byte
	next := folded + 1
	for ; found[next] != nil; next++ {
		frames = append(frames, found[next])
	}
	if newest > next {
		return nil, fmt.Errorf("commit %d cannot be read, and %d was made after it: %w", next, newest, errDamaged)
	}
	return frames, nil
}

// foreign says that a file begins with a frame of another run.
func foreign(b []byte, run runID) bool {
	if len(b) < frameHead {
		return false
	}
	other := runID(b[runAt:seqAt])
	_, _, whole := cutFrame(b, other)
	return whole && other != run
}

// chain visits the frames from the beginning of a file, as long as each follows
// on the one before: what comes then was there before.
func chain(b []byte, run runID, visit func(seq uint64, frame []byte)) {
	last := uint64(0)
	for {
		seq, frame, ok := cutFrame(b, run)
		if !ok || last != 0 && seq != last+1 {
			return
		}
		visit(seq, frame)
		last, b = seq, b[len(frame):]
	}
}

// newestHead looks for frames anywhere, whole or not.
func newestHead(b []byte, run runID) (newest uint64) {
	for at := 0; ; at++ {
		i := bytes.Index(b[at:], run[:])
		if i < 0 {
			return newest
		}
		if at += i; at >= runAt {
			if seq, ok := frameAt(b[at-runAt:], run); ok {
				newest = max(newest, seq)
			}
		}
	}
}
