package node

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"millrace/codec/event"
)

// keyring is of the configured keys or, where none is, of one made at the first
// start and kept beside the journal: a restart must know its own tokens.
func (n *Node) keyring() (*event.Keyring, error) {
	if len(n.cfg.Tokens.Keys) > 0 {
		keys := make([]event.Key, len(n.cfg.Tokens.Keys))
		for i, k := range n.cfg.Tokens.Keys {
			keys[i] = event.Key{ID: uint8(k.ID), Secret: []byte(k.Secret.Reveal())}
		}
		return event.NewKeyring(keys, keys[n.cfg.Tokens.ActiveKey()].ID)
	}
	secret, err := n.ownSecret()
	if err != nil {
		return nil, fmt.Errorf("tokens.keys: %w; configure a key or make the data folder writable", err)
	}
	return event.NewKeyring([]event.Key{{ID: 1, Secret: secret}}, 1)
}

func (n *Node) ownSecret() ([]byte, error) {
	path := filepath.Join(n.dataFolder, "token.key")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		secret := make([]byte, 32)
		if _, err := rand.Read(secret); err != nil {
			return nil, err
		}
		return secret, writeSecret(path, hex.EncodeToString(secret)+"\n")
	}
	if err != nil {
		return nil, err
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) < event.SecretBytesMin {
		return nil, fmt.Errorf("%s is damaged: want %d hex digits or more", path, 2*event.SecretBytesMin)
	}
	return secret, nil
}

// writeSecret makes the file whole or not at all: half a secret would make
// every token of this life worthless in the next.
func writeSecret(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".token-")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
