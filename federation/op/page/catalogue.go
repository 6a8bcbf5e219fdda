package page

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"golang.org/x/text/language"
)

const (
	// source is the language that has every key.
	source = "en"
	// maxMessages is how large a file of messages may be, in bytes.
	maxMessages = 256 << 10
)

// catalogue has the messages of every language.
type catalogue map[language.Tag]messages

// messages are the words of one language, by key.
type messages map[string]message

// message is a text, cut at its placeholders: those at odd places are names.
type message []string

// Problem is what is wrong with a file of messages.
type Problem struct {
	// File is the name of the file. Key is the message, empty where it is all
	// of the file.
	File, Key, Text string
}

func (p Problem) Error() string {
	if p.Key == "" {
		return p.File + ": " + p.Text
	}
	return p.File + ": " + p.Key + ": " + p.Text
}

// isOpen says whether operators may add a key: what a scope or claim of their
// own means to users, only they know.
func isOpen(key string) bool {
	return strings.HasPrefix(key, "scope.") || strings.HasPrefix(key, "claim.")
}

// read adds the files of a folder. It tells everything that is wrong, as
// Problems joined.
func (c catalogue) read(folder fs.FS) error {
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return fmt.Errorf("read messages: %w", err)
	}
	var wrong []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") { // where a volume keeps its own things
			continue
		}
		wrong = append(wrong, c.readFile(folder, e.Name()))
	}
	return errors.Join(wrong...)
}

func (c catalogue) readFile(folder fs.FS, name string) error {
	stem, isYAML := strings.CutSuffix(name, ".yaml")
	tag, err := language.Parse(stem)
	if !isYAML || err != nil || tag == language.Und {
		return Problem{File: name, Text: "must be named after a language, such as de.yaml or pt-BR.yaml"}
	}
	info, err := fs.Stat(folder, name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxMessages {
		return Problem{File: name, Text: fmt.Sprintf("must be a file of at most %d KiB that can be read", maxMessages>>10)}
	}
	text, err := fs.ReadFile(folder, path.Clean(name))
	if err != nil {
		return Problem{File: name, Text: "cannot be read"}
	}
	var given map[string]string
	if err := yaml.UnmarshalWithOptions(text, &given, yaml.Strict()); err != nil {
		why, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n") // what follows quotes the file
		return Problem{File: name, Text: "must be a map of keys to texts: " + why}
	}
	all := maps.Clone(c[tag])
	if all == nil {
		all = messages{}
	}
	var wrong []error
	for _, key := range slices.Sorted(maps.Keys(given)) {
		m, err := cut(given[key])
		if err == nil {
			err = c.fits(key, m)
		}
		if err != nil {
			wrong = append(wrong, Problem{File: name, Key: key, Text: err.Error()})
			continue
		}
		all[key] = m
	}
	c[tag] = all
	return errors.Join(wrong...)
}

// fits holds a message to the English one of its key. English itself, which is
// read first, has nothing to fit.
func (c catalogue) fits(key string, m message) error {
	english, complete := c[language.English]
	if !complete {
		return nil
	}
	like, known := english[key]
	switch {
	case !known && !isOpen(key):
		return errors.New("is not a message of any page")
	case len(m) == 1 && strings.TrimSpace(m[0]) == "":
		return errors.New("must not be empty")
	}
	want, have := like.names(), m.names()
	for _, name := range want {
		if !slices.Contains(have, name) {
			return fmt.Errorf("the placeholder {%s} is missing", name)
		}
	}
	for _, name := range have {
		if !slices.Contains(want, name) {
			return fmt.Errorf("the placeholder {%s} is unknown here", name)
		}
	}
	return nil
}

// cut cuts a text at its placeholders.
func cut(text string) (message, error) {
	var m message
	for {
		before, rest, found := strings.Cut(text, "{")
		if strings.Contains(before, "}") {
			return nil, errors.New("has a } without {")
		}
		if m = append(m, before); !found {
			return m, nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz") != "" {
			return nil, errors.New("has a { that begins no placeholder: one is a word of small letters, and then }")
		}
		m, text = append(m, name), after
	}
}

// names are the placeholders of a message, each once, sorted.
func (m message) names() []string {
	var all []string
	for i := 1; i < len(m); i += 2 {
		all = append(all, m[i])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// missing are the keys that English has and a language has not.
func (c catalogue) missing(tag language.Tag) []string {
	var keys []string
	for key := range c[language.English] {
		if _, has := c[tag][key]; !has {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
