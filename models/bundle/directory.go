package bundle

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"millrace/models/feature"
)

// ManifestFile is the manifest's name in the trainer's directory.
const ManifestFile = "manifest.json"

// directoryManifest is the manifest as tools/train writes it: parts by file
// name, sizes and sums not known yet.
type directoryManifest struct {
	Format       int               `json:"format"`
	Name         string            `json:"name"`
	Version      uint64            `json:"version"`
	Created      time.Time         `json:"created"`
	SchemaSHA256 string            `json:"schema_sha256"`
	Parts        map[string]string `json:"parts"`
	Metrics      json.RawMessage   `json:"metrics"`
	Data         json.RawMessage   `json:"data"`
}

// PackOptions of Pack.
type PackOptions struct {
	// Key signs; without one the file has no signature and is refused by Open.
	Key ed25519.PrivateKey
	// Version replaces the manifest's, if > 0.
	Version uint64
}

// Pack puts the directory that tools/train wrote into one signed file. It
// checks the form alone: Open the result before it is given to anybody.
func Pack(directory string, o PackOptions) ([]byte, error) {
	root, err := os.OpenRoot(directory)
	if err != nil {
		return nil, fmt.Errorf("cannot read the trained directory: %w", err)
	}
	defer root.Close()
	text, err := readPart(root, ManifestFile, ManifestBytesMax)
	if err != nil {
		return nil, err
	}
	var d directoryManifest
	if err := decodeStrict(text, &d); err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestFile, err)
	}
	m := &Manifest{Format: d.Format, Name: d.Name, Version: d.Version, Created: d.Created.UTC(), SchemaSHA256: d.SchemaSHA256, Metrics: d.Metrics, Data: d.Data}
	if o.Version > 0 {
		m.Version = o.Version
	}
	if err := m.validateFacts(); err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestFile, err)
	}
	for name := range d.Parts {
		if _, known := partMax(name); !known {
			return nil, fmt.Errorf("%s: parts.%s is no part of a bundle; the parts are %s", ManifestFile, name, join(partNames()))
		}
	}
	parts := make(map[string][]byte, len(partOrder))
	for _, p := range partOrder {
		b, err := d.part(root, p.name, p.max)
		if err != nil {
			return nil, fmt.Errorf("%s: parts.%s: %w", ManifestFile, p.name, err)
		}
		sum := sha256.Sum256(b)
		parts[p.name] = b
		m.Parts = append(m.Parts, Part{Name: p.name, Size: uint64(len(b)), SHA256: hex.EncodeToString(sum[:])})
	}
	return seal(m, parts, o.Key)
}

// part reads one part. A trainer that used this build's schema need not copy it.
func (d *directoryManifest) part(root *os.Root, name string, most uint64) ([]byte, error) {
	file, named := d.Parts[name]
	switch {
	case named:
		return readPart(root, file, most)
	case name == PartSchema && d.SchemaSHA256 == feature.Default().SHA256:
		return feature.Definition(), nil
	}
	return nil, errors.New("missing; name its file")
}

// readPart reads a plain file of the directory itself: no path, and no link
// that leads out of it.
func readPart(root *os.Root, name string, most uint64) ([]byte, error) {
	if !validName(name) {
		return nil, fmt.Errorf("%.80q is not a plain file name; files stand in the directory itself, named with a-z 0-9 . _ -", name)
	}
	// What is not a regular file (a pipe would wait forever) is not opened.
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if uint64(len(b)) > most {
		return nil, fmt.Errorf("%s has more than %d bytes, the limit; train fewer or smaller trees, or write fewer golden rows", name, most)
	}
	return b, nil
}
