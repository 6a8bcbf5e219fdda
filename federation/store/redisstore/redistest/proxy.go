package redistest

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Proxy stands on a loopback port between clients and one server, and spoils
// what goes through. It understands RESP, so that it can tell requests and
// answers apart; a connection that is something else (TLS, the stream of a
// replica, a subscription) is passed through, and can be cut, slowed and
// frozen, no more.
//
// Where the server cannot be reached, a connection is accepted and closed.
type Proxy struct {
	addr string

	mu       sync.Mutex
	target   string
	listener net.Listener // nil when cut
	links    map[*link]struct{}
	closed   bool
	delay    time.Duration
	frozen   chan struct{} // closed when thawed; nil when not frozen
	spoil    spoil
	severed  int
	done     sync.WaitGroup
}

// spoil is what happens to requests. The zero value lets them pass.
type spoil struct {
	answer   string   // instead of the server's
	sever    int      // so many requests lose their connection before the answer
	commands []string // that this is about; all but those that set up a connection when empty
	all      bool     // those too
}

// NewProxy stands before the server at target until the end of the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	p := &Proxy{target: target, links: map[*link]struct{}{}}
	for range portAttempts {
		p.addr = loopback(freePort())
		if err := p.listen(); err == nil {
			t.Cleanup(p.close)
			return p
		}
	}
	t.Fatalf("redistest: no free port in %d attempts", portAttempts)
	return nil
}

// Addr is where clients connect to.
func (p *Proxy) Addr() string { return p.addr }

// Cut closes all connections and refuses new ones.
func (p *Proxy) Cut() {
	p.mu.Lock()
	listener := p.listener
	p.listener = nil
	p.mu.Unlock()
	if listener != nil {
		_ = listener.Close()
	}
	p.CloseAll()
}

// Restore accepts connections again after Cut. It panics when somebody took
// the port in between and keeps it.
func (p *Proxy) Restore() {
	patience := time.Now().Add(startPatience)
	for {
		err := p.listen()
		if err == nil {
			return
		}
		if time.Now().After(patience) {
			panic("redistest: the proxy does not get its port back: " + err.Error())
		}
		time.Sleep(pollEvery)
	}
}

// CloseAll closes the connections that there are.
func (p *Proxy) CloseAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.close()
	}
}

// Retarget closes all connections; new ones go to another server.
func (p *Proxy) Retarget(target string) {
	p.mu.Lock()
	p.target = target
	p.mu.Unlock()
	p.CloseAll()
}

// Slow delays every chunk by d, in each direction. 0 ends it.
func (p *Proxy) Slow(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Freeze holds all bytes; connections stay open and new ones are accepted.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen == nil {
		p.frozen = make(chan struct{})
	}
}

// Thaw passes on what Freeze has held.
func (p *Proxy) Thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
}

// CutAfterRequests lets the next n requests be carried out and closes their
// connections instead of passing the answer on: what happened is unknown to
// the client. With commands named, only those count; without, all but those
// that set up a connection (HELLO, AUTH, CLIENT, SELECT). Answers to what was
// sent earlier on the connection get through. 0 ends it.
func (p *Proxy) CutAfterRequests(n int, commands ...string) {
	p.set(spoil{sever: n, commands: commands})
}

// Severed is how many connections CutAfterRequests has closed.
func (p *Proxy) Severed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.severed
}

func (p *Proxy) countSevered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.severed++
}

// Answer answers requests with a line of RESP such as "-LOADING Redis is
// loading the dataset in memory" and does not pass them on: those of the
// commands named or, without, all but those that set up a connection. An empty
// line ends it.
func (p *Proxy) Answer(line string, commands ...string) {
	if line == "" {
		p.set(spoil{})
		return
	}
	p.set(spoil{answer: strings.TrimRight(line, "\r\n") + "\r\n", commands: commands})
}

// Garbage answers every request with something that is not RESP.
func (p *Proxy) Garbage() {
	p.set(spoil{answer: "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n", all: true})
}

// Heal ends everything that the proxy does to connections.
func (p *Proxy) Heal() {
	p.set(spoil{})
	p.Slow(0)
	p.Thaw()
	p.Restore()
}

func (p *Proxy) set(s spoil) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spoil = s
}

// verdict is what is to happen to a request.
func (p *Proxy) verdict(command string) (answer string, sever bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.spoil.all:
	case len(p.spoil.commands) > 0:
		if !slices.ContainsFunc(p.spoil.commands, func(c string) bool { return strings.EqualFold(c, command) }) {
			return "", false
		}
	case slices.Contains([]string{"HELLO", "AUTH", "CLIENT", "SELECT"}, command):
		return "", false
	}
	if p.spoil.sever > 0 {
		p.spoil.sever--
		return "", true
	}
	return p.spoil.answer, false
}

// listen accepts connections unless the proxy does so already, or has ended.
func (p *Proxy) listen() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil || p.closed {
		return nil
	}
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		return err
	}
	p.listener = l
	p.done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.done.Go(func() { p.serve(l, conn) })
		}
	})
	return nil
}

func (p *Proxy) serve(accepted net.Listener, client net.Conn) {
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	server, err := net.DialTimeout("tcp", target, stopPatience)
	if err != nil {
		_ = client.Close()
		return
	}
	l := &link{proxy: p, client: client, server: server, closed: make(chan struct{})}
	p.mu.Lock()
	// Cut and Retarget close what they see: nothing may slip in behind them.
	current := p.listener == accepted && p.target == target
	p.links[l] = struct{}{}
	p.mu.Unlock()
	if current {
		l.run()
	}
	l.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Cut()
	p.done.Wait()
}
