package demo

import (
	"bytes"
	"crypto/rand"
	_ "embed" // the configuration file
	"encoding/json"
	"fmt"
	"text/template"
	"time"
)

//go:embed gateway.yaml.tmpl
var gatewayTemplate string

// secrets are what the configuration refers to, new in every run.
type secrets struct{ platform, corp, shop, hook, sink string }

func newSecrets() secrets {
	return secrets{platform: rand.Text(), corp: rand.Text(), shop: rand.Text(), hook: rand.Text(), sink: rand.Text()}
}

// lookup is the environment that the configuration is read in.
func (s secrets) lookup(name string) (string, bool) {
	value, ok := map[string]string{
		"PLATFORM_PASSWORD": s.platform, "CORP_SECRET": s.corp, "SHOP_SECRET": s.shop, "HOOK_PASSWORD": s.hook, "SINK_SECRET": s.sink,
	}[name]
	return value, ok
}

// places are where everything is: addresses are host:port, the others URLs.
type places struct {
	Public, Listen             string
	Provider, Shop, Hook, Sink string
	SMTP                       string
	// Path is the file of the store.
	Path string
	Idle time.Duration
}

// gateway writes Drawbridge's configuration file.
func gateway(at places) ([]byte, error) {
	path, err := json.Marshal(at.Path) // a JSON string is a YAML scalar, whatever stands in it
	if err != nil {
		return nil, fmt.Errorf("write the path: %w", err)
	}
	t, err := template.New("gateway.yaml").Parse(gatewayTemplate)
	if err != nil {
		return nil, fmt.Errorf("parse the configuration's template: %w", err)
	}
	named := struct {
		places
		Path, PlatformUser, HookUser, HookPath, SinkPath, SinkHeader string
	}{at, string(path), platformUser, hookUser, hookPath, sinkPath, sinkSecretHeader}
	var out bytes.Buffer
	if err := t.Execute(&out, named); err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	return out.Bytes(), nil
}
