package upstream

import (
	"errors"
	"io"
	"net/http"
)

// maxBody is the greatest answer of a provider that is read, in bytes.
const maxBody = 1 << 20

var errTooLarge = errors.New("answer is larger than 1 MiB")

// bounded is the client with every body cut off at maxBody, whoever reads it.
func bounded(c *http.Client) *http.Client {
	next := c.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	b := *c
	b.Transport = capped{next}
	return &b
}

type capped struct{ next http.RoundTripper }

func (c capped) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := c.next.RoundTrip(r)
	if err == nil {
		res.Body = &cappedBody{ReadCloser: res.Body, left: maxBody}
	}
	return res, err
}

type cappedBody struct {
	io.ReadCloser
	left int64
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, err
}
