package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"time"
)

const (
	maxMail       = 256 << 10
	maxRecipients = 20
	smtpPatience  = 30 * time.Second
)

// smtpServer takes every mail that is handed to it (RFC 5321), and sends none
// of them on.
type smtpServer struct {
	listener net.Listener
	// take gets the envelope and the message.
	take func(from string, to []string, message []byte)
}

// run serves until the context ends, and then hangs up on everybody.
func (s *smtpServer) run(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	stop := context.AfterFunc(ctx, func() { _ = s.listener.Close() }) // Accept tells
	defer stop()
	for {
		conn, err := s.listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		group.Go(func() {
			hangUp := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer hangUp()
			defer func() { _ = conn.Close() }()
			(&conversation{text: textproto.NewConn(conn), conn: conn, take: s.take}).run()
		})
	}
}

// conversation is one connection.
type conversation struct {
	text *textproto.Conn
	conn net.Conn
	take func(from string, to []string, message []byte)

	from string
	sent bool // MAIL was said
	to   []string
}

// run answers commands until the other side leaves or says too much.
func (c *conversation) run() {
	if !c.answer("220 demo ESMTP") {
		return
	}
	for {
		if c.conn.SetDeadline(time.Now().Add(smtpPatience)) != nil {
			return
		}
		line, err := c.text.ReadLine()
		if err != nil || len(line) > 2048 {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		if !c.command(strings.ToUpper(verb), rest) {
			return
		}
	}
}

func (c *conversation) answer(line string) bool { return c.text.PrintfLine("%s", line) == nil }

// command carries one command out and says whether the conversation goes on.
func (c *conversation) command(verb, rest string) bool {
	switch verb {
	case "EHLO":
		return c.answer("250-demo") && c.answer("250-8BITMIME") && c.answer("250-SMTPUTF8") && c.answer("250 SIZE 262144")
	case "HELO":
		return c.answer("250 demo")
	case "MAIL":
		return c.mailFrom(rest)
	case "RCPT":
		return c.rcptTo(rest)
	case "DATA":
		return c.data()
	case "RSET":
		c.reset()
		return c.answer("250 forgotten")
	case "NOOP":
		return c.answer("250 fine")
	case "QUIT":
		c.answer("221 bye")
		return false
	}
	return c.answer("502 not implemented")
}

func (c *conversation) reset() { c.from, c.sent, c.to = "", false, nil }

func (c *conversation) mailFrom(rest string) bool {
	path, ok := pathIn(rest, "FROM:")
	if !ok || c.sent {
		return c.answer("503 bad sequence or sender")
	}
	c.from, c.sent = path, true
	return c.answer("250 ok")
}

func (c *conversation) rcptTo(rest string) bool {
	path, ok := pathIn(rest, "TO:")
	switch {
	case !c.sent || !ok || path == "":
		return c.answer("503 bad sequence or recipient")
	case len(c.to) == maxRecipients:
		return c.answer("452 too many recipients")
	}
	c.to = append(c.to, path)
	return c.answer("250 ok")
}

func (c *conversation) data() bool {
	if len(c.to) == 0 {
		return c.answer("503 nobody to send it to")
	}
	if !c.answer("354 go ahead, end with a dot") {
		return false
	}
	var message bytes.Buffer
	dots := c.text.DotReader()
	switch _, err := io.CopyN(&message, dots, maxMail+1); {
	case err == nil:
		return false // too large, and still talking
	case !errors.Is(err, io.EOF):
		return false
	}
	c.take(c.from, c.to, message.Bytes())
	c.reset()
	return c.answer("250 taken")
}

// pathIn finds the address in what follows MAIL or RCPT.
func pathIn(rest, keyword string) (string, bool) {
	if len(rest) < len(keyword) || !strings.EqualFold(rest[:len(keyword)], keyword) {
		return "", false
	}
	path, _, closed := strings.Cut(strings.TrimSpace(rest[len(keyword):]), ">")
	address, opened := strings.CutPrefix(path, "<")
	return address, closed && opened
}
