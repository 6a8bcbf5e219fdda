package demo

// account is a user of the demo's provider.
type account struct {
	Login string
	Name  string
	// About says what is special about the user.
	About string
	// claims are all that the provider says of the user, sub included.
	claims map[string]any
}

// accounts are the three users. Each comes with two claims that a provider has
// no business sending: group_permissions and urn:onegini.com:oidc:tier are the
// platform's own, and Drawbridge must not let them through.
func accounts() []account {
	return []account{
		{
			Login: "alice", Name: "Alice Liddell", About: "Research; her address is verified",
			claims: map[string]any{
				"sub": "u-1001", "name": "Alice Liddell", "given_name": "Alice", "family_name": "Liddell", "preferred_username": "alice",
				"email": "alice@corp.example", "email_verified": true, "birthdate": "1992-05-04", "locale": "en-GB", "zoneinfo": "Europe/London",
				"dept": "Research", "customer_id": "C-2001", "groups": []string{"staff", "laboratory"},
				"group_permissions": []string{"everything"}, "urn:onegini.com:oidc:tier": "platinum",
			},
		},
		{
			Login: "bob", Name: "Bob Baker", About: "Sales; his address is not verified yet",
			claims: map[string]any{
				"sub": "u-1002", "name": "Bob Baker", "given_name": "Bob", "family_name": "Baker", "preferred_username": "bob",
				"email": "bob@corp.example", "email_verified": false, "birthdate": "1985-11-23", "locale": "nl-NL", "zoneinfo": "Europe/Amsterdam",
				"dept": "Sales", "customer_id": "C-2002", "groups": []string{"staff"},
				"group_permissions": []string{"everything"}, "urn:onegini.com:oidc:tier": "platinum",
			},
		},
		{
			Login: "carol", Name: "Carol Reyes", About: "Legal; her address is of a domain that this provider does not own",
			claims: map[string]any{
				"sub": "u-1003", "name": "Carol Reyes", "given_name": "Carol", "family_name": "Reyes", "preferred_username": "carol",
				"email": "carol@elsewhere.example", "email_verified": true, "birthdate": "1978-02-14", "locale": "es-ES", "zoneinfo": "Europe/Madrid",
				"dept": "Legal", "customer_id": "C-2003", "groups": []string{"staff", "counsel"},
				"group_permissions": []string{"everything"}, "urn:onegini.com:oidc:tier": "platinum",
			},
		},
	}
}

func accountOf(login string) (account, bool) {
	for _, a := range accounts() {
		if a.Login == login {
			return a, true
		}
	}
	return account{}, false
}
