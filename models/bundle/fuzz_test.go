package bundle_test

import (
	"errors"
	"runtime/metrics"
	"testing"

	"millrace/models/bundle"
	"millrace/models/bundle/bundletest"
	"millrace/models/feature"
)

// openBounded opens and checks that a refusal is in words and that memory stays
// within a multiple of the file.
func openBounded(t *testing.T, file []byte) {
	t.Helper()
	before := allocated()
	b, err := bundle.Open(file, bundletest.Public("test"), feature.Default(), bundle.Options{})
	took := allocated() - before
	var r *bundle.Refusal
	if (err == nil) != (b != nil) || err != nil && (!errors.As(err, &r) || r.Detail == "") {
		t.Fatalf("%v, %v", b, err)
	}
	if most := uint64(8<<20 + 200*len(file)); took > most {
		t.Fatalf("opening %d bytes allocated %d, want at most %d (%v)", len(file), took, most, err)
	}
}

// allocated is bytes since the start of the process.
func allocated() uint64 {
	s := [1]metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s[:])
	return s[0].Value.Uint64()
}

// FuzzOpen gives whole files, most of which no key vouches for.
func FuzzOpen(f *testing.F) {
	good := bundletest.File(f, bundletest.Options{Trees: 1, Leaves: 2, Rows: 32})
	f.Add(good)
	f.Add(good[:header])
	f.Fuzz(openBounded)
}

// FuzzSigned gives what a trusted key vouches for: whoever holds it can still
// not make Open panic or balloon.
func FuzzSigned(f *testing.F) {
	_, manifest, parts := split(bundletest.File(f, bundletest.Options{Trees: 1, Leaves: 2, Rows: 32}))
	f.Add(manifest, parts)
	f.Fuzz(func(t *testing.T, manifest, parts []byte) {
		if len(manifest)+len(parts) > 1<<20 {
			t.Skip("longer than a fuzzer needs")
		}
		openBounded(t, signed(bundletest.Key("test"), manifest, parts))
	})
}

// FuzzParts gives each part's text with sums that match, so that the loaders
// are reached.
func FuzzParts(f *testing.F) {
	good := bundletest.File(f, bundletest.Options{Trees: 1, Leaves: 2, Rows: 32})
	for _, p := range []string{"ctr", "context", "calibration", "golden"} {
		f.Add(p, partOf(good, p))
	}
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		if len(text) > 1<<20 {
			t.Skip("longer than a fuzzer needs")
		}
		openBounded(t, withPart(good, name, text))
	})
}

func FuzzKeys(f *testing.F) {
	f.Add(bundle.FormatPrivateKey(bundletest.Key("test")))
	f.Add(bundle.FormatPublicKey(bundletest.Public("test")[0]))
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := bundle.ParsePrivateKey(text); err == nil {
			if again, err := bundle.ParsePrivateKey(bundle.FormatPrivateKey(k)); err != nil || !again.Equal(k) {
				t.Errorf("%q does not survive its text form: %v", text, err)
			}
		}
		if k, err := bundle.ParsePublicKey(text); err == nil {
			if again, err := bundle.ParsePublicKey(bundle.FormatPublicKey(k)); err != nil || !again.Equal(k) {
				t.Errorf("%q does not survive its text form: %v", text, err)
			}
		}
	})
}
