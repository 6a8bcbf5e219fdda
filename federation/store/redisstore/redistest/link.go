package redistest

import (
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

const chunkSize = 64 << 10

// link is one connection through a proxy.
type link struct {
	proxy          *Proxy
	client, server net.Conn
	once           sync.Once
	closed         chan struct{}

	mu      sync.Mutex // held while the client is written to
	pending []answer   // to requests that were sent, oldest first
	raw     bool       // not RESP, or no longer requests and answers
}

// answer is one that the client waits for.
type answer struct {
	own   string // what the proxy says; empty when the server does
	sever bool   // the connection ends in its place
}

func (l *link) close() {
	l.once.Do(func() {
		close(l.closed)
		_ = l.client.Close()
		_ = l.server.Close()
	})
}

// run passes bytes on in both directions until one of them ends.
func (l *link) run() {
	var both sync.WaitGroup
	both.Go(func() { l.copy(l.client, l.requests()) })
	both.Go(func() { l.copy(l.server, l.answers()) })
	both.Wait()
}

func (l *link) copy(from io.Reader, deliver func(chunk []byte) error) {
	defer l.close()
	chunk := make([]byte, chunkSize)
	for {
		n, err := from.Read(chunk)
		if n > 0 && (!l.hold() || deliver(chunk[:n]) != nil) {
			return
		}
		if err != nil {
			return
		}
	}
}

// hold waits as long as the proxy wants bytes to wait, and says whether the
// connection is still there.
func (l *link) hold() bool {
	l.proxy.mu.Lock()
	delay := l.proxy.delay
	l.proxy.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-l.closed:
			return false
		}
	}
	for {
		l.proxy.mu.Lock()
		frozen := l.proxy.frozen
		l.proxy.mu.Unlock()
		if frozen == nil {
			return true
		}
		select {
		case <-frozen:
		case <-l.closed:
			return false
		}
	}
}

// requests takes what the client sends, a request at a time as far as these
// are complete, and passes it on or answers it. What comes together is passed
// on together.
func (l *link) requests() func([]byte) error {
	var found frames
	var request, out []byte
	return func(chunk []byte) error {
		out = out[:0]
		for len(chunk) > 0 && !l.isRaw() {
			n, ended := found.next(chunk)
			request = append(request, chunk[:n]...)
			chunk = chunk[n:]
			if found.strange {
				l.setRaw()
			}
			if !ended && !found.strange {
				continue
			}
			pass, err := l.request(request)
			if err != nil {
				return err
			}
			if pass {
				out = append(out, request...)
			}
			request = request[:0]
		}
		if l.isRaw() { // maybe since a moment ago: what was kept goes first
			out, request = append(out, request...), request[:0]
		}
		_, err := l.server.Write(append(out, chunk...))
		return err
	}
}

// request says whether the server is to see a request. The client gets the
// answer to one that it is not to see when its turn has come.
func (l *link) request(request []byte) (pass bool, err error) {
	name := command(request)
	if slices.Contains([]string{"PSYNC", "SYNC", "MONITOR", "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"}, name) {
		l.setRaw()
	}
	if l.isRaw() {
		return true, nil
	}
	own, sever := l.proxy.verdict(name)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = append(l.pending, answer{own, sever})
	_, err = l.client.Write(l.due(nil))
	return own == "", err
}

// answers takes what the server sends. The proxy's own answers go between the
// server's, in the order of the requests.
func (l *link) answers() func([]byte) error {
	var found frames
	var out []byte
	return func(chunk []byte) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		out = out[:0]
		for len(chunk) > 0 && !l.raw {
			n, ended := found.next(chunk)
			if len(l.pending) > 0 && l.pending[0].sever && found.kind != '>' {
				_, _ = l.client.Write(out)
				l.proxy.countSevered()
				return io.ErrClosedPipe
			}
			out = append(out, chunk[:n]...)
			chunk = chunk[n:]
			l.raw = l.raw || found.strange
			if ended && found.kind != '>' && len(l.pending) > 0 {
				l.pending = l.pending[1:]
				out = l.due(out)
			}
		}
		_, err := l.client.Write(append(out, chunk...))
		return err
	}
}

// due appends the proxy's own answers that are next. The caller holds mu.
func (l *link) due(out []byte) []byte {
	for len(l.pending) > 0 && l.pending[0].own != "" {
		out = append(out, l.pending[0].own...)
		l.pending = l.pending[1:]
	}
	return out
}

func (l *link) isRaw() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.raw
}

func (l *link) setRaw() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.raw = true
}
