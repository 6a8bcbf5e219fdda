package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// monotonic is a clock that nobody sets and that goes on while the machine is
// suspended, unlike Go's own: a lease may run out in the meantime.
func monotonic() func() time.Duration {
	return func() time.Duration {
		var now unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) // fails for unknown clocks only
		return time.Duration(now.Nano())
	}
}
