package demo

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"
	"time"
)

// letter is a mail as a person reads it.
type letter struct {
	Number            int
	At                time.Time
	From, To, Subject string
	// Text is the plain part.
	Text string
}

// piece is a part of a text: words, or a link.
type piece struct {
	Text string
	Link bool
}

// Pieces is the text with its links apart.
func (l letter) Pieces() []piece {
	var all []piece
	rest := l.Text
	for {
		at := strings.Index(rest, "http")
		if at < 0 {
			return append(all, piece{Text: rest})
		}
		word := rest[at:]
		if end := strings.IndexAny(word, " \t\r\n<>\""); end >= 0 {
			word = word[:end]
		}
		link := strings.HasPrefix(word, "http://") || strings.HasPrefix(word, "https://")
		all = append(all, piece{Text: rest[:at]}, piece{Text: word, Link: link})
		rest = rest[at+len(word):]
	}
}

// Link is the first link of the letter that holds the text.
func (l letter) Link(with string) string {
	for _, p := range l.Pieces() {
		if p.Link && strings.Contains(p.Text, with) {
			return p.Text
		}
	}
	return ""
}

// mailbox keeps the mails that were caught, whoever they were for.
type mailbox struct {
	now     func() time.Time
	letters *journal[letter]
}

func newMailbox(now func() time.Time) *mailbox {
	return &mailbox{now: now, letters: newJournal[letter](50)}
}

// take keeps a message. One that cannot be read is kept as it came.
func (b *mailbox) take(from string, to []string, message []byte) {
	l, err := readLetter(message)
	if err != nil {
		l = letter{Subject: "(a message that cannot be read)", Text: strings.ToValidUTF8(string(message), "\uFFFD")}
	}
	if l.From == "" {
		l.From = from
	}
	l.To = strings.Join(to, ", ")
	b.letters.add(func(n int) letter {
		l.Number, l.At = n, b.now()
		return l
	})
}

func readLetter(message []byte) (letter, error) {
	m, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		return letter{}, fmt.Errorf("read message: %w", err)
	}
	words := mime.WordDecoder{}
	header := func(name string) string {
		value := m.Header.Get(name)
		if decoded, err := words.DecodeHeader(value); err == nil {
			return decoded
		}
		return value
	}
	l := letter{From: header("From"), Subject: header("Subject")}
	l.Text, err = plain(textproto.MIMEHeader(m.Header), m.Body, 4)
	return l, err
}

// plain is the first plain text in a body, going into at most that many levels
// of multipart.
func plain(h textproto.MIMEHeader, body io.Reader, levels int) (string, error) {
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		media = "text/plain" // RFC 2045 §5.2
	}
	switch {
	case media == "text/plain":
		text, err := io.ReadAll(decoded(h.Get("Content-Transfer-Encoding"), body))
		return strings.ToValidUTF8(strings.ReplaceAll(string(text), "\r\n", "\n"), "\uFFFD"), err
	case !strings.HasPrefix(media, "multipart/") || levels == 0:
		return "", nil
	}
	parts := multipart.NewReader(body, params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return "", nil
		}
		if err != nil {
			return "", fmt.Errorf("read part: %w", err)
		}
		if text, err := plain(part.Header, part, levels-1); text != "" || err != nil {
			return text, err
		}
	}
}

func decoded(encoding string, body io.Reader) io.Reader {
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		return quotedprintable.NewReader(body)
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, body)
	}
	return body
}
