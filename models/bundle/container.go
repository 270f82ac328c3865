package bundle

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
)

// Limits of a file. A bundle of 500 trees of 255 leaves for each of its models
// takes about 30 MiB.
const (
	FileBytesMax     = 64 << 20
	ManifestBytesMax = 1 << 20
	// GoldenRowsMax and CalibrationBytesMax bound the two JSON parts, which grow
	// most when they are decoded.
	GoldenRowsMax       = 4096
	GoldenBytesMax      = 16 << 20
	CalibrationBytesMax = 4 << 20
	SchemaBytesMax      = 1 << 20
)

const (
	magic       = "MILLRACE"
	format      = 1
	headerBytes = 88
	signedText  = "millrace model bundle, signed header and manifest\x00"
	// prefixBytes of the header are signed; the signature follows them.
	prefixBytes = 24
)

// ReadFile reads a bundle's file, of which it takes no more than a bundle may
// have: a device or an endless pipe is refused too.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the bundle: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, FileBytesMax+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("cannot read the bundle: %w", err)
	}
	if len(b) > FileBytesMax {
		return nil, tooLarge()
	}
	return b, nil
}

func tooLarge() error {
	return refuse(TooLarge, "the file has more than %d MiB; train fewer or smaller trees", FileBytesMax>>20)
}

// envelope is a file taken apart, nothing of it believed yet.
type envelope struct {
	prefix, manifest, parts []byte
	keyID                   KeyID
	signature               []byte
}

func openEnvelope(b []byte) (e envelope, err error) {
	switch {
	case len(b) > FileBytesMax:
		return e, tooLarge()
	case !bytes.HasPrefix(b, []byte(magic)[:min(len(b), len(magic))]) || len(b) == 0:
		if bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
			return e, refuse(NotABundle, "it is JSON; give the file that millrace model sign writes, not a manifest")
		}
		return e, refuse(NotABundle, "it does not begin with %q; give the file that millrace model sign writes", magic)
	case len(b) < headerBytes:
		return e, refuse(Truncated, "it has %d bytes and its header alone takes %d; copy it again", len(b), headerBytes)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != format {
		return e, refuse(UnknownFormat, "its format is %d and this build reads %d; sign it again with this version of millrace", v, format)
	}
	size := uint64(binary.LittleEndian.Uint32(b[12:]))
	if size > ManifestBytesMax {
		return e, refuse(TooLarge, "its header declares a manifest of %d bytes; the limit is %d", size, ManifestBytesMax)
	}
	if size > uint64(len(b)-headerBytes) {
		return e, refuse(Truncated, "it ends %d bytes before its manifest does; copy it again", size-uint64(len(b)-headerBytes))
	}
	e.prefix, e.signature = b[:prefixBytes], b[prefixBytes:headerBytes]
	copy(e.keyID[:], b[16:24])
	e.manifest, e.parts = b[headerBytes:headerBytes+size], b[headerBytes+size:]
	return e, nil
}

// verify finds the key and checks the signature.
func (e *envelope) verify(keys []ed25519.PublicKey) error {
	if e.keyID == (KeyID{}) && len(bytes.Trim(e.signature, "\x00")) == 0 {
		return refuse(Unsigned, "sign it with millrace model sign")
	}
	known := make([]string, 0, len(keys))
	for _, k := range keys {
		if len(k) != ed25519.PublicKeySize {
			continue
		}
		if id := IDOf(k); id != e.keyID {
			known = append(known, id.String())
			continue
		}
		if !ed25519.Verify(k, e.signedMessage(), e.signature) {
			return refuse(BadSignature, "the signature is not key %s's over this header and manifest: they were changed after signing; copy the file again or sign it again", e.keyID)
		}
		return nil
	}
	if len(known) == 0 {
		return refuse(UnknownKey, "it is signed by key %s and no key is trusted; configure its public key", e.keyID)
	}
	return refuse(UnknownKey, "it is signed by key %s; trusted are %s", e.keyID, join(known))
}

func (e *envelope) signedMessage() []byte {
	m := make([]byte, 0, len(signedText)+prefixBytes+len(e.manifest))
	return append(append(append(m, signedText...), e.prefix...), e.manifest...)
}

// cut gives each part of the manifest its bytes and checks its sum. The parts
// have to fill the file exactly.
func (e *envelope) cut(m *Manifest) (map[string][]byte, error) {
	total := uint64(0)
	for _, p := range m.Parts {
		total += p.Size // sizes are bounded by the manifest's check: no overflow
	}
	if have := uint64(len(e.parts)); total != have {
		return nil, refuse(Truncated, "its parts take %d bytes and %d follow the manifest; copy it again", total, have)
	}
	rest, parts := e.parts, make(map[string][]byte, len(m.Parts))
	for _, p := range m.Parts {
		parts[p.Name], rest = rest[:p.Size:p.Size], rest[p.Size:]
		if sum := sha256.Sum256(parts[p.Name]); hex.EncodeToString(sum[:]) != p.SHA256 {
			return nil, refuse(ChecksumMismatch, "part %s is not the one that was signed (SHA-256 %x…, signed %s…); copy the file again", p.Name, sum[:6], p.SHA256[:12])
		}
	}
	return parts, nil
}

// seal writes a file. Without a key its place for the signature stays empty,
// and Open refuses it.
func seal(m *Manifest, parts map[string][]byte, key ed25519.PrivateKey) ([]byte, error) {
	text, err := m.encode()
	if err != nil {
		return nil, err
	}
	if len(text) > ManifestBytesMax {
		return nil, fmt.Errorf("the manifest has %d bytes; the limit is %d: shorten its metrics and data", len(text), ManifestBytesMax)
	}
	b := make([]byte, headerBytes, headerBytes+len(text))
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[8:], format)
	binary.LittleEndian.PutUint32(b[12:], uint32(len(text)))
	if key != nil {
		id := IDOf(key.Public().(ed25519.PublicKey))
		copy(b[16:], id[:])
		e := envelope{prefix: b[:prefixBytes], manifest: text}
		copy(b[prefixBytes:], ed25519.Sign(key, e.signedMessage()))
	}
	b = append(b, text...)
	for _, p := range m.Parts {
		b = append(b, parts[p.Name]...)
	}
	if len(b) > FileBytesMax {
		return nil, tooLarge()
	}
	return b, nil
}
