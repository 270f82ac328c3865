package bundle

import (
	"crypto/ed25519"
	"math"

	"millrace/models/calibration"
	"millrace/models/feature"
	"millrace/models/gbdt"
)

// Model is one forest of a bundle, in every form that serving needs. Immutable.
type Model struct {
	Forest      *gbdt.Forest
	Compiled    *gbdt.Compiled
	Calibration *calibration.Model
	// SegmentColumn is the column of a row whose value is the segment of
	// Calibration; −1 where it has none.
	SegmentColumn int
}

// Rate is the calibrated probability of a raw score. segment is the value of
// SegmentColumn in the row, which may be missing.
func (m *Model) Rate(raw float64, segment float32) float64 {
	s := -1
	if segment >= 0 && segment <= math.MaxUint16 { // not where it is NaN
		s = int(segment)
	}
	return m.Calibration.Map(raw, s)
}

// RateOf is the calibrated probability of a whole row, by the naive walk.
func (m *Model) RateOf(row []float32) float64 { return m.Rate(m.Forest.Raw(row), m.segment(row)) }

func (m *Model) segment(row []float32) float32 {
	if m.SegmentColumn < 0 {
		return -1
	}
	return row[m.SegmentColumn]
}

// Bundle is a checked model set. Immutable, shared by all shards.
type Bundle struct {
	Manifest *Manifest
	// Key that signed it; the zero KeyID of none.
	Key KeyID
	// Schema the models read rows of: the one given to Open.
	Schema *feature.Schema
	// CTR is clicks an impression, CVR conversions a click. Context is CTR for
	// requests whose user's features are late: it reads no user column.
	CTR, CVR, Context Model

	golden *golden
	size   int
}

// Version of the bundle: larger is newer.
func (b *Bundle) Version() uint64 { return b.Manifest.Version }

// Size of its file in bytes.
func (b *Bundle) Size() int { return b.size }

// Models by the name of their part, in the order of a file.
func (b *Bundle) Models() []NamedModel {
	return []NamedModel{{PartCTR, &b.CTR}, {PartCVR, &b.CVR}, {PartContext, &b.Context}}
}

// NamedModel is a model and the name of its part.
type NamedModel struct {
	Name  string
	Model *Model
}

// Options of Open.
type Options struct {
	// InForce is the version that serves now, 0 for none. A bundle that is not
	// newer is refused unless AllowDowngrade.
	InForce        uint64
	AllowDowngrade bool
}

// Open checks a bundle's file from the outside inwards and makes its models
// ready to serve; the error is a *Refusal. keys are the public keys trusted,
// schema is the one that this process computes features by. The text is not
// kept.
func Open(text []byte, keys []ed25519.PublicKey, schema *feature.Schema, o Options) (*Bundle, error) {
	e, err := openEnvelope(text)
	if err != nil {
		return nil, err
	}
	if err := e.verify(keys); err != nil {
		return nil, err
	}
	return e.open(schema, o, len(text))
}

// open goes on where the signature vouches for the manifest.
func (e *envelope) open(schema *feature.Schema, o Options, size int) (*Bundle, error) {
	m, err := decodeManifest(e.manifest)
	if err != nil {
		return nil, err
	}
	parts, err := e.cut(m)
	if err != nil {
		return nil, err
	}
	if m.Version <= o.InForce && !o.AllowDowngrade {
		return nil, refuse(Downgraded, "it is version %d of %s and version %d is in force; train it again, or allow the downgrade by name", m.Version, m.Name, o.InForce)
	}
	if err := checkSchema(m, schema); err != nil {
		return nil, err
	}
	b := &Bundle{Manifest: m, Key: e.keyID, Schema: schema, size: size}
	if err := b.load(parts); err != nil {
		return nil, err
	}
	if err := b.prove(); err != nil {
		return nil, err
	}
	return b, nil
}

func checkSchema(m *Manifest, schema *feature.Schema) error {
	if m.SchemaSHA256 != schema.SHA256 {
		return refuse(WrongSchema, "its models were trained on schema %.12s… and this build computes schema %.12s… (version %d); train with this build's models/feature/schema.json", m.SchemaSHA256, schema.SHA256, schema.Version)
	}
	for _, p := range m.Parts {
		if p.Name == PartSchema && p.SHA256 != m.SchemaSHA256 {
			return refuse(WrongSchema, "the schema it carries is not the one its manifest names; train the bundle again")
		}
	}
	return nil
}

func (b *Bundle) load(parts map[string][]byte) error {
	set, err := calibration.Parse("calibration.json", parts[PartCalibration])
	if err != nil {
		return refuse(BadModel, "part %s: %v", PartCalibration, err)
	}
	b.CTR.Calibration, b.CVR.Calibration, b.Context.Calibration = &set.CTR, &set.CVR, &set.Context
	for _, m := range b.Models() {
		if err := m.Model.load(parts[m.Name], b.Schema); err != nil {
			return refuse(BadModel, "part %s: %v", m.Name, err)
		}
	}
	if err := readsNoUser(b.Context.Forest, b.Schema); err != nil {
		return refuse(BadModel, "part %s: %v", PartContext, err)
	}
	if b.golden, err = decodeGolden(parts[PartGolden], len(b.Schema.Columns)); err != nil {
		return refuse(BadModel, "part %s: %v", PartGolden, err)
	}
	return nil
}
