package event

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
)

// SecretBytesMin is the shortest accepted signing secret.
const SecretBytesMin = 16

// Key is a signing secret and the id that tokens name it by.
type Key struct {
	ID     uint8
	Secret []byte
}

// Keyring is a set of keys, one of which signs. It is immutable and shared.
type Keyring struct {
	keys   [256][]byte // by id; nil = none
	active uint8
}

// NewKeyring copies the keys; tokens are signed with the active one and
// verified with any. Every fault found is in the error.
func NewKeyring(keys []Key, active uint8) (*Keyring, error) {
	kr := &Keyring{active: active}
	var errs []error
	for i, k := range keys {
		switch {
		case len(k.Secret) < SecretBytesMin:
			errs = append(errs, fmt.Errorf("keys[%d].secret: %d bytes; give at least %d random ones", i, len(k.Secret), SecretBytesMin))
		case kr.keys[k.ID] != nil:
			errs = append(errs, fmt.Errorf("keys[%d].id: %d is used twice; give every key its own id", i, k.ID))
		default:
			kr.keys[k.ID] = append([]byte(nil), k.Secret...)
		}
	}
	if len(keys) == 0 {
		errs = append(errs, errors.New("keys: none; give at least one key"))
	} else if errs == nil && kr.keys[active] == nil {
		errs = append(errs, fmt.Errorf("active: %d is no key's id; name one of the keys", active))
	}
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	return kr, nil
}

// Active is the id of the signing key.
func (kr *Keyring) Active() uint8 { return kr.active }

// NewSigner returns a signer and verifier with its own hash states. It must
// not be used by two goroutines at once.
func (kr *Keyring) NewSigner() *Signer {
	// Buffers of this size have their cache lines to themselves; those of two
	// shards' signers would lie side by side otherwise.
	const exclusive = 512
	s := &Signer{active: kr.active, raw: make([]byte, 0, exclusive), sum: make([]byte, 0, exclusive)}
	for id, secret := range kr.keys {
		if secret == nil {
			continue
		}
		s.macs[id] = hmac.New(sha256.New, secret)
		// A first round leaves the keyed states precomputed and the buffers
		// allocated: later rounds cost two compressions less and no memory.
		s.macs[id].Reset()
		s.sum = s.macs[id].Sum(s.sum[:0])
	}
	return s
}
