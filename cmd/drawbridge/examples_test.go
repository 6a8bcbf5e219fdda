package main

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
)

const secretsFolder = "/run/secrets/"

// example is a file of the example of several nodes.
func example(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "examples", "cluster", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// exampleConfig loads and checks the example's configuration with what a
// container of it would see: its environment, and its secrets.
func exampleConfig(t *testing.T, env map[string]string, secrets []string) config.Config {
	t.Helper()
	used := map[string]bool{}
	cfg, problems := config.Load("drawbridge.yaml", []byte(example(t, "drawbridge.yaml")), config.Options{
		Env: func(name string) (string, bool) {
			value, set := env[name]
			return value, set
		},
		ReadFile: func(name string) ([]byte, error) {
			secret, in := strings.CutPrefix(name, secretsFolder)
			if !in || !slices.Contains(secrets, secret) {
				return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
			}
			used[secret] = true
			return []byte(base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%-32s", secret)) + "\n"), nil
		},
	})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	if _, wrong := checker(slog.New(slog.DiscardHandler)).build(cfg, nil); len(wrong) > 0 {
		t.Fatal(located(cfg, wrong))
	}
	if len(used) != len(secrets) {
		t.Errorf("of the secrets %q only %v are used", secrets, used)
	}
	return cfg
}

// composeService is what the tests look at of a service.
type composeService struct {
	Image, Hostname     string
	Entrypoint, Command []string
	Environment         map[string]string
	Secrets, Volumes    []string
	StopGracePeriod     string `yaml:"stop_grace_period"`
}

// mounted is the source of what a service has at a path.
func (s composeService) mounted(at string) string {
	for _, volume := range s.Volumes {
		if parts := strings.Split(volume, ":"); parts[1] == at {
			return parts[0]
		}
	}
	return ""
}

func TestComposeExampleFitsTogether(t *testing.T) {
	t.Parallel()
	var all struct {
		Services map[string]composeService
		Secrets  map[string]struct{ File string }
		Volumes  map[string]any
	}
	if err := yaml.Unmarshal([]byte(example(t, "compose.yaml")), &all); err != nil {
		t.Fatal(err)
	}
	ours := map[string]bool{}
	for name, s := range all.Services {
		for _, secret := range s.Secrets {
			if all.Secrets[secret].File != "secrets/"+secret {
				t.Errorf("%s has no secret %s", name, secret)
			}
		}
		if data := s.mounted("/data"); name != "balancer" {
			if _, declared := all.Volumes[data]; !declared || data != name || s.Hostname != name {
				t.Errorf("%s is host %q and keeps its data in %q", name, s.Hostname, data)
			}
		}
		if !strings.HasPrefix(name, "node-") {
			continue
		}
		ours[name] = true
		cfg := exampleConfig(t, s.Environment, s.Secrets)
		if s.mounted(imageConfig(t)) != "./drawbridge.yaml" || path.Dir(cfg.Store.Spool) != "/data" {
			t.Errorf("%s has %v", name, s.Volumes)
		}
		for _, address := range cfg.Store.Addresses {
			host, port, _ := net.SplitHostPort(address)
			if !slices.Equal(all.Services[host].Command, []string{"sentinel"}) || !strings.Contains(example(t, "redis/sentinel.conf"), "port "+port+"\n") {
				t.Errorf("there is no sentinel at %s", address)
			}
		}
		if grace, err := time.ParseDuration(s.StopGracePeriod); err != nil || grace < drainTime+8*time.Second {
			t.Errorf("%s has %s to stop", name, s.StopGracePeriod)
		}
		if balancer := "{ipv4_address: " + s.Environment["TRUSTED_PROXIES"] + "}"; !strings.Contains(example(t, "compose.yaml"), balancer) {
			t.Errorf("%s trusts %v, and the balancer has another address", name, cfg.TrustedProxies)
		}
		holdBalancer(t, name, cfg)
	}
	if len(ours) != 3 {
		t.Errorf("the nodes are %v", ours)
	}
}

// holdBalancer says that both listeners of a node are behind the balancer.
func holdBalancer(t *testing.T, node string, cfg config.Config) {
	t.Helper()
	balancer := example(t, "haproxy.cfg")
	for _, listen := range []string{cfg.Listen, cfg.Management.Listen} {
		_, port, _ := net.SplitHostPort(listen)
		if line := fmt.Sprintf("  server %s %s:%s\n", node, node, port); !strings.Contains(balancer, line) {
			t.Errorf("the balancer has no line %q", line)
		}
	}
	_, port, _ := net.SplitHostPort(cfg.Management.Listen)
	if !strings.Contains(balancer, "check port "+port+" ") {
		t.Error("the balancer checks another port than the management listener's")
	}
}

// imageConfig is where the container image looks for the configuration.
func imageConfig(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`CMD \["serve", "--config", "([^"]+)"\]`).FindSubmatch(text)
	if found == nil {
		t.Fatal("the image does not say where its configuration is")
	}
	return string(found[1])
}

// manifest is what the tests look at of a Kubernetes object.
type manifest struct {
	Kind       string
	Metadata   struct{ Name string }
	StringData map[string]string `yaml:"stringData"`
	Spec       struct {
		ClusterIP   string `yaml:"clusterIP"`
		ServiceName string `yaml:"serviceName"`
		// Selector of a Service has no matchLabels.
		Selector map[string]any
		Ports    []struct {
			TargetPort string `yaml:"targetPort"`
		}
		Template struct {
			Metadata struct{ Labels map[string]any }
			Spec     podSpec
		}
		Claims []struct{ Metadata struct{ Name string } } `yaml:"volumeClaimTemplates"`
	}
}

type podSpec struct {
	Grace    int `yaml:"terminationGracePeriodSeconds"`
	Security struct {
		User int `yaml:"runAsUser"`
	} `yaml:"securityContext"`
	Containers []container
	Volumes    []struct {
		Name      string
		ConfigMap struct{ Name string } `yaml:"configMap"`
		Secret    struct {
			Name string `yaml:"secretName"`
		}
	}
}

type container struct {
	Env   []struct{ Name, Value string }
	Ports []struct {
		Name string
		Port string `yaml:"containerPort"`
	}
	Startup   probe `yaml:"startupProbe"`
	Ready     probe `yaml:"readinessProbe"`
	Live      probe `yaml:"livenessProbe"`
	Lifecycle struct {
		PreStop struct{ Sleep struct{ Seconds int } } `yaml:"preStop"`
	}
	Mounts []struct {
		Name string
		Path string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

type probe struct {
	Get struct{ Path, Port string } `yaml:"httpGet"`
}

// manifests are the objects by kind and name.
func manifests(t *testing.T) map[string]manifest {
	t.Helper()
	all := map[string]manifest{}
	for text := range strings.SplitSeq(example(t, "kubernetes.yaml"), "\n---\n") {
		var m manifest
		if err := yaml.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		all[m.Kind+"/"+m.Metadata.Name] = m
	}
	return all
}

func TestKubernetesExampleFitsTogether(t *testing.T) {
	t.Parallel()
	all := manifests(t)
	set := all["StatefulSet/drawbridge"].Spec
	pod := set.Template.Spec
	if len(pod.Containers) != 1 {
		t.Fatalf("there is no pod of one container in %v", all)
	}
	box := pod.Containers[0]
	env := map[string]string{}
	for _, e := range box.Env {
		env[e.Name] = e.Value
	}
	cfg := exampleConfig(t, env, slices.Collect(maps.Keys(all["Secret/drawbridge"].StringData)))
	ports := map[string]string{}
	for _, p := range box.Ports {
		ports[p.Name] = ":" + p.Port
	}
	if !strings.HasSuffix(cfg.Listen, ports["public"]) || !strings.HasSuffix(cfg.Management.Listen, ports["management"]) || len(ports) != 2 {
		t.Errorf("the ports are %v", ports)
	}
	if box.Startup.Get != box.Live.Get || box.Live.Get.Path != "/healthz" || box.Ready.Get.Path != "/readyz" ||
		box.Live.Get.Port != "management" || box.Ready.Get.Port != "management" {
		t.Errorf("the probes are %+v, %+v, %+v", box.Startup, box.Ready, box.Live)
	}
	if least := time.Duration(box.Lifecycle.PreStop.Sleep.Seconds)*time.Second + 3*time.Second + drainTime; time.Duration(pod.Grace)*time.Second < least+5*time.Second {
		t.Errorf("a pod has %d s to stop, and needs %v", pod.Grace, least)
	}
	holdMounts(t, cfg, set.Claims[0].Metadata.Name, pod)
	for name, port := range map[string]string{"drawbridge": "public", set.ServiceName: "management"} {
		if s := all["Service/"+name].Spec; !maps.Equal(s.Selector, set.Template.Metadata.Labels) || s.Ports[0].TargetPort != port {
			t.Errorf("the Service %s is %+v", name, s)
		}
	}
	for name, selector := range map[string]map[string]any{"set": set.Selector, "budget": all["PodDisruptionBudget/drawbridge"].Spec.Selector} {
		if match, ok := selector["matchLabels"].(map[string]any); !ok || !maps.Equal(match, set.Template.Metadata.Labels) {
			t.Errorf("the %s is of %v", name, selector)
		}
	}
}

// holdMounts says that a pod has what the configuration and the image expect,
// and the spool on a claim of its own.
func holdMounts(t *testing.T, cfg config.Config, claim string, pod podSpec) {
	t.Helper()
	at := map[string]string{}
	for _, m := range pod.Containers[0].Mounts {
		at[m.Name] = m.Path
	}
	for _, v := range pod.Volumes {
		switch {
		case v.ConfigMap.Name == "drawbridge" && at[v.Name] == path.Dir(imageConfig(t)):
		case v.Secret.Name == "drawbridge" && at[v.Name]+"/" == secretsFolder:
		default:
			t.Errorf("the volume %+v is mounted at %q", v, at[v.Name])
		}
	}
	if at[claim] != path.Dir(cfg.Store.Spool) {
		t.Errorf("the spool is %s, and the claim is mounted at %s", cfg.Store.Spool, at[claim])
	}
	image, err := os.ReadFile(filepath.Join("..", "..", "Dockerfile"))
	if user := fmt.Sprintf("\nUSER %d:", pod.Security.User); err != nil || !strings.Contains(string(image), user) {
		t.Errorf("the image has another user than %d, %v", pod.Security.User, err)
	}
	var kustomize struct {
		Resources  []string
		ConfigMaps []struct {
			Name  string
			Files []string
		} `yaml:"configMapGenerator"`
	}
	if err := yaml.Unmarshal([]byte(example(t, "kustomization.yaml")), &kustomize); err != nil {
		t.Fatal(err)
	}
	if len(kustomize.ConfigMaps) != 1 || kustomize.ConfigMaps[0].Name != "drawbridge" || !slices.Equal(kustomize.ConfigMaps[0].Files, []string{path.Base(imageConfig(t))}) ||
		!slices.Equal(kustomize.Resources, []string{"kubernetes.yaml"}) {
		t.Errorf("the kustomization is %+v", kustomize)
	}
}

// exampleRedis is redis.conf and users.acl of the example as a server of the
// test takes them; the test itself remains the default user.
func exampleRedis(t *testing.T, password string) []string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(example(t, "redis/redis.conf")) {
		if !strings.HasPrefix(line, "port ") {
			lines = append(lines, line)
		}
	}
	hash := fmt.Sprintf("#%x", sha256.Sum256([]byte(password)))
	users := regexp.MustCompile(`#@\w+_password@`).ReplaceAllString(example(t, "redis/users.acl"), hash)
	if !strings.Contains(users, "user default off\n") {
		t.Error("the default user is not off")
	}
	lines = append(lines, "masterauth "+password, strings.ReplaceAll(users, "user default off\n", ""))
	return lines
}

// TestClusterExampleServes runs a node of the example over Redis as the example
// sets it up: a master with two replicas, found through three Sentinels, with
// the users of the ACL file.
func TestClusterExampleServes(t *testing.T) {
	t.Parallel()
	const password = "a-password-of-the-test"
	group := redistest.StartReplicated(t, 2, 3, exampleRedis(t, password)...)
	env := map[string]string{"TRUSTED_PROXIES": "127.0.0.0/8"}
	for i, address := range group.SentinelAddrs() {
		env[fmt.Sprint("SENTINEL_", i+1)] = address
	}
	all := manifests(t)
	cfg := exampleConfig(t, env, slices.Collect(maps.Keys(all["Secret/drawbridge"].StringData)))
	cfg.Listen, cfg.Management.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Store.MasterName, cfg.Store.Spool = group.MasterName(), filepath.Join(t.TempDir(), "spool")
	cfg.Store.Password, cfg.Store.SentinelPassword = config.NewSecret(password), config.Secret{}
	app, _ := serveOnce(t, cfg)
	if status, _ := get(t, "http://"+app.ManagementAddr()+all["StatefulSet/drawbridge"].Spec.Template.Spec.Containers[0].Ready.Get.Path); status != 200 {
		t.Errorf("readiness answers %d", status)
	}
	if status, _ := get(t, "http://"+app.PublicAddr()+"/jwks"); status != 200 {
		t.Errorf("/jwks answers %d", status)
	}
}
