package redisstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// spool is a file of batches. It begins with a line that names the store; then
// come frames: length, checksum, body. A body adds a batch, or says up to which
// one a partition is done with. A frame that is not whole was never answered for.
type spool struct {
	path, head string

	mu   sync.Mutex
	file *os.File
	// kept are the batches of every partition, oldest first.
	kept map[store.Partition][]*kept
	next uint64
	// size is where the next frame goes; live of it are batches still kept.
	size, live int64
	// broken is set once nobody knows what the disk holds.
	broken error
}

const (
	spoolMagic = "drawbridge spool 1 "
	frameAdd   = 1
	frameDone  = 2
	frameHead  = 8
	maxFrame   = 256 << 20
	// maxSpool bounds what is kept, in the file and in memory; it is looked at
	// before a batch is sent.
	maxSpool = 256 << 20
	// minCompact is the least size that is worth writing anew.
	minCompact = 1 << 20
)

var errDamagedSpool = errors.New("the spool is damaged")

// openSpool reads what a process before this one has left. A file of another
// store is refused: this process has worked with a store that is not there.
func openSpool(path, id string, n func(store.Partition) names) (*spool, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	s := &spool{path: path, head: spoolMagic + id + "\n", file: f, kept: map[store.Partition][]*kept{}}
	if err := s.load(n); err != nil {
		return nil, errors.Join(fmt.Errorf("open spool %s: %w", path, err), f.Close())
	}
	return s, nil
}

func (s *spool) load(n func(store.Partition) names) error {
	all, err := io.ReadAll(s.file)
	if err != nil {
		return err
	}
	s.size = int64(len(s.head))
	if len(all) < len(s.head) {
		// The process ended before it had written the line.
		if _, err := s.file.WriteAt([]byte(s.head), 0); err != nil {
			return err
		}
		return errors.Join(s.file.Sync(), syncDir(s.path))
	}
	if string(all[:len(spoolMagic)]) != spoolMagic {
		return errors.New("the file is not a spool")
	}
	if string(all[:len(s.head)]) != s.head {
		return fmt.Errorf("%w: it was written for another store; move the file away to go on with this one", store.ErrLost)
	}
	for rest := all[len(s.head):]; ; {
		body, after := cutFrame(rest)
		if body == nil {
			break
		}
		if err := s.take(body, n); err != nil {
			return err
		}
		s.size += int64(len(rest) - len(after))
		rest = after
	}
	return s.file.Truncate(s.size)
}

// spoolStore is the store that a spool was written for; empty when there is no
// spool yet.
func spoolStore(path string) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("open spool: %w", err)
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, len(spoolMagic)+storeIDSize)
	if _, err := io.ReadFull(f, head); err != nil {
		// A file that is shorter keeps nothing.
		return "", nil
	}
	return string(head[len(spoolMagic):]), nil
}

func cutFrame(b []byte) (body, rest []byte) {
	if len(b) < frameHead {
		return nil, b
	}
	size := binary.BigEndian.Uint32(b)
	if size == 0 || int64(size) > int64(len(b)-frameHead) {
		return nil, b
	}
	body = b[frameHead : frameHead+size]
	if crc32.ChecksumIEEE(body) != binary.BigEndian.Uint32(b[4:]) {
		return nil, b
	}
	return body, b[frameHead+size:]
}

func frame(body []byte) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, frameHead+len(body)), uint32(len(body)))
	return append(binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(body)), body...)
}

// take does what a frame says.
func (s *spool) take(body []byte, n func(store.Partition) names) error {
	switch {
	case body[0] == frameAdd:
		k, err := parseKept(body[1:], n)
		if err != nil {
			return err
		}
		k.size = int64(frameHead + len(body))
		s.remember(k)
		return nil
	case body[0] == frameDone && len(body) == 11:
		s.forget(store.Partition(binary.BigEndian.Uint16(body[1:])), binary.BigEndian.Uint64(body[3:]))
		return nil
	}
	return errDamagedSpool
}

func (s *spool) remember(k *kept) {
	s.kept[k.partition] = append(s.kept[k.partition], k)
	s.next = max(s.next, k.id+1)
	s.live += k.size
}

// forget drops the batches of a partition up to a number.
func (s *spool) forget(p store.Partition, upTo uint64) {
	list := s.kept[p]
	for len(list) > 0 && list[0].id <= upTo {
		s.live -= list[0].size
		list[0] = nil
		list = list[1:]
	}
	if s.kept[p] = list; len(list) == 0 {
		delete(s.kept, p)
	}
}

// add returns when the batch is on the disk.
func (s *spool) add(k *kept) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k.id = s.next
	body := k.encode()
	if len(body) > maxFrame {
		return fmt.Errorf("store: a batch of %d bytes is too large for the spool", len(body))
	}
	k.size = int64(frameHead + len(body))
	if err := s.write(body); err != nil {
		return err
	}
	// After a sync that failed nobody knows what the disk holds.
	if err := s.file.Sync(); err != nil {
		s.broken = fmt.Errorf("store: write spool: %w", err)
		return s.broken
	}
	s.remember(k)
	return nil
}

// done forgets the batches of a partition up to this one. That is not synced:
// to look at a batch again does no harm.
func (s *spool) done(k *kept) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(k.partition, k.id)
	if s.live > 0 && (s.size < minCompact || s.live > s.size/2) {
		body := binary.BigEndian.AppendUint16([]byte{frameDone}, uint16(k.partition))
		return s.write(binary.BigEndian.AppendUint64(body, k.id))
	}
	return s.compact()
}

func (s *spool) write(body []byte) error {
	if s.broken != nil {
		return s.broken
	}
	b := frame(body)
	if _, err := s.file.WriteAt(b, s.size); err != nil {
		return fmt.Errorf("store: write spool: %w", err)
	}
	s.size += int64(len(b))
	return nil
}

// compact leaves just the batches that are kept still: mostly none.
func (s *spool) compact() (err error) {
	if s.live == 0 {
		if err := s.file.Truncate(int64(len(s.head))); err != nil {
			return fmt.Errorf("store: empty spool: %w", err)
		}
		s.size, s.broken = int64(len(s.head)), nil
		return nil
	}
	f, err := os.OpenFile(s.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("store: compact spool: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("store: compact spool: %w", err), f.Close())
		}
	}()
	size, err := io.WriteString(f, s.head)
	for _, list := range s.kept {
		for _, k := range list {
			n := 0
			if err == nil {
				n, err = f.Write(frame(k.encode()))
			}
			size += n
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), s.path)
	}
	if err != nil {
		return err
	}
	_ = s.file.Close()
	s.file, s.size, s.broken = f, int64(size), nil
	return syncDir(s.path)
}

// pending are the oldest batches of one partition, in order.
func (s *spool) pending(p store.Partition, limit int) []*kept {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.kept[p]
	return append([]*kept(nil), list[:min(limit, len(list))]...)
}

// full says that no more should be kept.
func (s *spool) full() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live > maxSpool
}

// depth is how many commits are kept.
func (s *spool) depth() int {
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, list := range s.kept {
		for _, k := range list {
			n += len(k.commits)
		}
	}
	return n
}

func (s *spool) close() error {
	if s == nil {
		return nil
	}
	return s.file.Close()
}

// syncDir makes a file's name survive a power cut.
func syncDir(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
