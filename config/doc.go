// Package config owns the configuration file: what may stand in it, what it
// means when it does not, and what is told to whoever made a mistake in it.
//
// The file is one YAML document. REFERENCE.md lists every key; it is made from
// the comments and tags of the types here and a test holds it to them.
// examples/gateway.yaml is a whole file with comments.
//
// What it promises:
//
//   - One run reports everything that is wrong, each thing once, with line,
//     column and path, and where a name was mistyped with the one that was
//     meant. Only what is no YAML at all ends a run early.
//   - What Load returns is whole: defaults are filled in, references within the
//     file lead somewhere, and nothing need be checked a second time. There is
//     no half configuration.
//   - Secrets do not print, and no message shows one, nor any other value that
//     came from the environment or another file.
//   - Loading touches nothing but what Options let it touch: no network, no
//     name service, no clock. It knows no other package of Drawbridge.
//
// What it refuses, beyond wrong values: unknown and duplicate keys; numbers
// where a duration needs a unit; text, numbers and booleans in each other's
// place; a second document, directives and tags; files that are not UTF-8,
// begin with a byte order mark, or are larger than 1 MiB. Anchors, aliases and
// merge keys (<<) are followed, within a bound on what they expand to.
//
// What was decided here where the design left a choice:
//
//   - ${env:NAME} and ${file:PATH} stand for a whole value of any key and are
//     never looked at again. An empty variable or file is a problem: it is an
//     unfilled secret more often than a wish. One line break at the end of a
//     file is not part of the value.
//   - "key:" with nothing behind it leaves a section or list out; for a single
//     value it is a problem.
//   - Ids are unique in the whole file, across tenants. References stay within
//     a tenant. The tenant default exists whether it is declared or not.
//   - A domain of an upstream means exactly that domain, no subdomains.
//   - http leaves the machine only where insecure_http says so, and never for an
//     issuer, a redirect URI or an upstream.
//   - An explicit mapping rule may write a protected claim, in its exact
//     spelling; nothing may write a claim that only Drawbridge sets.
//   - What a hook's failure means is never defaulted: keep needs its list,
//     last_good its age.
//   - Templates of webhooks are opaque here but for scheme and host.
//   - A changed file is applied once it has held still for one interval, since
//     the first half of a file that is being written can be a whole one.
package config
