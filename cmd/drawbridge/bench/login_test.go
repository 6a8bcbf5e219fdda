//go:build bench

package bench

import (
	"fmt"
	"testing"
	"time"
)

const (
	// rounds is how often each measurement is made, all kinds of it in turn.
	rounds = 7
	// logins is how many a round makes of each kind.
	logins = 400
)

// costs measures processor time per piece of work.
type costs struct {
	t   *testing.T
	pid int
}

// of is the time in milliseconds that the process spends on each of n pieces of work, 16 at once.
func (c costs) of(n int, work func(i int) error) float64 {
	c.t.Helper()
	before := cpuOf(c.t, c.pid)
	crowd(c.t, browsers, n, work)
	return milliseconds(cpuOf(c.t, c.pid)-before) / float64(n)
}

func TestLogin(t *testing.T) {
	others := startParties(t)
	bare := startFloor(t)
	d := newHouse(t, others.configure).start(t)
	plain := newClient()
	parties := map[string]*party{"RS256": newParty(t, d, "shop", "RS256"), "ES256": newParty(t, d, "shop-es256", "ES256")}
	figures := newTable(t, fmt.Sprintf("Whole federated login with opaque access token and hook, %d browsers", browsers))

	made := 0
	login := func(alg string) func(int) error {
		return func(i int) error {
			_, err := parties[alg].login(t, userOf(made+i))
			return err
		}
	}
	floorLogin := func(alg string) func(int) error { return func(int) error { return bare.login(plain, alg) } }
	crowd(t, browsers, 1000, login("RS256")) // everybody has been here once
	made += 1000
	crowd(t, browsers, 1000, floorLogin("ES256"))

	mine, itself := costs{t, d.pid()}, costs{t, bare.cmd.Process.Pid}
	spent, least, rate := map[string][]float64{}, map[string][]float64{}, map[string][]float64{}
	commits, syncs := d.metric(t, "drawbridge_store_commits_total"), d.metric(t, "drawbridge_store_syncs_total")
	for range rounds {
		for _, alg := range []string{"RS256", "ES256"} {
			least[alg] = append(least[alg], itself.of(2*logins, floorLogin(alg)))
			began := time.Now()
			spent[alg] = append(spent[alg], mine.of(logins, login(alg)))
			rate[alg] = append(rate[alg], logins/time.Since(began).Seconds())
			made += logins
		}
	}
	commits, syncs = d.metric(t, "drawbridge_store_commits_total")-commits, d.metric(t, "drawbridge_store_syncs_total")-syncs
	if asked := others.asked.Load(); asked != int64(made) {
		t.Errorf("%d logins called the hook %d times", made, asked)
	}
	measured := float64(made - 1000)
	if commits < 2*measured {
		t.Errorf("%v logins in %v commits: some were not durable", measured, commits)
	}
	figures.add("RS256: CPU of Drawbridge / CPU of the floor", "ratio", "at most 1.6", ratios(spent["RS256"], least["RS256"])...)
	figures.add("ES256: CPU of Drawbridge / CPU of the floor", "ratio", "", ratios(spent["ES256"], least["ES256"])...)
	for _, alg := range []string{"RS256", "ES256"} {
		figures.add(alg+": CPU of Drawbridge per login", "ms", "", spent[alg]...)
		figures.add(alg+": CPU of the floor (1 signed, 1 verified, 4 served, 3 sent)", "ms", "", least[alg]...)
		figures.add(alg+": logins", "per s", "", rate[alg]...)
	}
	figures.add("durable commits per login", "", "2", commits/measured)
	figures.add("syncs per login (commits share them)", "", "", syncs/measured)
}

func TestLoginOfOneBrowser(t *testing.T) {
	others := startParties(t)
	bare := startFloor(t)
	d := newHouse(t, others.configure).start(t)
	plain := newClient()
	rs, es := newParty(t, d, "shop", "RS256"), newParty(t, d, "shop-es256", "ES256")
	figures := newTable(t, "Whole federated login, one browser, p50")

	alone := func(n int, work func(i int) error) float64 { return middle(crowd(t, 1, n, work)) }
	kinds := []struct {
		name, target string
		work         func(i int) error
		took         []float64
	}{
		{name: "RS256", target: "2.8", work: func(i int) error { _, err := rs.login(t, userOf(i)); return err }},
		{name: "ES256", target: "2.0", work: func(i int) error { _, err := es.login(t, userOf(i)); return err }},
		{name: "floor, RS256", work: func(int) error { return bare.login(plain, "RS256") }},
		{name: "floor, ES256", work: func(int) error { return bare.login(plain, "ES256") }},
	}
	for _, k := range kinds {
		alone(100, k.work)
	}
	for range rounds {
		for i, k := range kinds {
			kinds[i].took = append(k.took, alone(100, k.work))
		}
	}
	for _, k := range kinds {
		figures.add(k.name, "ms", k.target, k.took...)
	}
	figures.add("RS256 / floor", "ratio", "", ratios(kinds[0].took, kinds[2].took)...)
	figures.add("ES256 / floor", "ratio", "", ratios(kinds[1].took, kinds[3].took)...)
}

func TestUserinfoAndRefresh(t *testing.T) {
	others := startParties(t)
	bare := startFloor(t)
	d := newHouse(t, others.configure).start(t)
	plain := newClient()
	rs, es := newParty(t, d, "mobile", "RS256"), newParty(t, d, "mobile-es256", "ES256")
	figures := newTable(t, fmt.Sprintf("Userinfo and refresh with hook, CPU per request, %d clients", browsers))

	// One grant for each client at once: a refresh token is used by one at a time.
	grants := map[*party][]tokens{}
	for _, p := range []*party{rs, es} {
		grants[p] = make([]tokens, browsers)
		crowd(t, browsers, browsers, func(i int) (err error) {
			grants[p][i], err = p.login(t, userOf(i))
			return err
		})
	}
	refresh := func(p *party) func(int) error {
		return func(i int) (err error) { // a client's whole share, one refresh after the other
			for range 20 {
				if grants[p][i], err = p.refresh(t, grants[p][i]); err != nil {
					return err
				}
			}
			return nil
		}
	}
	mine, itself := costs{t, d.pid()}, costs{t, bare.cmd.Process.Pid}
	var served, sent, userinfo, refreshRS, refreshES []float64
	for range rounds {
		served = append(served, itself.of(4000, func(int) error { return bare.get(plain, "/plain") }))
		sent = append(sent, itself.of(4000, func(int) error { return bare.get(plain, "/send") }))
		userinfo = append(userinfo, mine.of(4000, func(i int) error { return rs.userinfo(grants[rs][i%browsers].AccessToken) }))
		refreshRS = append(refreshRS, mine.of(browsers, refresh(rs))/20)
		refreshES = append(refreshES, mine.of(browsers, refresh(es))/20)
	}
	for _, f := range []struct {
		name, target string
		values       []float64
	}{
		{"userinfo", "35", userinfo}, {"refresh, RS256", "1050", refreshRS}, {"refresh, ES256", "250", refreshES},
		{"floor: a plain request served", "", served}, {"floor: a plain request served that sends one", "", sent},
	} {
		figures.add(f.name, "us", f.target, scaled(f.values, 1000)...)
	}
	figures.add("userinfo / floor", "ratio", "", ratios(userinfo, served)...)
	figures.add("refresh, ES256 / floor that sends one", "ratio", "", ratios(refreshES, sent)...)
}
