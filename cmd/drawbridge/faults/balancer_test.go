//go:build faults

package faults

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// balancer gives each request to the next node that is ready. It is the client's
// own transport, so that what it did is known exactly: a request that reached
// nobody goes to another node, one that may have been read does not.
type balancer struct {
	nodes []*node
	// management says which listener.
	management bool
	transport  *http.Transport
	turn       atomic.Uint64
	ready      []atomic.Bool
	blind      atomic.Bool
}

func newBalancer(nodes []*node, management bool) *balancer {
	b := &balancer{nodes: nodes, management: management, ready: make([]atomic.Bool, len(nodes)), transport: &http.Transport{
		MaxIdleConnsPerHost: 64, IdleConnTimeout: 20 * time.Second, ResponseHeaderTimeout: 12 * time.Second,
		DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
	}}
	for i := range b.ready {
		b.ready[i].Store(true)
	}
	return b
}

// watch looks which nodes are ready until stop is closed, as a balancer does: one
// that does not say so twice running is not.
func (b *balancer) watch(stop <-chan struct{}) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	missed := make([]int, len(b.nodes))
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		for i, n := range b.nodes {
			if missed[i]++; n.ready() {
				missed[i] = 0
			}
			b.ready[i].Store(missed[i] < 2)
		}
	}
}

// always gives requests to nodes that are not ready too, from now on.
func (b *balancer) always() { b.blind.Store(true) }

// RoundTrip implements http.RoundTripper.
func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	failed := errors.New("no node is ready")
	for range 2 * len(b.nodes) {
		i := int(b.turn.Add(1) % uint64(len(b.nodes)))
		if !b.ready[i].Load() && !b.blind.Load() {
			continue
		}
		to := r.Clone(r.Context())
		to.Host, to.URL.Host = r.URL.Host, b.nodes[i].public
		if b.management {
			to.Host, to.URL.Host = b.nodes[i].management, b.nodes[i].management
		}
		if r.GetBody != nil {
			body, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			to.Body = body
		}
		answer, err := b.transport.RoundTrip(to)
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
			failed = fmt.Errorf("%s: %w", b.nodes[i].name, err)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.nodes[i].name, err)
		}
		return answer, nil
	}
	return nil, failed
}

// splitter sends requests for the issuer through the balancer.
type splitter struct {
	issuer          string
	inside, outside http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (s splitter) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == s.issuer {
		return s.inside.RoundTrip(r)
	}
	return s.outside.RoundTrip(r)
}
