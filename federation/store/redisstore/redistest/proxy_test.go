package redistest

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// through is a client of a new server through a new proxy.
func through(t *testing.T, protocol int) (*Server, *Proxy, *redis.Client) {
	t.Helper()
	s := Start(t)
	p := NewProxy(t, s.Addr())
	c := redis.NewClient(&redis.Options{Addr: p.Addr(), MaxRetries: -1, Protocol: protocol, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = c.Close() })
	return s, p, c
}

// timedOut is a deadline that passed, wherever it was noticed.
func timedOut(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

func TestProxyPassesEverythingOn(t *testing.T) {
	t.Parallel()
	for _, protocol := range []int{2, 3} {
		_, p, c := through(t, protocol)
		big := strings.Repeat("x", 3*chunkSize+1)
		c.HSet(t.Context(), "h", "f", big, "g", "")
		pipe := c.Pipeline()
		all, float := pipe.HGetAll(t.Context(), "h"), pipe.Do(t.Context(), "INCRBYFLOAT", "n", "0.5")
		missing := pipe.Get(t.Context(), "nothing")
		if _, err := pipe.Exec(t.Context()); !errors.Is(err, redis.Nil) {
			t.Fatal(err)
		}
		if all.Val()["f"] != big || float.Val() != "0.5" || !errors.Is(missing.Err(), redis.Nil) {
			t.Errorf("protocol %d: not what was stored", protocol)
		}
		listening := c.Subscribe(t.Context(), "news")
		if _, err := listening.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.Publish(t.Context(), "news", "hello")
		if m, err := listening.ReceiveMessage(t.Context()); err != nil || m.Payload != "hello" {
			t.Errorf("protocol %d: heard %v, %v", protocol, m, err)
		}
		_ = listening.Close()
		p.Slow(time.Millisecond)
		if got := c.HGet(t.Context(), "h", "f").Val(); got != big {
			t.Errorf("protocol %d: slowly, %d bytes came", protocol, len(got))
		}
	}
}

func TestProxyPassesTLSAndInlineCommandsOn(t *testing.T) {
	t.Parallel()
	s, config := StartTLS(t)
	p := NewProxy(t, s.Addr())
	c := redis.NewClient(&redis.Options{Addr: p.Addr(), TLSConfig: config})
	defer c.Close()
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
	plain := NewProxy(t, Start(t).Addr())
	conn, err := net.Dial("tcp", plain.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "PING\r\n")
	answer := make([]byte, 7)
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "+PONG\r\n" {
		t.Errorf("inline: %q, %v", answer, err)
	}
}

func TestProxyCutsAndRestores(t *testing.T) {
	t.Parallel()
	s, p, c := through(t, 2)
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c.Set(t.Context(), "a", "1", 0)
	p.Cut()
	p.Cut() // twice is once
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a connection survived")
	}
	if again, err := net.Dial("tcp", p.Addr()); err == nil {
		_ = again.Close()
		t.Error("a new connection was accepted")
	}
	p.Restore()
	p.Restore()
	if got, err := c.Get(t.Context(), "a").Result(); got != "1" {
		t.Errorf("after Restore: %q, %v", got, err)
	}
	s.Kill()
	if err := c.Ping(t.Context()).Err(); err == nil {
		t.Error("a PONG of a dead server")
	}
	other := Start(t)
	other.Do(t, "SET", "a", "2")
	p.Retarget(other.Addr())
	if got, err := c.Get(t.Context(), "a").Result(); got != "2" {
		t.Errorf("after Retarget: %q, %v", got, err)
	}
}

func TestProxyFreezesAndThaws(t *testing.T) {
	t.Parallel()
	s, p, c := through(t, 2)
	c.Ping(t.Context())
	p.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.Ping(ctx).Err(); !timedOut(err) {
		t.Errorf("frozen: %v", err)
	}
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatalf("frozen, a new connection: %v", err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n")
	if got := s.Do(t, "GET", "n"); got != nil {
		t.Errorf("a frozen request was carried out: %v", got)
	}
	p.Thaw()
	answer := make([]byte, 4)
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != ":1\r\n" {
		t.Errorf("thawed: %q, %v", answer, err)
	}
	p.Freeze()
	p.Cut() // must not wait for the thaw
	p.Heal()
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Errorf("healed: %v", err)
	}
}

func TestProxyMakesTheOutcomeUnknown(t *testing.T) {
	t.Parallel()
	for _, protocol := range []int{2, 3} {
		s, p, c := through(t, protocol)
		p.CutAfterRequests(2)
		for range 2 {
			if err := c.Incr(t.Context(), "n").Err(); err == nil {
				t.Error("an answer came through")
			}
		}
		if n, err := c.Incr(t.Context(), "n").Result(); n != 3 || err != nil {
			t.Errorf("after two lost answers, n is %d, %v", n, err)
		}
		p.CutAfterRequests(1, "evalsha", "decr")
		pipe := c.Pipeline()
		before, lost := pipe.Incr(t.Context(), "n"), pipe.Decr(t.Context(), "n")
		_, _ = pipe.Exec(t.Context())
		if before.Val() != 4 || lost.Err() == nil {
			t.Errorf("pipelined: %d before it; itself %v", before.Val(), lost.Err())
		}
		if got := s.Do(t, "GET", "n"); got != "3" || p.Severed() != 3 {
			t.Errorf("n is %v after %d lost answers", got, p.Severed())
		}
		p.CutAfterRequests(1)
		p.CutAfterRequests(0)
		if err := c.Incr(t.Context(), "n").Err(); err != nil {
			t.Errorf("called off: %v", err)
		}
	}
}

func TestProxyAnswersItself(t *testing.T) {
	t.Parallel()
	s, p, c := through(t, 3)
	p.Answer("-LOADING Redis is loading the dataset in memory", "get")
	pipe := c.Pipeline()
	one, two, three := pipe.Incr(t.Context(), "n"), pipe.Get(t.Context(), "n"), pipe.Incr(t.Context(), "n")
	_, _ = pipe.Exec(t.Context())
	if one.Val() != 1 || three.Val() != 2 || two.Err() == nil || !strings.HasPrefix(two.Err().Error(), "LOADING") {
		t.Errorf("in order: %v, %v, %v", one, two, three)
	}
	p.Answer("-READONLY You can't write against a read only replica.")
	if err := c.Incr(t.Context(), "n").Err(); err == nil || !strings.HasPrefix(err.Error(), "READONLY") {
		t.Errorf("READONLY came as %v", err)
	}
	if got := s.Do(t, "GET", "n"); got != "2" {
		t.Errorf("a request that was answered got through: n is %v", got)
	}
	p.Answer("")
	if n := c.Incr(t.Context(), "n").Val(); n != 3 {
		t.Errorf("called off, n is %d", n)
	}
	p.Garbage()
	if err := c.Incr(t.Context(), "n").Err(); err == nil {
		t.Error("garbage was understood")
	}
	p.Heal()
	if n, err := c.Incr(t.Context(), "n").Result(); n != 4 {
		t.Errorf("healed, n is %d, %v", n, err)
	}
}

func TestFramesInPiecesOfAnySize(t *testing.T) {
	t.Parallel()
	whole := []string{
		"+OK\r\n", "-ERR no\r\n", ":1\r\n", "$5\r\nab\r\nc\r\n", "$0\r\n\r\n", "$-1\r\n", "*-1\r\n", "*0\r\n", "_\r\n", "#t\r\n", ",1.5\r\n",
		"*3\r\n:1\r\n*2\r\n$1\r\na\r\n*0\r\n$-1\r\n", "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n_\r\n", "~1\r\n(12\r\n", ">2\r\n+a\r\n=7\r\ntxt:abc\r\n",
		"|1\r\n+ttl\r\n:3\r\n$1\r\nx\r\n", "!3\r\nERR\r\n", "%0\r\n",
	}
	stream := []byte(strings.Join(whole, ""))
	for size := 1; size <= len(stream); size++ {
		var f frames
		var frame []byte
		found := []string{}
		for start := 0; start < len(stream); start += size {
			for piece := stream[start:min(start+size, len(stream))]; len(piece) > 0; {
				n, ended := f.next(piece)
				frame = append(frame, piece[:n]...)
				piece = piece[n:]
				if ended {
					found = append(found, string(frame))
					frame = frame[:0]
				}
			}
		}
		if strings.Join(found, "|") != strings.Join(whole, "|") || f.strange {
			t.Fatalf("in pieces of %d: %q", size, found)
		}
	}
	for _, no := range []string{"PING\r\n", "\x16\x03\x01", "*x\r\n", "$1x\r\n", "*1\r\n?\r\n", "+a\n"} {
		var f frames
		if f.next([]byte(no)); !f.strange {
			t.Errorf("%q is taken for RESP", no)
		}
	}
}
