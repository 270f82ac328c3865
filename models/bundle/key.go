package bundle

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// KeyID names a signing key: the first bytes of its public key's SHA-256.
type KeyID [8]byte

func (k KeyID) String() string { return hex.EncodeToString(k[:]) }

// IDOf is the id of a public key.
func IDOf(k ed25519.PublicKey) (id KeyID) {
	sum := sha256.Sum256(k)
	copy(id[:], sum[:])
	return id
}

// The text forms of keys: one line each, named so that a secret is never taken
// for the public half.
const (
	publicPrefix  = "millrace-model-public-key:"
	privatePrefix = "millrace-model-private-key:"
)

// GenerateKey makes a signing key from the system's random source.
func GenerateKey() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

// FormatPublicKey is the text of a public key, without a line end.
func FormatPublicKey(k ed25519.PublicKey) string {
	return publicPrefix + base64.StdEncoding.EncodeToString(k)
}

// FormatPrivateKey is the text of a signing key: a secret.
func FormatPrivateKey(k ed25519.PrivateKey) string {
	return privatePrefix + base64.StdEncoding.EncodeToString(k.Seed())
}

// ParsePublicKey reads what FormatPublicKey writes; space around it is ignored.
func ParsePublicKey(text string) (ed25519.PublicKey, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, privatePrefix) {
		return nil, errors.New("this is a private key; give the public one (the .pub file) and keep this one secret")
	}
	b, err := keyBytes(text, publicPrefix, ed25519.PublicKeySize)
	return ed25519.PublicKey(b), err
}

// ParsePrivateKey reads what FormatPrivateKey writes.
func ParsePrivateKey(text string) (ed25519.PrivateKey, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, publicPrefix) {
		return nil, errors.New("this is a public key; sign with the private one (the file without .pub)")
	}
	seed, err := keyBytes(text, privatePrefix, ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// keyBytes never repeats the text in its error: it may be a secret.
func keyBytes(text, prefix string, size int) ([]byte, error) {
	rest, found := strings.CutPrefix(text, prefix)
	if !found {
		return nil, fmt.Errorf("not a key: want one line %q and base64; millrace model keygen makes one", prefix)
	}
	b, err := base64.StdEncoding.Strict().DecodeString(rest)
	if err != nil || len(b) != size {
		return nil, fmt.Errorf("a damaged key: want %d bytes in base64 after %q; copy it again", size, prefix)
	}
	return b, nil
}
