package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/clientkeys"
)

// clientKeys are the keys of a client that publishes them, and what they were
// made of.
type clientKeys struct {
	uri string
	// egress is what may be reached for them.
	egress []netip.Prefix
	keys   *clientkeys.Keys
}

// keysOf are a client's own public keys, nil where it has none. Those that it
// publishes are kept over a reload that does not touch them.
func (b *builder) keysOf(cfg config.Config, c config.Client, r, before *revision) (federation.ClientKeys, error) {
	wanted := c.IDTokenEncryptedResponseAlg != "" || c.UserinfoEncryptedResponseAlg != ""
	switch {
	case c.JWKSURI != "":
		id := c.Tenant + "/" + c.ClientID
		had, ok := before.clientKeys[id]
		if !ok || had.uri != c.JWKSURI || !same(had.egress, cfg.Egress.RelyingParties) {
			keys, err := clientkeys.New(clientkeys.Options{
				URI: c.JWKSURI, HTTP: b.partyClient(cfg, 10*time.Second), Now: b.now, Log: b.log,
			})
			if err != nil {
				return nil, err
			}
			had = clientKeys{uri: c.JWKSURI, egress: cfg.Egress.RelyingParties, keys: keys}
		}
		r.clientKeys[id] = had
		return had.keys, nil
	case c.JWKS != nil:
		text, err := json.Marshal(c.JWKS)
		if err != nil {
			return nil, errors.New("is nothing that JSON can say")
		}
		keys, err := clientkeys.Parse(text)
		if err != nil {
			return nil, err
		}
		made, err := clientkeys.New(clientkeys.Options{Inline: keys})
		if err != nil {
			return nil, err
		}
		return made, usableFor(made, c)
	case wanted:
		return nil, errors.New("is needed for what is to be encrypted")
	}
	return nil, nil
}

// usableFor says whether the keys of the file hold one for what is to be encrypted.
func usableFor(keys *clientkeys.Keys, c config.Client) error {
	for _, as := range []federation.Encryption{idTokenEncryption(c), userinfoEncryption(c)} {
		if as.Wanted() && !keys.Encrypts(as.Alg) {
			return fmt.Errorf("holds no key to encrypt with %s", as.Alg)
		}
	}
	return nil
}

func idTokenEncryption(c config.Client) federation.Encryption {
	return encryption(c.IDTokenEncryptedResponseAlg, c.IDTokenEncryptedResponseEnc)
}

func userinfoEncryption(c config.Client) federation.Encryption {
	return encryption(c.UserinfoEncryptedResponseAlg, c.UserinfoEncryptedResponseEnc)
}

// encryption is none without an algorithm, whatever the default of enc is.
func encryption(alg, enc string) federation.Encryption {
	if alg == "" {
		return federation.Encryption{}
	}
	return federation.Encryption{Alg: alg, Enc: enc}
}
