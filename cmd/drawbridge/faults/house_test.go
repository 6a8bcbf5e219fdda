//go:build faults

package faults

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// topology is a store and how many nodes stand over it.
type topology struct {
	name  string
	nodes int
	// begin starts the store for one round.
	begin func(t *testing.T) stage
}

// stage is a store that runs.
type stage struct {
	// config is what a node's file says of the store.
	config string
	// strikes are the faults of the store itself.
	strikes []strike
	// read reads the whole log, in the folder of the first node, when all nodes
	// have stopped.
	read func(t *testing.T, folder string) []logged
	// redis is nil for bolt.
	redis *redisStage
}

// house is a round's program among its stand-ins.
type house struct {
	t        *testing.T
	folder   string
	seed     uint64
	issuer   string
	nodes    []*node
	stage    stage
	upstream *upstream
	receiver *receiver
	journal  *journal
	public   *balancer
	platform *balancer
	client   *client
	load     *load
}

// The webhooks of every round: one is told everything, one only what somebody did.
const (
	hookAll  = "all"
	hookSome = "some"
)

// open starts a house whose nodes have a bug, or none.
func open(t *testing.T, top topology, bug *mutant, seed uint64) *house {
	t.Helper()
	h := &house{t: t, folder: keptFolder(t), seed: seed, issuer: "http://" + freeAddr(t)}
	h.journal = openJournal(t, h.folder)
	h.upstream = startUpstream(t)
	h.receiver = startReceiver(t, h.journal, chance(seed, "receiver"))
	h.stage = top.begin(t)
	binary := build(t, program, bug)
	for i := range top.nodes {
		h.nodes = append(h.nodes, h.newNode(binary, i))
	}
	t.Cleanup(func() {
		for _, n := range h.nodes {
			n.kill()
		}
	})
	for _, n := range h.nodes {
		if err := n.start(); err != nil {
			said, _ := os.ReadFile(n.logFile())
			t.Fatalf("%v\n%s", err, said)
		}
	}
	h.public, h.platform = newBalancer(h.nodes, false), newBalancer(h.nodes, true)
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	go h.public.watch(stop)
	go h.platform.watch(stop)
	var err error
	if h.client, err = newClient(h.issuer, h.dispatch(), h.platform); err != nil {
		t.Fatal(err)
	}
	h.load = &load{c: h.client, j: h.journal, prefix: fmt.Sprintf("u%x", time.Now().UnixMilli())}
	return h
}

func (h *house) newNode(binary string, i int) *node {
	n := &node{name: fmt.Sprintf("node-%d", i+1), binary: binary, args: []string{"serve", "--config", "drawbridge.yaml"}, public: freeAddr(h.t), management: freeAddr(h.t)}
	n.folder = filepath.Join(h.folder, n.name)
	if err := os.MkdirAll(n.folder, 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(n.folder, "drawbridge.yaml"), []byte(h.config(n)), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return n
}

func (h *house) config(n *node) string {
	return fmt.Sprintf(`
issuer: %[1]s
listen: %[2]s
node_name: %[3]s
management:
  listen: %[4]s
  credentials: [{username: platform, password: %[5]s, tenants: [default], scopes: [users, events, sessions, webhooks]}]
store: %[6]s
tokens: {access_token: 10m, refresh_idle: 1h, refresh_max: 2h}
upstreams:
  - {id: corp, issuer: "%[7]s", client_id: drawbridge, client_secret: %[8]s, domains: [corp.example], user: {customer: [customer_id, sub], email: [email]}}
clients:
  - client_id: %[9]s
    client_secret: %[10]s
    redirect_uris: [%[11]s]
    post_logout_redirect_uris: [%[12]s]
    id_token_signed_response_alg: ES256
    grant_types: [authorization_code, refresh_token]
    consent: skip
shutdown_delay: 1s
limits: off
session: {idle_timeout: %[13]s, max_lifetime: %[14]s}
session_webhooks:
  - {id: %[15]s, url: "%[16]s", headers: {Content-Type: application/json}, body: '%[19]s'}
  - {id: %[17]s, url: "%[18]s", headers: {Content-Type: application/json}, body: '%[19]s', events: [LOGOUT, DESTROY]}
egress: {upstreams: [127.0.0.0/8], webhooks: [127.0.0.0/8]}
`, h.issuer, n.public, n.name, n.management, password, h.stage.config, h.upstream.URL, upstreamSecret, clientID, clientSecret, redirectURI, signedOutURI,
		idleTime, maxTime, hookAll, h.receiver.hook(hookAll), hookSome, h.receiver.hook(hookSome), webhookBody)
}

// dispatch sends what is for the issuer through the balancer, and what is for
// the upstream to the upstream.
func (h *house) dispatch() splitter {
	return splitter{issuer: strings.TrimPrefix(h.issuer, "http://"), inside: h.public, outside: h.public.transport}
}

// keptFolder is a folder of the round's own. It is kept where the round fails, or
// where FAULTS_KEEP says in which folder to.
func keptFolder(t *testing.T) string {
	t.Helper()
	keep := os.Getenv("FAULTS_KEEP")
	folder, err := os.MkdirTemp(keep, strings.NewReplacer("/", "-", " ", "-").Replace(t.Name())+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if keep != "" || t.Failed() {
			fmt.Printf("%s: journal and logs are in %s\n", t.Name(), folder)
			return
		}
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	return folder
}

// said is what a node has logged, line by line.
func (h *house) said(n *node) []string {
	text, err := os.ReadFile(n.logFile())
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.Split(string(text), "\n")
}

// metrics is what a node shows on /metrics.
func (h *house) metrics(n *node) string {
	request, err := http.NewRequest(http.MethodGet, "http://"+n.management+"/metrics", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	request.SetBasicAuth("platform", password)
	r, err := send(&http.Client{Timeout: patience}, request)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(r.body)
}
