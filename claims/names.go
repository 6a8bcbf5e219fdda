package claims

import (
	"errors"
	"fmt"
	"strings"
)

// Class says who may write a claim.
type Class string

// The three classes of DESIGN decision 7.
const (
	Minted    Class = "minted"    // the code that issues tokens, nobody else
	Protected Class = "protected" // an explicit mapping rule, no stage and no upstream
	Free      Class = "free"      // everybody
)

// minted is the closed list of names that only the minting code sets or
// deletes. The name comes in folded.
func minted(folded string) bool {
	switch folded {
	case "iss", "aud", "sub", "exp", "iat", "nbf", "jti",
		"nonce", "azp", "at_hash", "c_hash", "s_hash",
		"sid", "auth_time", "acr", "amr", "cnf",
		"events", "client_id", "scope", "typ":
		return true
	}
	return false
}

// protected is the list of the hook's contract, less the names that are minted.
func protected(folded string) bool {
	return folded == "verified_claims" || folded == "group_permissions" ||
		strings.HasPrefix(folded, "urn:onegini.com:oidc:")
}

// Guard refuses what a stage may not do. Its zero value guards the built-in
// names and drops refused changes; there is no value that guards less.
type Guard struct {
	exact    map[string]struct{} // folded
	prefixes []string            // folded
	strict   bool
}

// NewGuard adds the operator's protected names, each a whole name or a prefix
// written "prefix*", to the built-in ones. A strict guard fails an issuance on
// the first refused change, where otherwise the change is dropped and reported.
// The error joins every entry that is no name.
func NewGuard(operatorProtected []string, strict bool) (*Guard, error) {
	g := &Guard{exact: make(map[string]struct{}), strict: strict}
	var problems []error
	for i, entry := range operatorProtected {
		name, isPrefix := strings.CutSuffix(entry, "*")
		if err := checkName(name); err != nil || strings.Contains(name, "*") {
			problems = append(problems, fmt.Errorf("protected[%d]: %q is neither a claim name nor a prefix with one * at its end", i, entry))
			continue
		}
		if isPrefix {
			g.prefixes = append(g.prefixes, fold(name))
		} else {
			g.exact[fold(name)] = struct{}{}
		}
	}
	return g, errors.Join(problems...)
}

// Class tells to which class a name belongs, however it is spelled.
func (g *Guard) Class(name string) Class {
	folded := fold(name)
	switch {
	case minted(folded):
		return Minted
	case protected(folded), g.added(folded):
		return Protected
	}
	return Free
}

// added reports whether the operator protects the name.
func (g *Guard) added(folded string) bool {
	if _, ok := g.exact[folded]; ok {
		return true
	}
	for _, prefix := range g.prefixes {
		if strings.HasPrefix(folded, prefix) {
			return true
		}
	}
	return false
}
