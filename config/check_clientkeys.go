package config

// clientKeys checks what is encrypted to a client, and the keys that this needs.
// Whether these are good shows when they are read.
func (c *checker) clientKeys(path string, client Client) {
	if c.given(path+".jwks") && c.given(path+".jwks_uri") {
		c.fault(path+".jwks_uri", "excludes jwks (RFC 7591 §2)")
	}
	for _, what := range []struct{ prefix, alg string }{
		{".id_token_encrypted_response_", client.IDTokenEncryptedResponseAlg},
		{".userinfo_encrypted_response_", client.UserinfoEncryptedResponseAlg},
	} {
		alg, enc := path+what.prefix+"alg", path+what.prefix+"enc"
		switch {
		case what.alg == "" && c.given(enc) && c.sound(alg):
			c.fault(enc, "needs %s", alg[len(path)+1:])
		case what.alg != "" && !c.given(path+".jwks") && !c.given(path+".jwks_uri"):
			c.fault(alg, "needs the client's public keys: jwks or jwks_uri")
		}
	}
}
