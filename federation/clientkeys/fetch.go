package clientkeys

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// fetch asks the relying party for its keys.
func (k *Keys) fetch(ctx context.Context) (*published, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.o.URI, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := k.o.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("the answer is larger than %d bytes", maxBody)
	}
	keys, err := usable(body)
	if err != nil {
		return nil, fmt.Errorf("the answer %w", err)
	}
	return &published{keys: keys, fetched: k.o.Now(), life: lifeOf(res.Header)}, nil
}

// lifeOf is how long a relying party wants its keys to be kept (RFC 9111 §5.2.2).
func lifeOf(h http.Header) time.Duration {
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return minLife
		case "max-age":
			n, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err != nil {
				return minLife
			}
			return min(max(time.Duration(n)*time.Second, minLife), maxLife)
		}
	}
	return usualLife
}
