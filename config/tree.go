package config

import (
	"errors"
	"strings"

	yaml "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
)

// kind is what a value of the file is.
type kind string

const (
	refused kind = "refused" // and reported
	nothing kind = "nothing"
	text    kind = "text"
	boolean kind = "true or false"
	number  kind = "a number"
	list    kind = "a list"
	mapping kind = "a mapping"
)

// node is a value of the file with aliases and merges already followed. An
// anchored value is one node, shared by all who refer to it.
type node struct {
	place
	kind    kind
	text    string // of a scalar: as it reads, without quotes
	items   []*node
	entries []entry
}

type entry struct {
	place
	key   string
	value *node
}

// parse reads the one YAML document of the file. It returns nil after reporting
// why it cannot, and for a file that holds no value at all.
func parse(src []byte, r *report) (root *node) {
	defer func() {
		// Text that trips the parser is a file that cannot be read, not the end
		// of a running server whose configuration was edited.
		if recover() != nil {
			r.fail(place{}, "", "not valid YAML: it cannot be parsed")
			root = nil
		}
	}()
	file := syntax(src, r)
	if file == nil {
		return nil
	}
	t := tree{report: r, anchors: make(map[string]*node)}
	for _, doc := range file.Docs {
		switch body := doc.Body.(type) {
		case nil, *ast.CommentGroupNode:
		case *ast.DirectiveNode:
			r.fail(placeOf(body), "", "YAML directives are not supported: remove this line")
			return nil
		default:
			if root != nil {
				r.fail(placeOf(body), "", "a second YAML document begins here: a configuration is one document")
				return nil
			}
			root = t.convert(body, "")
		}
	}
	return root
}

// syntax runs the lexer, our bounds and the parser.
func syntax(src []byte, r *report) *ast.File {
	// YAML takes all line ends for the same; the lexer miscounts some.
	tokens := lexer.Tokenize(strings.ReplaceAll(string(src), "\r\n", "\n"))
	if !bounded(tokens, r) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err == nil {
		return file
	}
	at, reason := place{}, "it cannot be parsed"
	if wrong, ok := errors.AsType[*yaml.SyntaxError](err); ok { // its Error() would print the surrounding lines, secrets and all
		reason = wrong.Message
		if wrong.Token != nil && wrong.Token.Position != nil {
			at = place{wrong.Token.Position.Line, wrong.Token.Position.Column}
		}
	}
	if strings.Contains(reason, "'\t'") {
		reason = "a tab where YAML wants spaces"
	}
	r.fail(at, "", "not valid YAML: %s", reason)
	return nil
}

// tree turns the parser's nodes into ours.
type tree struct {
	report  *report
	anchors map[string]*node
	merged  int
}

// convert reports under the path where a value is written; an alias of it is
// refused without a second report.
func (t *tree) convert(n ast.Node, path string) *node {
	at := placeOf(n)
	switch n := n.(type) {
	case *ast.MappingNode:
		return t.mapping(n, path)
	case *ast.SequenceNode:
		out := &node{place: at, kind: list}
		for i, item := range n.Values {
			out.items = append(out.items, t.convert(item, itemPath(path, i)))
		}
		return out
	case *ast.AnchorNode:
		// Registered only when it is whole: an anchor cannot contain its own alias.
		out := t.convert(n.Value, path)
		t.anchors[n.Name.GetToken().Value] = out
		return out
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		if out := t.anchors[name]; out != nil {
			return out
		}
		return t.refuse(at, path, "unknown anchor %s: an anchor stands before its aliases, and does not contain them", quote(name))
	case *ast.TagNode:
		return t.refuse(at, path, "YAML tags are not supported: remove %s", quote(n.Start.Value))
	case *ast.LiteralNode:
		return &node{place: at, kind: text, text: n.Value.Value}
	case *ast.StringNode:
		return &node{place: at, kind: text, text: n.Value}
	case *ast.BoolNode:
		return &node{place: at, kind: boolean, text: strings.ToLower(n.Token.Value)}
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return &node{place: at, kind: number, text: n.GetToken().Value}
	case nil, *ast.NullNode:
		return &node{place: at, kind: nothing}
	}
	return t.refuse(at, path, "this form of YAML is not supported")
}

func (t *tree) refuse(at place, path, format string, args ...any) *node {
	t.report.fail(at, path, format, args...)
	return &node{place: at, kind: refused}
}

func (t *tree) mapping(n *ast.MappingNode, path string) *node {
	out := &node{place: placeOf(n), kind: mapping}
	first := make(map[string]place)
	var merges []*node
	for _, pair := range n.Values {
		at := placeOf(pair.Key)
		key, ok := t.key(pair.Key, at, path)
		if !ok {
			continue
		}
		value := t.convert(pair.Value, childPath(path, key))
		if value.kind == nothing {
			value = &node{place: at, kind: nothing} // a missing value has no place of its own
		}
		if earlier, twice := first[key]; twice {
			t.report.add(at, childPath(path, key), "duplicate key, already given in line %d", earlier.line)
			continue
		}
		first[key] = at
		if pair.Key.IsMergeKey() {
			merges = t.merges(value, path)
			continue
		}
		out.entries = append(out.entries, entry{at, key, value})
	}
	for _, merge := range merges {
		t.merge(out, merge, first)
	}
	return out
}

// key returns the text of a key; everything else that YAML allows as one is refused.
func (t *tree) key(key ast.MapKeyNode, at place, path string) (string, bool) {
	if key.IsMergeKey() {
		return "<<", true
	}
	name, ok := key.(*ast.StringNode)
	switch {
	case !ok:
		t.report.add(at, path, "a key must be text: put it in quotes")
		return "", false
	case len(name.Value) > maxKey:
		t.report.add(at, path, "a key of more than %d bytes", maxKey)
		return "", false
	}
	return name.Value, true
}

// merges returns the mappings that a << key names: one, or a list of them.
func (t *tree) merges(value *node, path string) []*node {
	sources := []*node{value}
	if value.kind == list {
		sources = value.items
	}
	for _, source := range sources {
		if source.kind != mapping {
			if source.kind != refused {
				t.report.add(source.place, path, "<< takes a mapping or a list of mappings")
			}
			return nil
		}
	}
	return sources
}

// merge adds what the mapping does not say itself. What comes first wins.
func (t *tree) merge(into, from *node, first map[string]place) {
	for _, e := range from.entries {
		if _, said := first[e.key]; said {
			continue
		}
		if t.merged++; t.merged > maxMerged {
			if t.merged == maxMerged+1 {
				t.report.fail(into.place, "", "the file merges too many keys")
			}
			return
		}
		first[e.key] = e.place
		into.entries = append(into.entries, e)
	}
}

// placeOf is where a reader would look for the node: a mapping begins at its
// first key, not at the colon behind it.
func placeOf(n ast.Node) place {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return placeOf(m.Values[0].Key)
	}
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return place{1, 1}
	}
	return place{n.GetToken().Position.Line, n.GetToken().Position.Column}
}
