package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Names of the parts of a bundle. All are there, each once.
const (
	PartSchema      = "schema"      // models/feature's definition that the models were trained with
	PartCTR         = "ctr"         // clicks an impression, as the trainer wrote it
	PartCVR         = "cvr"         // conversions a click
	PartContext     = "context"     // clicks an impression, without the user's features
	PartCalibration = "calibration" // models/calibration, JSON
	PartGolden      = "golden"      // rows and what the trainer predicts for them, JSON
)

// partOrder is the order of the parts in a file, and the limit of each.
var partOrder = []struct {
	name string
	max  uint64
}{
	{PartSchema, SchemaBytesMax},
	{PartCTR, FileBytesMax},
	{PartCVR, FileBytesMax},
	{PartContext, FileBytesMax},
	{PartCalibration, CalibrationBytesMax},
	{PartGolden, GoldenBytesMax},
}

func partMax(name string) (most uint64, known bool) {
	for _, p := range partOrder {
		if p.name == name {
			return p.max, true
		}
	}
	return 0, false
}

// Part is one part as the manifest vouches for it.
type Part struct {
	Name   string `json:"name"`
	Size   uint64 `json:"size"`
	SHA256 string `json:"sha256"`
}

// Manifest says what a bundle is. It is what the signature covers.
type Manifest struct {
	Format int `json:"format"`
	// Name of the line of models, lower case: "demo".
	Name string `json:"name"`
	// Version grows with every training: a bundle replaces only older ones.
	Version uint64 `json:"version"`
	// Created is when it was trained.
	Created time.Time `json:"created"`
	// SchemaSHA256 is the hash of the feature schema it was trained with.
	SchemaSHA256 string `json:"schema_sha256"`
	Parts        []Part `json:"parts"`
	// Metrics and Data are the trainer's: how well it predicts, and what it was
	// trained on. JSON objects, shown as they are.
	Metrics json.RawMessage `json:"metrics,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
}

const nameBytesMax = 64

func validName(s string) bool {
	if s == "" || len(s) > nameBytesMax || s[0] == '.' || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

// encode gives the one form in which a manifest is written.
func (m *Manifest) encode() ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("the manifest can not be written: %w", err)
	}
	return b, nil
}

// decodeManifest reads a manifest that a key vouches for. Text that is not in
// the form that encode gives is refused: a repeated key, an unknown one or one
// in another case reads differently in different readers.
func decodeManifest(text []byte) (*Manifest, error) {
	m := &Manifest{}
	if err := decodeStrict(text, m); err != nil {
		return nil, refuse(BadManifest, "%v; sign the bundle again", err)
	}
	if again, err := m.encode(); err != nil || !bytes.Equal(again, text) {
		return nil, refuse(BadManifest, "it is not in the form that millrace model sign writes (a key twice or in another case, or spaces); sign the bundle again")
	}
	if err := m.validate(); err != nil {
		return nil, err
	}
	return m, nil
}

func decodeStrict(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}

func (m *Manifest) validate() error {
	if err := m.validateFacts(); err != nil {
		return refuse(BadManifest, "%v", err)
	}
	seen := map[string]bool{}
	for i, p := range m.Parts {
		most, known := partMax(p.Name)
		switch {
		case !known:
			return refuse(BadManifest, "parts[%d].name: %.40q is no part of a bundle; the parts are %s", i, p.Name, join(partNames()))
		case seen[p.Name]:
			return refuse(BadManifest, "parts[%d].name: %s is there twice; sign the bundle again", i, p.Name)
		case p.Size > most:
			return refuse(TooLarge, "parts[%d].size: part %s declares %d bytes; the limit is %d", i, p.Name, p.Size, most)
		case !isHash(p.SHA256):
			return refuse(BadManifest, "parts[%d].sha256: want 64 hex digits in lower case", i)
		}
		seen[p.Name] = true
	}
	for _, p := range partOrder {
		if !seen[p.name] {
			return refuse(BadManifest, "parts: %s is missing; train the bundle again", p.name)
		}
	}
	return nil
}

// validateFacts checks what the trainer states, in a directory or in a file.
func (m *Manifest) validateFacts() error {
	switch {
	case m.Format != format:
		return fmt.Errorf("format: %d; this build reads %d", m.Format, format)
	case !validName(m.Name):
		return fmt.Errorf("name: %.40q; use 1 to %d of a-z 0-9 . _ -, beginning with a letter or digit", m.Name, nameBytesMax)
	case m.Version == 0:
		return errors.New("version: 0; number trainings from 1, or by the time of training")
	case m.Created.IsZero():
		return errors.New("created: missing; write when it was trained (2026-01-31T12:00:00Z)")
	case !isHash(m.SchemaSHA256):
		return errors.New("schema_sha256: want 64 hex digits in lower case")
	}
	for name, text := range map[string]json.RawMessage{"metrics": m.Metrics, "data": m.Data} {
		if len(text) > 0 && text[0] != '{' {
			return fmt.Errorf("%s: want a JSON object", name)
		}
	}
	return nil
}

func isHash(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && s == strings.ToLower(s)
}

func partNames() []string {
	names := make([]string, len(partOrder))
	for i, p := range partOrder {
		names[i] = p.name
	}
	return names
}

func join(list []string) string { return strings.Join(list, ", ") }
