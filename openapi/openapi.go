// Package openapi holds the published contracts as OpenAPI 3.1 documents:
// what Drawbridge serves (users, management, provider) and what it calls
// (claims-hook, session-webhooks). The documents are the promise; tests hold
// the handlers to them, route by route and answer by answer.
//
// The package owns the documents and nothing else. They are part of the binary
// and every one is complete by itself.
package openapi

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed *.yaml
var documents embed.FS

const extension = ".yaml"

// Names are the names of the documents, in alphabetical order.
func Names() []string {
	files, err := fs.Glob(documents, "*"+extension)
	if err != nil {
		return nil // the pattern is a constant and well-formed
	}
	for i := range files {
		files[i] = strings.TrimSuffix(files[i], extension)
	}
	return files
}

// Document is the YAML text of a document. The error is fs.ErrNotExist for a
// name that is not one of Names.
func Document(name string) ([]byte, error) {
	if strings.ContainsAny(name, `/\`) {
		return nil, fmt.Errorf("read document %q: %w", name, fs.ErrNotExist)
	}
	text, err := documents.ReadFile(name + extension)
	if err != nil {
		return nil, fmt.Errorf("read document %q: %w", name, err)
	}
	return text, nil
}
