//go:build bench

package bench

import (
	"fmt"
	"testing"
)

// grown is the binary over one store, with a client that has a grant for each of those who call at once.
type grown struct {
	*drawbridge
	parties map[string]*party
	grants  map[string][]tokens
}

func grow(t *testing.T, others *parties, store string) *grown {
	t.Helper()
	g := &grown{
		drawbridge: newHouse(t, others.configureOn(store)).start(t),
		parties:    map[string]*party{}, grants: map[string][]tokens{},
	}
	for alg, id := range map[string]string{"RS256": "mobile", "ES256": "mobile-es256"} {
		p, have := newParty(t, g.drawbridge, id, alg), make([]tokens, browsers)
		crowd(t, browsers, browsers, func(i int) (err error) {
			have[i], err = p.login(t, userOf(i))
			return err
		})
		g.parties[alg], g.grants[alg] = p, have
	}
	return g
}

func (g *grown) userinfo(i int) error {
	return g.parties["RS256"].userinfo(g.grants["RS256"][i%browsers].AccessToken)
}

// refreshes of one client, one after the other: a refresh token is used by one at a time.
func (g *grown) refreshes(t *testing.T, alg string, i, n int) (err error) {
	for range n {
		if g.grants[alg][i], err = g.parties[alg].refresh(t, g.grants[alg][i]); err != nil {
			return err
		}
	}
	return nil
}

// TestRedisBesideBolt measures what a request takes more where the store is a server.
func TestRedisBesideBolt(t *testing.T) {
	others := startParties(t)
	server := startRedis(t)
	bolt := grow(t, others, "{engine: bolt, path: data/drawbridge.db}")
	redis := grow(t, others, "{engine: redis, addresses: [\""+server.Addr()+"\"]}")
	figures := newTable(t, fmt.Sprintf("Userinfo and refresh with hook, Redis beside bolt, CPU per request, %d clients", browsers))
	const userinfos, each = 4000, 20
	spent := map[string][]float64{}
	busy := func(name string, n int, work func()) {
		before := server.cpu(t)
		work()
		spent[name] = append(spent[name], milliseconds(server.cpu(t)-before)/float64(n))
	}
	for range rounds {
		for _, g := range []*grown{bolt, redis} {
			name := map[*grown]string{bolt: "bolt", redis: "redis"}[g]
			cost := costs{t, g.pid()}
			busy("server of "+name+" userinfo", userinfos, func() {
				spent[name+" userinfo"] = append(spent[name+" userinfo"], cost.of(userinfos, g.userinfo))
			})
			for _, alg := range []string{"RS256", "ES256"} {
				busy("server of "+name+" refresh, "+alg, browsers*each, func() {
					took := cost.of(browsers, func(i int) error { return g.refreshes(t, alg, i, each) })
					spent[name+" refresh, "+alg] = append(spent[name+" refresh, "+alg], took/each)
				})
			}
		}
	}
	for _, request := range []string{"userinfo", "refresh, RS256", "refresh, ES256"} {
		figures.add(request+": Redis / bolt", "ratio", "at most 2", ratios(spent["redis "+request], spent["bolt "+request])...)
		figures.add(request+", Redis", "us", "", scaled(spent["redis "+request], 1000)...)
		figures.add(request+", bolt", "us", "", scaled(spent["bolt "+request], 1000)...)
		figures.add(request+": CPU of Redis itself", "us", "", scaled(spent["server of redis "+request], 1000)...)
	}
	trips(t, server, redis, figures)
}

// trips counts what the server is asked for by one client alone, so that no two share a commit.
func trips(t *testing.T, server served, g *grown, figures *table) {
	t.Helper()
	const n = 100
	for _, kind := range []struct {
		name, target string
		work         func(i int) error
	}{
		{"userinfo", "1 read", g.userinfo},
		{"refresh", "", func(int) error { return g.refreshes(t, "ES256", 0, 1) }},
	} {
		names, each := perRequest(server.heard(t, func() { crowd(t, 1, n, kind.work) }), n)
		total := 0.0
		for i, name := range names {
			total += each[i]
			figures.add(kind.name+" sends "+name, "", "", each[i])
		}
		figures.add(kind.name+": commands sent to Redis", "", kind.target, total)
	}
}
