package bundle_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"millrace/models/bundle"
	"millrace/models/bundle/bundletest"
	"millrace/models/feature"
)

const header = 88

// reasonOf opens and wants a refusal.
func reasonOf(t *testing.T, file []byte, o bundle.Options) *bundle.Refusal {
	t.Helper()
	b, err := bundle.Open(file, bundletest.Public("test"), feature.Default(), o)
	var r *bundle.Refusal
	if b != nil || !errors.As(err, &r) {
		t.Fatalf("want a refusal and no bundle, got %v, %v", b, err)
	}
	return r
}

func TestOpen(t *testing.T) {
	file := bundletest.File(t, bundletest.Options{Version: 7})
	b, err := bundle.Open(file, bundletest.Public("test"), feature.Default(), bundle.Options{InForce: 6})
	if err != nil {
		t.Fatal(err)
	}
	if b.Version() != 7 || b.Manifest.Name != "test" || b.Key != bundle.IDOf(bundletest.Public("test")[0]) || b.Size() != len(file) {
		t.Errorf("%+v", b)
	}
	row := make([]float32, len(b.Schema.Columns))
	for _, m := range b.Models() {
		if p := m.Model.RateOf(row); !(p > 0 && p < 1) || m.Model.SegmentColumn != -1 {
			t.Errorf("%s predicts %v", m.Name, p)
		}
	}
	if got, want := b.CTR.Rate(0, float32(math.NaN())), 1/(1+math.Exp(3)); got != want {
		t.Errorf("rate of the raw score 0: %v, want %v", got, want)
	}
}

// signed puts a manifest and parts into a file as seal would, whatever they say.
func signed(key ed25519.PrivateKey, manifest []byte, parts []byte) []byte {
	b := make([]byte, header)
	copy(b, "MILLRACE")
	binary.LittleEndian.PutUint32(b[8:], 1)
	binary.LittleEndian.PutUint32(b[12:], uint32(len(manifest)))
	id := bundle.IDOf(key.Public().(ed25519.PublicKey))
	copy(b[16:], id[:])
	message := append([]byte("millrace model bundle, signed header and manifest\x00"), b[:24]...)
	copy(b[24:], ed25519.Sign(key, append(message, manifest...)))
	return append(append(b, manifest...), parts...)
}

// split takes a good file apart.
func split(file []byte) (m bundle.Manifest, manifest, parts []byte) {
	n := binary.LittleEndian.Uint32(file[12:])
	manifest, parts = file[header:header+n], file[header+n:]
	if err := json.Unmarshal(manifest, &m); err != nil {
		panic(err)
	}
	return m, manifest, parts
}

// remade changes a good file's manifest and signs it again.
func remade(file []byte, change func(m *bundle.Manifest)) []byte {
	m, _, parts := split(file)
	change(&m)
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return signed(bundletest.Key("test"), text, parts)
}

// withPart replaces a part and signs the file again.
func withPart(file []byte, name string, text []byte) []byte {
	m, _, rest := split(file)
	var parts []byte
	for i := range m.Parts {
		p := &m.Parts[i]
		b := rest[:p.Size]
		rest = rest[p.Size:]
		if p.Name == name {
			b = text
		}
		sum := sha256.Sum256(b)
		p.Size, p.SHA256 = uint64(len(b)), hex.EncodeToString(sum[:])
		parts = append(parts, b...)
	}
	manifest, _ := json.Marshal(m)
	return signed(bundletest.Key("test"), manifest, parts)
}

func partOf(file []byte, name string) []byte {
	m, _, rest := split(file)
	for _, p := range m.Parts {
		if p.Name == name {
			return rest[:p.Size]
		}
		rest = rest[p.Size:]
	}
	return nil
}

// refusal is a file and why it must be refused.
type refusal struct {
	name   string
	file   []byte
	reason bundle.Reason
	words  string
}

// refusedForms are files whose header, signature or manifest is at fault.
func refusedForms(good []byte) []refusal {
	_, manifest, parts := split(good)
	edit := func(at int, to byte) []byte {
		b := slices.Clone(good)
		b[at] ^= to
		return b
	}
	raw := func(text string) []byte { return signed(bundletest.Key("test"), []byte(text), parts) }
	unsigned := slices.Clone(good)
	clear(unsigned[16:header])
	return []refusal{
		{"empty", nil, bundle.NotABundle, "millrace model sign"},
		{"other file", []byte(strings.Repeat("tree\n", 100)), bundle.NotABundle, "does not begin"},
		{"a manifest", []byte(`{"format":1}`), bundle.NotABundle, "JSON"},
		{"header cut", good[:50], bundle.Truncated, "copy it again"},
		{"manifest cut", good[:header+20], bundle.Truncated, "copy it again"},
		{"parts cut", good[:len(good)-1], bundle.Truncated, "copy it again"},
		{"parts too long", append(slices.Clone(good), 0), bundle.Truncated, "copy it again"},
		{"newer format", edit(8, 3), bundle.UnknownFormat, "reads 1"},
		{"huge manifest", edit(15, 0xff), bundle.TooLarge, "declares a manifest"},
		{"huge file", make([]byte, bundle.FileBytesMax+1), bundle.TooLarge, "64 MiB"},
		{"unsigned", unsigned, bundle.Unsigned, "sign it"},
		{"key unknown", signed(bundletest.Key("other"), manifest, parts), bundle.UnknownKey, "trusted are"},
		{"signature changed", edit(30, 1), bundle.BadSignature, "changed after signing"},
		{"manifest changed", edit(header+30, 1), bundle.BadSignature, "changed after signing"},
		{"key id of another", edit(17, 1), bundle.UnknownKey, "trusted are"},
		{"part changed", edit(len(good)-5, 1), bundle.ChecksumMismatch, "part golden"},
		{"manifest with spaces", raw(strings.Replace(string(manifest), ",", ", ", 1)), bundle.BadManifest, "form"},
		{"key twice", raw(strings.Replace(string(manifest), `{`, `{"version":9,`, 1)), bundle.BadManifest, "form"},
		{"key unknown to the form", raw(strings.Replace(string(manifest), `{`, `{"colour":9,`, 1)), bundle.BadManifest, "colour"},
		{"key in another case", raw(strings.Replace(string(manifest), `"name"`, `"Name"`, 1)), bundle.BadManifest, "form"},
		{"no JSON", raw("null and void"), bundle.BadManifest, ""},
		{"deep JSON", raw(strings.Repeat("[", 500_000)), bundle.BadManifest, ""},
		{"null", raw("null"), bundle.BadManifest, ""},
		{"path for a name", remade(good, func(m *bundle.Manifest) { m.Name = "../../etc/passwd" }), bundle.BadManifest, "name"},
		{"path for a part", remade(good, func(m *bundle.Manifest) { m.Parts[1].Name = "../ctr" }), bundle.BadManifest, "parts[1].name"},
		{"part twice", remade(good, func(m *bundle.Manifest) { m.Parts[1].Name = m.Parts[2].Name }), bundle.BadManifest, "twice"},
		{"part missing", remade(good, func(m *bundle.Manifest) { m.Parts = m.Parts[:5] }), bundle.BadManifest, "golden is missing"},
		{"a million parts", remade(good, func(m *bundle.Manifest) { m.Parts = slices.Repeat(m.Parts, 1000) }), bundle.BadManifest, ""},
		{"part of 2^63 bytes", remade(good, func(m *bundle.Manifest) { m.Parts[1].Size = 1 << 63 }), bundle.TooLarge, "parts[1].size"},
		{"sizes that overflow", remade(good, func(m *bundle.Manifest) { m.Parts[1].Size = math.MaxUint64 - 100 }), bundle.TooLarge, ""},
		{"sizes shifted", remade(good, func(m *bundle.Manifest) { m.Parts[1].Size++; m.Parts[2].Size-- }), bundle.ChecksumMismatch, "part ctr"},
		{"no hash", remade(good, func(m *bundle.Manifest) { m.Parts[0].SHA256 = "x" }), bundle.BadManifest, "sha256"},
		{"version 0", remade(good, func(m *bundle.Manifest) { m.Version = 0 }), bundle.BadManifest, "version"},
		{"other schema", remade(good, func(m *bundle.Manifest) { m.SchemaSHA256 = strings.Repeat("ab", 32) }), bundle.WrongSchema, "abababababab"},
		{"schema part is another", withPart(good, "schema", []byte("{}")), bundle.WrongSchema, "carries"},
	}
}

// refusedParts are files of good form, signed by a trusted key, with a part at
// fault.
func refusedParts(t *testing.T, good []byte) []refusal {
	replace := func(name, old, new string) []byte {
		text := partOf(good, name)
		if !bytes.Contains(text, []byte(old)) {
			t.Fatalf("%s has no %q", name, old)
		}
		return withPart(good, name, bytes.Replace(text, []byte(old), []byte(new), 1))
	}
	return []refusal{
		{"no model", withPart(good, "ctr", []byte("hello")), bundle.BadModel, "part ctr"},
		{"empty model", withPart(good, "cvr", nil), bundle.BadModel, "part cvr"},
		{"regression", replace("ctr", "objective=binary sigmoid:1", "objective=regression"), bundle.BadModel, "regression"},
		{"fewer columns", replace("ctr", "max_feature_idx=", "max_feature_idx=9"), bundle.BadModel, "part ctr"},
		{"other column names", replace("ctr", "user.clicks_1d", "user.clicks_2d"), bundle.BadModel, "user.clicks_2d"},
		{"context reads the user", withPart(good, "context", partOf(good, "ctr")), bundle.BadModel, "late"},
		{"no calibration", withPart(good, "calibration", []byte("{}")), bundle.BadModel, "part calibration"},
		{"calibrated by no column", replace("calibration", `"kind":"platt"`, `"kind":"platt","segment_by":"moon"`), bundle.BadModel, "moon"},
		{"few golden rows", withPart(good, "golden", []byte(`{"rows":[]}`)), bundle.BadModel, "at least 32"},
		{"golden is a list", withPart(good, "golden", []byte(`[]`)), bundle.BadModel, "rows"},
		{"golden row short", replace("golden", `"x":[`, `"x":[1,`), bundle.BadModel, "columns"},
		{"golden of doubles", replace("golden", `"x":[`, `"x":[0.1,`), bundle.BadModel, "float32"},
		{"golden without a prediction", replace("golden", `"cvr_raw"`, `"cvr_row"`), bundle.BadModel, "cvr_row"},
		{"a million golden rows", withPart(good, "golden", []byte(`{"rows":[`+strings.Repeat(`{},`, 1_000_000)+`{}]}`)), bundle.BadModel, "rows[0]"},
		{"another leaf value", replace("ctr", "leaf_value=", "leaf_value=1"), bundle.GoldenMismatch, "model ctr"},
		{"another prediction", replace("golden", `"context":0`, `"context":1`), bundle.GoldenMismatch, "model context"},
		{"another rate", replace("golden", `"cvr":0.`, `"cvr":0.9`), bundle.GoldenMismatch, "after calibration"},
		{"the very last bit", withPart(good, "golden", nudged(partOf(good, "golden"))), bundle.GoldenMismatch, "raw score"},
	}
}

func TestRefusals(t *testing.T) {
	good := bundletest.File(t, bundletest.Options{Version: 5})
	for _, c := range append(refusedForms(good), refusedParts(t, good)...) {
		t.Run(c.name, func(t *testing.T) {
			r := reasonOf(t, c.file, bundle.Options{})
			if r.Reason != c.reason || !strings.Contains(r.Error(), c.words) {
				t.Errorf("%v\nwant %q with %q", r, c.reason, c.words)
			}
			if len(r.Error()) > 600 {
				t.Errorf("%d bytes of reason", len(r.Error()))
			}
		})
	}
}

// nudged changes the first raw score by one unit in its last place.
func nudged(text []byte) []byte {
	var g struct {
		Rows []map[string]json.RawMessage `json:"rows"`
	}
	if err := json.Unmarshal(text, &g); err != nil {
		panic(err)
	}
	var v float64
	if err := json.Unmarshal(g.Rows[0]["ctr_raw"], &v); err != nil {
		panic(err)
	}
	g.Rows[0]["ctr_raw"], _ = json.Marshal(math.Nextafter(v, math.Inf(1)))
	out, _ := json.Marshal(g)
	return out
}

func TestDowngrade(t *testing.T) {
	file := bundletest.File(t, bundletest.Options{Version: 5})
	for _, inForce := range []uint64{5, 6} {
		if r := reasonOf(t, file, bundle.Options{InForce: inForce}); r.Reason != bundle.Downgraded {
			t.Errorf("%v with %d in force", r, inForce)
		}
		if _, err := bundle.Open(file, bundletest.Public("test"), feature.Default(), bundle.Options{InForce: inForce, AllowDowngrade: true}); err != nil {
			t.Error(err)
		}
	}
}
