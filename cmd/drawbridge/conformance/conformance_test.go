// Package conformance holds the running program to the demands of the OpenID
// Foundation's conformance suite, one case per module of the suite and of its name.
//
// rows has the modules, read from suite 5.2.4: the plans of the Basic and Config
// profiles, Basic again by form post, those of logout, and of the suite's plans for
// relying parties those of logout, in which Drawbridge is the relying party of an
// upstream (the others are in package upstream). cases has what is done for each. A
// row without a case, and a case without a row, fail.
//
// What is only a warning in the suite is a failure here. Modules that the suite
// leaves out for clients that are registered by hand, or skips where something is
// not offered, have a case nevertheless: that it is not offered, and that who asks
// for it is told so. The program is a binary of its own, over TLS, with a store on
// disk; the user is a browser that agrees to everything. The plan by form post runs
// at a tenant whose issuer has a path, while the others run at the default one. This
// is no certification, and no run of the suite itself.
package conformance

import (
	"maps"
	"slices"
	"testing"
)

// TestConformance runs every case of every plan.
func TestConformance(t *testing.T) {
	s := open(t)
	for plan, names := range rows() {
		t.Run(plan, func(t *testing.T) {
			t.Parallel()
			run := cases()[plan]
			for _, name := range names {
				t.Run(name, func(t *testing.T) {
					if plan != rpLogout { // its rows have the upstream to themselves, one after the other
						t.Parallel()
					}
					m := &module{T: t, suite: s, user: s.browser(t), issuer: s.root}
					if plan == formPostBasic {
						m.mode, m.tenant, m.issuer = "form_post", acme, s.root+"/t/"+acme
					}
					m.begin()
					run[name](m)
				})
			}
		})
	}
}

// TestEveryRowHasItsCase compares the two tables.
func TestEveryRowHasItsCase(t *testing.T) {
	all := cases()
	for plan, names := range rows() {
		if want, got := slices.Sorted(slices.Values(names)), slices.Sorted(maps.Keys(all[plan])); !slices.Equal(want, got) {
			t.Errorf("%s: the rows are %q, the cases %q", plan, want, got)
		}
		delete(all, plan)
	}
	for plan := range all {
		t.Errorf("no rows of %s", plan)
	}
}

// cases are by plan and module.
func cases() map[string]map[string]func(*module) {
	return map[string]map[string]func(*module){
		basic: basicCases(), formPostBasic: basicCases(), configuration: configurationCases(),
		rpInitiated: initiatedCases(), backChannel: backChannelCases(), frontChannel: frontChannelCases(),
		sessionManagement: sessionManagementCases(), rpLogout: rpLogoutCases(),
	}
}
