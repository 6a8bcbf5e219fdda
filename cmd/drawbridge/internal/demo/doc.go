// Package demo is `drawbridge demo`: everything that Drawbridge stands between,
// in one process on loopback ports of its own, so that the whole promise can be
// seen without anything else installed.
//
// It owns an external identity provider (provider*.go), a relying party
// (relyingparty.go), a claims hook that enriches and also tries to forge
// (hook.go), a webhook receiver (sink.go), a mail catcher (smtp.go, mailbox.go),
// a caller of the management API (platform.go), the pages that show all of them
// (pages.go, views*.go), and the same journey without a browser (once*.go).
// Drawbridge itself is not here: Options.Start starts it, from a configuration
// file like anybody's.
//
// It promises that nothing outlives Run: every listener, the store's folder
// and Drawbridge are gone when Run returns. It refuses to be anything but a
// demonstration: it listens on 127.0.0.1 only, answers requests for its own
// address only, and its secrets are new in every run.
//
// What was decided:
//
//   - The parts are strangers to Drawbridge: they speak HTTP and SMTP, and the
//     relying party verifies what it gets with go-oidc. What the pages compare
//     is what each part saw itself.
//   - The provider keeps no session: it asks who you are every time, so that
//     "sign in again" and "as another user" are the same step.
//   - A verdict is worked out from what the hook answered and what the relying
//     party got; the audit lines beside it are Drawbridge's own, taken from its
//     log.
//   - Pages work without a script. With one, what is live renews itself.
package demo
