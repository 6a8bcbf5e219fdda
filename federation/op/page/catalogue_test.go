package page

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"text/template/parse"

	"golang.org/x/text/language"
)

// TestEveryLanguageSaysTheSame: no key more and none less than English.
func TestEveryLanguageSaysTheSame(t *testing.T) {
	c, tags := languages(t)
	if len(tags) < 2 {
		t.Fatalf("only %v", tags)
	}
	english := slices.Sorted(maps.Keys(c[language.English]))
	for _, tag := range tags {
		if got := slices.Sorted(maps.Keys(c[tag])); !slices.Equal(got, english) {
			t.Errorf("%s: missing %q, and more than English %q", tag, c.missing(tag), slices.DeleteFunc(got, func(k string) bool { return slices.Contains(english, k) }))
		}
	}
}

// TestTemplatesAndMessagesFit reads the templates: each message that one of
// them uses is there, with the placeholders that it gives, and none is there
// that nothing uses.
func TestTemplatesAndMessagesFit(t *testing.T) {
	c, _ := languages(t)
	english, used := c[language.English], map[string]bool{"claims.other": true}
	all, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		text, err := files.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tree := parse.New(file)
		tree.Mode = parse.SkipFuncCheck
		sets := map[string]*parse.Tree{}
		if _, err := tree.Parse(string(text), "", "", sets); err != nil {
			t.Fatal(err)
		}
		for _, one := range sets {
			calls(one.Root, func(key string, given []string) {
				used[key] = true
				m, known := english[key]
				if slices.Sort(given); !known || !slices.Equal(m.names(), given) {
					t.Errorf("%s says %q with %q, the message has %q", path.Base(file), key, given, m.names())
				}
			})
		}
	}
	for key := range english {
		if !used[key] && !isOpen(key) && !strings.HasPrefix(key, "told.") {
			t.Errorf("nothing says %q", key)
		}
	}
}

// calls finds every use of a message below a node.
func calls(n parse.Node, found func(key string, given []string)) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, one := range n.Nodes {
				calls(one, found)
			}
		}
	case *parse.ActionNode:
		calls(n.Pipe, found)
	case *parse.TemplateNode:
		calls(n.Pipe, found)
	case *parse.IfNode:
		calls(&n.BranchNode, found)
	case *parse.WithNode:
		calls(&n.BranchNode, found)
	case *parse.RangeNode:
		calls(&n.BranchNode, found)
	case *parse.BranchNode:
		calls(n.Pipe, found)
		calls(n.List, found)
		calls(n.ElseList, found)
	case *parse.PipeNode:
		if n != nil {
			for _, one := range n.Cmds {
				calls(one, found)
			}
		}
	case *parse.CommandNode:
		call(n, found)
	}
}

func call(n *parse.CommandNode, found func(key string, given []string)) {
	for _, arg := range n.Args {
		calls(arg, found)
	}
	if f, ok := n.Args[0].(*parse.IdentifierNode); !ok || f.Ident != "t" || len(n.Args) < 2 {
		return
	}
	key, _ := n.Args[1].(*parse.StringNode)
	var given []string
	for i := 2; i < len(n.Args); i += 2 {
		if name, ok := n.Args[i].(*parse.StringNode); ok {
			given = append(given, name.Text)
		}
	}
	if key != nil {
		found(key.Text, given)
	}
}

func TestMessagesOfAnOperator(t *testing.T) {
	s := made(t, Options{Default: "fr", Messages: folder(map[string]string{
		"de.yaml": `logout.title: "Ausloggen?"`,
		"fr.yaml": "logout.title: Se déconnecter ?\nscope.orders: Voir vos achats\nclaim.shoe_size: Voir votre taille\nconsent.title: '{client} et {client}'\n",
		"..data":  "what a volume keeps there", ".keep": "",
	})})
	if got := s.Languages(); !slices.Equal(got, []string{"fr", "de", "en"}) {
		t.Errorf("languages %q", got)
	}
	missing := s.Missing()
	if len(missing) != 1 || slices.Contains(missing["fr"], "logout.title") || !slices.Contains(missing["fr"], "choose.title") {
		t.Errorf("missing %q", missing)
	}
	for accept, want := range map[string]string{"de": "Ausloggen?", "fr": "Se déconnecter ?", "": "Se déconnecter ?", "en": "Sign out?"} {
		if got := shown(t, s, Frame{Lang: s.Lang("", accept)}, Logout{Client: "Shop"}); !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", accept, want)
		}
	}
	got := shown(t, s, Frame{}, Consent{Client: "A&B", Scopes: []string{"openid", "orders"}, Claims: []string{"shoe_size#it"}})
	for _, want := range []string{"A&amp;B et A&amp;B", "Voir vos achats", "Voir votre taille (it)", "Know who you are", `lang="fr"`} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %q:\n%s", want, got)
		}
	}
}

// TestLanguagesOfClaims: behind a claim there is a language, and nothing else that
// a client may have put there.
func TestLanguagesOfClaims(t *testing.T) {
	s := made(t, Options{})
	for tag, want := range map[string]string{
		"ja": "See your name (ja)", "ja-Kana-JP": "See your name (ja-Kana-JP)", "DE-at": "See your name (de-AT)", "en-x-trust-me": "See your name (en)",
		"": "See your name", "x-trust-me": "See your name", "trust me": "See your name", ") and nothing else (": "See your name", "trusted-by-your-bank": "See your name",
	} {
		for _, p := range []Page{Consent{Claims: []string{"name#" + tag}}, Me{Apps: []App{{Claims: []string{"name#" + tag}}}}} {
			if got := shown(t, s, Frame{}, p); !strings.Contains(got, ">"+want+"<") {
				t.Errorf("%q: the page lacks %q:\n%s", tag, want, got)
			}
		}
	}
}

func TestMessagesThatAreRefused(t *testing.T) {
	for name, tc := range map[string]struct{ file, text, want string }{
		"unknown key":          {"de.yaml", "logout.tittle: x", "logout.tittle: is not a message"},
		"missing placeholder":  {"de.yaml", "choose.title: Anmelden", "{client} is missing"},
		"unknown placeholder":  {"de.yaml", "logout.title: 'Tschüss {client}'", "{client} is unknown here"},
		"placeholder in scope": {"de.yaml", "scope.mine: 'x {client}'", "{client} is unknown here"},
		"open brace":           {"de.yaml", "logout.title: 'a {'", "begins no placeholder"},
		"closing brace":        {"de.yaml", "logout.title: 'a } b'", "without {"},
		"capitals":             {"de.yaml", "choose.title: '{Client}'", "begins no placeholder"},
		"empty":                {"de.yaml", "logout.title: ' '", "must not be empty"},
		"null":                 {"de.yaml", "logout.title:", "must not be empty"},
		"nested":               {"de.yaml", "logout: {title: x}", "map of keys to texts"},
		"list":                 {"de.yaml", "[a, b]", "map of keys to texts"},
		"twice":                {"de.yaml", "logout.title: a\nlogout.title: b", "map of keys to texts"},
		"no language":          {"klingon-language.yaml", "", "named after a language"},
		"another kind":         {"de.json", "{}", "named after a language"},
		"und":                  {"und.yaml", "", "named after a language"},
		"large":                {"de.yaml", "logout.title: " + strings.Repeat("x", maxMessages), "at most 256 KiB"},
	} {
		_, err := New(Options{Messages: folder(map[string]string{tc.file: tc.text})})
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), tc.file) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := New(Options{Messages: folder(map[string]string{"de.yaml": "a: b\nc: d", "it.yaml": "e: f"})})
	if err == nil || strings.Count(err.Error(), "is not a message") != 3 {
		t.Errorf("not everything that is wrong: %v", err)
	}
	for _, name := range []string{"nl", "-", "x y"} {
		if _, err := New(Options{Default: name}); err == nil {
			t.Errorf("%q is a default language", name)
		}
	}
}

func TestLang(t *testing.T) {
	s := made(t, Options{})
	for _, tc := range []struct{ ui, accept, want string }{
		{"", "", "en"}, {"", "de", "de"}, {"", "de-AT,en;q=0.5", "de"}, {"", "nl,de;q=0.5", "de"}, {"", "nl", "en"}, {"", "*", "en"},
		{"de", "en", "de"}, {"fr de", "en", "de"}, {"de-CH-1996 en", "", "de"}, {"nl", "de", "de"}, {"not_a-language!! de", "", "de"}, {"!", "de", "de"},
		{"", strings.Repeat("x", 10_000), "en"}, {strings.Repeat("en-GB ", 10_000), "de", "en"}, {strings.Repeat("de", 10_000), "de", "de"},
		{"", strings.Repeat("de;q=0.1,", 20), "en"}, {"", "de;q=x", "en"},
	} {
		if got := s.tags[s.Lang(tc.ui, tc.accept).index].String(); got != tc.want {
			t.Errorf("ui_locales %.20q, Accept-Language %.20q: %s, want %s", tc.ui, tc.accept, got, tc.want)
		}
	}
	if s := made(t, Options{Default: "de"}); s.tags[s.Lang("nl", "fr").index].String() != "de" || s.tags[s.Lang("en", "de").index].String() != "en" {
		t.Error("the default language does not count, or counts too much")
	}
}

func FuzzLang(f *testing.F) {
	s, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("de en", "de-AT;q=0.5,*")
	f.Fuzz(func(t *testing.T, ui, accept string) {
		if l := s.Lang(ui, accept); l.index < 0 || l.index >= len(s.tags) {
			t.Fatalf("%q, %q: %d", ui, accept, l.index)
		}
	})
}
