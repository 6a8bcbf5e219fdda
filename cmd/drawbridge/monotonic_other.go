//go:build !linux

package main

import "time"

// monotonic is a clock that nobody sets.
func monotonic() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}
