package claims

import (
	"errors"
	"fmt"
	"strings"
)

// Rule says where one claim of a client comes from.
type Rule struct {
	// Claim is the name to set. It may be a protected name, which has no other
	// way in, but never a minted one.
	Claim string
	// From lists the sources in order of precedence; the first that has a value
	// wins. Null, "", [] and {} are no value. A source is a name among the
	// upstream's claims, or a path into them with dots (arrays by index); a name
	// that holds dots itself, such as a URL, is found before it is split.
	From []string
	// Default is the value when no source has one; nil for none.
	Default any
	// Type converts what was found; "" leaves it as it is.
	Type Type
	// Remove takes the upstream's claim of this name out of the bag, so that
	// neither a stage nor the client sees it. It excludes the fields above.
	Remove bool
}

// Type is what a Rule converts to.
type Type string

// The conversions. What cannot be converted is a Problem, not a guess.
const (
	String Type = "string" // numbers and booleans become text
	Int    Type = "int"    // whole numbers, also as text
	Bool   Type = "bool"   // true, false, 1, 0, also as text
	Array  Type = "array"  // a single value becomes an array of one
	JSON   Type = "json"   // text is parsed, everything else stays
)

// RuleError says what is wrong with one rule of a mapping.
type RuleError struct {
	Index   int    // position of the rule
	Field   string // claim, from, default, type, remove
	Problem string
}

func (e *RuleError) Error() string {
	return fmt.Sprintf("mapping[%d].%s: %s", e.Index, e.Field, e.Problem)
}

// Mapping is a checked list of rules. A nil Mapping has none.
type Mapping struct {
	rules []compiled
	owned map[string]bool // every claim a rule sets, by its exact name
}

type compiled struct {
	Rule
	fallback any // Default, converted
}

// Compile checks rules and readies them. Its error joins one *RuleError for
// everything that is wrong: a minted name, one claim twice (folded), no source,
// an unknown type, a default that its type does not admit.
func Compile(rules []Rule) (*Mapping, error) {
	m := &Mapping{owned: make(map[string]bool, len(rules))}
	seen := make(map[string]int, len(rules))
	var problems []error
	for i, rule := range rules {
		bad := func(field, format string, args ...any) {
			problems = append(problems, &RuleError{i, field, fmt.Sprintf(format, args...)})
		}
		folded := fold(rule.Claim)
		if err := checkName(rule.Claim); err != nil {
			bad("claim", "%q is no claim name", rule.Claim)
		} else if minted(folded) {
			bad("claim", "%q is set by the provider alone", rule.Claim)
		} else if first, twice := seen[folded]; twice {
			bad("claim", "%q already has a rule: mapping[%d]", rule.Claim, first)
		} else {
			seen[folded] = i
		}
		c := compiled{Rule: rule}
		c.check(bad)
		m.rules = append(m.rules, c)
		m.owned[rule.Claim] = !rule.Remove
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return m, nil
}

// check validates what concerns one rule alone and converts its default.
func (c *compiled) check(bad func(field, format string, args ...any)) {
	if c.Remove {
		if len(c.From) > 0 || c.Default != nil || c.Type != "" {
			bad("remove", "excludes from, default and type")
		}
		return
	}
	if len(c.From) == 0 && c.Default == nil {
		bad("from", "needs a source or a default")
	}
	for _, path := range c.From {
		if path == "" || strings.Count(path, ".") > 32 {
			bad("from", "%q is no path", path)
		}
	}
	if _, err := convert("", c.Type); errors.Is(err, errUnknownType) {
		bad("type", "%q is none of string, int, bool, array, json", string(c.Type))
		return
	}
	if c.Default == nil {
		return
	}
	value, err := normal(c.Default, UpstreamLimits().Depth)
	if err == nil {
		c.fallback, err = convert(value, c.Type)
	}
	if err != nil {
		bad("default", "is not a value of type %s", c.Type)
	}
}

// sets reports whether a rule sets the claim of exactly this name.
func (m *Mapping) sets(name string) bool { return m != nil && m.owned[name] }

// apply returns what the rules make of what the upstream said.
func (m *Mapping) apply(upstream Set) (Set, []Problem) {
	out := make(Set, len(m.rules))
	var problems []Problem
	for i := range m.rules {
		rule := &m.rules[i]
		value, err := rule.value(upstream)
		switch {
		case err != nil:
			problems = append(problems, Problem{Step: StepMapping, Claim: rule.Claim, What: NotConvertible})
		case value != nil:
			out[rule.Claim] = value
		}
	}
	return out, problems
}

// clear takes out of the bag every claim that a rule owns, however it is
// spelled there, to make room for what the rule says.
func (m *Mapping) clear(bag Set) {
	var odd []string // names that are not their own folded form; there is rarely one
	for name := range bag {
		if !plain(name) {
			odd = append(odd, name)
		}
	}
	for i := range m.rules {
		key := fold(m.rules[i].Claim)
		delete(bag, key)
		for _, name := range odd {
			if fold(name) == key {
				delete(bag, name)
			}
		}
	}
}

func (c *compiled) value(upstream Set) (any, error) {
	for _, path := range c.From {
		if found := lookup(map[string]any(upstream), path); !empty(found) {
			return convert(found, c.Type)
		}
	}
	return c.fallback, nil
}
