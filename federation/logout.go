package federation

import "slices"

// ClientLogout is how a client hears that a session has ended in which it took
// part (OpenID Connect Back-Channel Logout 1.0 §2.2, Front-Channel Logout 1.0
// §2). A sid goes with either, whether or not the client insists on it.
type ClientLogout struct {
	// BackchannelURI takes logout tokens, FrontchannelURI is loaded by the
	// browser; empty where the client has none.
	BackchannelURI, FrontchannelURI string
	// On are the causes that the client hears of. Upgrade is never one of them:
	// the session goes on.
	On []Cause
	// OfflineEndsOn are the causes that also end what the client was given
	// offline; mostly none.
	OfflineEndsOn []Cause
}

// Hears says whether the client is told of sessions that end with a cause.
func (l ClientLogout) Hears(cause Cause) bool {
	return cause != Upgrade && slices.Contains(l.On, cause)
}
