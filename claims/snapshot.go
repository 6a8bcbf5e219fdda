package claims

import "maps"

// Snapshot is the stored result of one issuance, kept with the code and the
// tokens. ID token, userinfo, introspection and JWT access token are
// projections of it and therefore cannot disagree. Its JSON keeps every
// number's text.
type Snapshot struct {
	Released  Set      `json:"released"`
	InIDToken []string `json:"in_id_token,omitempty"` // names of Released
	// OnlyIDToken are names of InIDToken that were asked for there alone.
	OnlyIDToken []string `json:"only_id_token,omitempty"`
	// InAccessToken are names of Released.
	InAccessToken []string `json:"in_access_token,omitempty"`
}

// Snapshot returns what to store of a result.
func (r Result) Snapshot() Snapshot {
	out := Snapshot{Released: r.Released, OnlyIDToken: r.Only, InAccessToken: r.AccessToken}
	if len(r.IDToken) > 0 {
		out.InIDToken = r.IDToken.Names()
	}
	return out
}

// Userinfo is the answer of the userinfo endpoint: all that was released, but
// for what was asked for in the ID token alone, and what the provider asserts.
func (s Snapshot) Userinfo(minted Set) Set {
	out := Mint(s.Released, minted)
	for _, name := range s.OnlyIDToken {
		delete(out, name) // a standard claim, none of which is minted
	}
	return out
}

// IDToken is the payload of the ID token: what the client wants in it, and
// what the provider asserts.
func (s Snapshot) IDToken(minted Set) Set {
	part := make(Set, len(s.InIDToken))
	for _, name := range s.InIDToken {
		if value, ok := s.Released[name]; ok {
			part[name] = value
		}
	}
	return Mint(part, minted)
}

// AccessToken is the payload of a JWT access token, and the answer of
// introspection: what the client wants resource servers to know, and what the
// provider asserts.
func (s Snapshot) AccessToken(minted Set) Set {
	part := make(Set, len(s.InAccessToken))
	for _, name := range s.InAccessToken {
		if value, ok := s.Released[name]; ok {
			part[name] = value
		}
	}
	return Mint(part, minted)
}

// Mint writes the last word over claims that others had a say in: every name
// that is minted, or folds to a name in own, is removed; then own is written.
// What own does not hold is thereby absent (a forged nonce does not survive
// where none was asked for). Null in own means absent too. All code that makes
// a token or an answer of claims goes through here.
func Mint(said, own Set) Set {
	out := make(Set, len(said)+len(own))
	folded := make(map[string]struct{}, len(own))
	for name := range own {
		folded[fold(name)] = struct{}{}
	}
	for name, value := range said {
		key := fold(name)
		if _, taken := folded[key]; !taken && !minted(key) {
			out[name] = value
		}
	}
	maps.Copy(out, own)
	maps.DeleteFunc(out, func(_ string, value any) bool { return value == nil })
	return out
}
