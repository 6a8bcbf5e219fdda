package federation

// SignIn says how users tell where they have their account, where a client's
// users may come from several upstreams.
type SignIn string

const (
	// SignInChoose shows the upstreams.
	SignInChoose SignIn = "choose"
	// SignInIdentifier asks for an e-mail address or user name, whose domain
	// says it. No upstream is shown but for those that serve any domain.
	SignInIdentifier SignIn = "identifier"
)

// SignInAt is how the client's users tell it: as the client says, or else as its
// tenant does.
func (c Client) SignInAt(t Tenant) SignIn {
	if c.SignIn != "" {
		return c.SignIn
	}
	return t.SignIn
}

// AnyDomain says whether the upstream's users may have addresses of any domain.
func (u Upstream) AnyDomain() bool { return u.TrustAnyEmail || len(u.Domains) == 0 }
