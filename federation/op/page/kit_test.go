package page

import (
	"html/template"
	"maps"
	"slices"
	"testing"
	"testing/fstest"

	"golang.org/x/text/language"
)

// samples are pages of every type, with every branch of their templates.
func samples() map[string]Page {
	fields := []Field{{"error", "server_error"}, {"state", `"><b>`}}
	return map[string]Page{
		"choose":           Choose{Client: "Example Shop", Choices: []Choice{{ID: "corp", Name: "Example Corporation", Link: "/choose?a=b&c=d", Last: true}, {ID: "p", Name: "<b>", Link: "/x"}}},
		"link":             Link{Client: "Example Shop", Account: "ada@example.org", With: "Corp", New: "Partner", Action: "/link", Transaction: "tx"},
		"identify":         Identify{Client: "Example Shop", Action: "/identify", Transaction: "tx"},
		"identify empty":   Identify{Client: "Example Shop", Action: "/identify", Transaction: "tx", Problem: NothingEntered},
		"identify unknown": Identify{Client: "Example Shop", Action: "/identify", Transaction: "tx", Value: `"><b>`, Problem: NobodysDomain},
		"consent": Consent{Client: "Example <b> Shop", Account: "Alice <b>", Host: "shop.example", Action: "/consent", Transaction: "tx",
			Scopes: []string{"openid", "orders:read"}, Claims: []string{"birthdate", "name#de", "shoe_size"},
			Home: "https://shop.example/", Policy: "https://shop.example/privacy", Terms: "https://shop.example/terms"},
		"consent, little":    Consent{Client: "Shop", Scopes: []string{"openid"}},
		"logout":             Logout{Client: "Example Shop", Account: "Alice", Action: "/end_session/confirm", Proof: "proof"},
		"logout, little":     Logout{Action: "/end_session/confirm", Proof: "proof"},
		"signed out":         SignedOut{},
		"signed out already": SignedOut{Already: true},
		"signed out, onward": SignedOut{Frames: []template.URL{"https://shop.example/bye?iss=x&sid=y"}, Sources: []string{"https://shop.example"}, Next: "https://shop.example/", Host: "shop.example"},
		"signed out, app":    SignedOut{Next: "com.example.app:/bye"},
		"still signed in":    StillSignedIn{},
		"me": Me{Account: "Alice <b>", Since: "2031-05-04 10:00 UTC", Sources: []string{"Example Corporation", "<b>"}, Withdraw: "/me/withdraw", SignOut: "/end_session/confirm", Proof: "proof",
			Apps: []App{{Client: "Example <b> Shop", Since: "2031-05-03 10:00 UTC", Proof: "one", Scopes: []string{"openid", "orders:read"}, Claims: []string{"birthdate"}}, {Client: "Desk", Proof: "two"}}},
		"me, little":          Me{Since: "2031-05-04 10:00 UTC", SignOut: "/end_session/confirm"},
		"me, nobody":          MeNobody{},
		"error":               Error{Text: "There is no such page here."},
		"error with code":     Error{Text: "state is there more than once.", Code: "invalid_request"},
		"error with request":  Error{Text: "x", Request: "r-1"},
		"error with both":     Error{Text: "x", Code: "invalid_request", Request: "r-1", Later: true},
		"error, back":         Error{Text: "x", Client: "Shop", Back: "https://shop.example/cb?error=x"},
		"error, back by form": Error{Text: "x", Client: "Shop", Back: "https://shop.example/cb", Fields: fields},
		"error, sign out":     Error{Text: "x", SignOut: "/end_session"},
		"form post":           FormPost{Action: "https://shop.example/cb", Host: "shop.example", Fields: fields},
		"form post to an app": FormPost{Action: "com.example.app:/cb", Fields: fields},
	}
}

func made(t *testing.T, o Options) *Set {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// folder is one of messages.
func folder(files map[string]string) fstest.MapFS {
	all := fstest.MapFS{}
	for name, text := range files {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return all
}

// languages are those that come with the program.
func languages(t *testing.T) (catalogue, []language.Tag) {
	t.Helper()
	c, err := builtIn()
	if err != nil {
		t.Fatal(err)
	}
	return c, slices.SortedFunc(maps.Keys(c), func(a, b language.Tag) int { return len(a.String()) - len(b.String()) })
}
