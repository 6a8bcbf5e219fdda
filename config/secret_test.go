package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/drawbridge-id/drawbridge/config"
)

func TestSecretNeverPrints(t *testing.T) {
	const value = "correct-horse"
	secret := config.NewSecret(value)
	type inner struct{ hidden config.Secret }
	type outer struct {
		Shown  config.Secret
		inside inner
		List   []config.Secret
	}
	holder := outer{secret, inner{secret}, []config.Secret{secret}}
	var outputs []string
	for verb := range strings.SplitSeq("v +v #v s q x X d t T p b o U e c", " ") {
		outputs = append(outputs, fmt.Sprintf("%"+verb, secret), fmt.Sprintf("%"+verb, &secret), fmt.Sprintf("%"+verb, holder))
	}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&log, nil), slog.NewTextHandler(&log, nil)} {
		slog.New(handler).Info("x", "secret", secret, "holder", holder, "pointer", &holder)
	}
	asJSON, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	key, err := json.Marshal(map[string]any{"m": map[string]config.Secret{"k": secret}})
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	asText, err := secret.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	outputs = append(outputs, secret.String(), secret.GoString(), log.String(), string(asJSON), string(key), string(asYAML), string(asText))
	for _, out := range outputs {
		if strings.Contains(out, value) || strings.Contains(out, fmt.Sprintf("%x", value)) {
			t.Errorf("printed %s", out)
		}
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		if got := fmt.Sprintf(format, secret); got != "[secret]" {
			t.Errorf("%s prints %s", format, got)
		}
	}
	if string(asJSON) != `{"Shown":"[secret]","List":["[secret]"]}` {
		t.Errorf("JSON is %s", asJSON)
	}
	if secret.Reveal() != value {
		t.Errorf("reveals %q", secret.Reveal())
	}
}

func TestSecretMatches(t *testing.T) {
	secret := config.NewSecret("correct-horse")
	if !secret.Matches("correct-horse") || secret.Matches("correct-hors") || secret.Matches("") {
		t.Error("a secret matches itself alone")
	}
	var none config.Secret
	if none.Matches("") || !none.IsZero() || none.Reveal() != "" || config.NewSecret("").Matches("") {
		t.Error("no secret matches nothing")
	}
}

func TestConfigNeverPrintsItsSecrets(t *testing.T) {
	cfg := load(t, "testdata/good/everything.yaml")
	asJSON, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	printed := fmt.Sprintf("%v %+v %#v %s", cfg, cfg, cfg, asJSON)
	for _, value := range []string{"nocturne-lattice-41", "corp-secret-value", "shop-secret-value", "from-a-file-value", "AAECAwQF", "1f1e1d"} {
		if strings.Contains(printed, value) {
			t.Errorf("%s is printed", value)
		}
	}
}
