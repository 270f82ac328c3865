// Package demo holds the bundle that Millrace shows itself with: trained on a
// synthetic log by make train, signed by demo.key, which lies beside it for
// everybody to read. The bundle says nothing about real users, and the key
// vouches for nothing: neither belongs into a configuration.
package demo

import (
	"crypto/ed25519"
	_ "embed"

	"millrace/models/bundle"
)

var (
	//go:embed demo.bundle
	file []byte
	//go:embed demo.pub
	public string
)

// File is the signed bundle. Borrowed.
func File() []byte { return file }

// Keys are what Open has to trust for it.
func Keys() []ed25519.PublicKey {
	k, err := bundle.ParsePublicKey(public)
	if err != nil {
		panic(err) // a test reads it: a binary with a broken one is not built
	}
	return []ed25519.PublicKey{k}
}
