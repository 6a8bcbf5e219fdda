package page

import "html/template"

// Page is what one page shows. The types of this file are all there are.
type Page interface {
	// name is that of the page's template.
	name() string
}

// Choose asks which identity provider to sign in with.
type Choose struct {
	Client  string
	Choices []Choice
}

// Choice is one identity provider. Last says that it was the last one that was
// used in this browser.
type Choice struct {
	ID, Name, Link string
	Last           bool
}

// Identify asks for the e-mail address or name that says where to sign in.
type Identify struct {
	Client, Action, Transaction string
	// Value is what is in the field already.
	Value string
	// Problem is empty, or says what is wrong with what was entered.
	Problem IdentifyProblem
}

// IdentifyProblem is what may be wrong with what a user entered.
type IdentifyProblem string

// The problems there are.
const (
	NothingEntered IdentifyProblem = "empty"
	NobodysDomain  IdentifyProblem = "unknown"
)

// Consent asks whether a client may have what it asks for.
type Consent struct {
	Client, Account, Host, Action, Transaction string
	// Scopes and Claims are the names of what is asked for.
	Scopes, Claims []string
	// What the client has registered about itself, each may be empty.
	Home, Policy, Terms string
}

// Link asks whether a login belongs to an account that there is.
type Link struct {
	Client, Action, Transaction string
	// Account is the address that both have; With and New are where the account
	// and the login are.
	Account, With, New string
}

// Logout asks whether to sign out.
type Logout struct{ Client, Account, Action, Proof string }

// SignedOut tells that there is no session now.
type SignedOut struct {
	// Already says that there was none before either.
	Already bool
	// Frames tell relying parties of it, and Sources are the source expressions
	// of where they come from.
	Frames  []template.URL
	Sources []string
	// Next is where the browser goes on to, if anywhere, and Host what that is
	// called.
	Next template.URL
	Host string
}

// StillSignedIn tells that nothing was changed.
type StillSignedIn struct{}

// Me shows users who they are signed in as and what they have agreed to.
type Me struct {
	// Account may be empty.
	Account string
	// Since is when the session began, Sources are who vouched for the user.
	Since   string
	Sources []string
	Apps    []App
	// Withdraw and SignOut are where forms go, Proof is that of signing out.
	Withdraw, SignOut, Proof string
}

// App is an application that the user has agreed to, and how to take that back.
type App struct {
	Client, Since, Proof string
	// Scopes and Claims are the names of what was agreed to.
	Scopes, Claims []string
}

// MeNobody tells that nobody is signed in.
type MeNobody struct{}

// Error tells what did not work. It has at most one way on: back to the client,
// by a link or, with Fields, by a form, or to sign out.
type Error struct {
	// Text says in English what is wrong, Code is the protocol's word for it.
	Text, Code, Request string
	// Later says that trying again may help.
	Later   bool
	Client  string
	Back    template.URL
	Fields  []Field
	SignOut string
}

// Field is one input of a form that nobody fills in.
type Field struct{ Name, Value string }

// FormPost posts a response to the relying party.
type FormPost struct {
	Action template.URL
	Host   string
	Fields []Field
}

func (Choose) name() string        { return "choose" }
func (Identify) name() string      { return "identify" }
func (Consent) name() string       { return "consent" }
func (Link) name() string          { return "link" }
func (Logout) name() string        { return "logout" }
func (SignedOut) name() string     { return "signed_out" }
func (StillSignedIn) name() string { return "stay" }
func (Me) name() string            { return "me" }
func (MeNobody) name() string      { return "me_nobody" }
func (Error) name() string         { return "error" }
func (FormPost) name() string      { return "form_post" }
