// Package redistest runs real Redis servers for tests: one by itself, a master
// with replicas and Sentinel, a cluster; and a proxy that spoils connections.
// It is for tests only and needs redis-server 7 in PATH (Debian's package
// redis-server), on a Unix.
//
// Each server is a process of its own with a folder and a loopback port of its
// own. It ends with its test, and where the test's process is killed it is
// killed too (Linux only: the kernel sends the signal). Ports are taken from
// below the range that the kernel gives to outgoing connections: a server that
// is down for a while keeps its port, and a client that dials a dead port does
// not end up connected to itself.
//
// At the end of a test servers are killed, not asked to end: their data goes
// away anyway, and a clean end takes Redis a tenth of a second each. Stop ends
// one cleanly where that is what a test is about.
//
// A server is ready when its own log says so, not when something answers on
// its port: that would be fooled by a neighbour, and by a password.
//
// Methods that take a testing.TB end the test when they fail, so they belong
// into the goroutine of the test. The others can be called from anywhere.
package redistest
