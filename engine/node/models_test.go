package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/models/bundle"
	"millrace/models/bundle/bundletest"
)

// modelConfig serves the bundled catalog with a bundle of a file of its own.
func modelConfig(t testing.TB, text []byte) Config {
	t.Helper()
	c := demoConfig(t)
	c.Model.Bundle = filepath.Join(c.Data, "model.bundle")
	c.Model.Keys = []string{bundle.FormatPublicKey(bundletest.Key("test").Public().(ed25519.PublicKey))}
	c.Model.Poll, c.Model.Rollout = 0, false
	putBundle(t, c, text)
	return c
}

func putBundle(t testing.TB, c Config, text []byte) {
	t.Helper()
	if err := os.WriteFile(c.Model.Bundle, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func shape(version uint64) bundletest.Options {
	return bundletest.Options{Version: version, Seed: version, Trees: 20, Leaves: 16, Offset: float64(version%3) / 40}
}

func modelsOf(t testing.TB, n *Node) (s ModelsStatus) {
	t.Helper()
	s, err := n.Models(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestModelServes: with a bundle in force clicks and conversions are predicted,
// and it is shown; a start with a bundle that must not serve fails and says why.
func TestModelServes(t *testing.T) {
	c := modelConfig(t, bundletest.File(t, shape(3)))
	n := start(t, c)
	w := dial(t, n)
	for _, r := range mixed(200) {
		if status, body, err := w.do(r); err != nil || status != 200 && status != 204 {
			t.Fatalf("%d %s %v", status, body, err)
		}
	}
	s := modelsOf(t, n)
	if len(s.Arms) != 1 || s.Arms[0].Version != 3 || s.Arms[0].Ads == 0 || s.Arms[0].Bytes == 0 || s.Shard[0].Rung != "full" {
		t.Fatalf("%+v", s)
	}
	if a := ask(t, n, "GET", "http://"+n.AdminAddr().String()+"/models", ""); a.status != 200 || !strings.Contains(a.body, `"version": 3`) {
		t.Errorf("GET /models: %d %s", a.status, a.body)
	}
	metrics := ask(t, n, "GET", "http://"+n.AdminAddr().String()+"/metrics", "").body
	if strings.Contains(metrics, "millrace_ads_scored_total 0\n") || !strings.Contains(metrics, "millrace_model_version 3") {
		t.Error("the metrics show no scoring, or not the version")
	}

	for name, text := range map[string][]byte{
		"unknown key": packed(t, shape(4), bundletest.Key("somebody")), "not a bundle": []byte("garbage that is long enough to be looked at, and more"),
	} {
		c := modelConfig(t, text)
		if n, err := Start(context.Background(), c, Options{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: started with it: %v", name, err)
			if n != nil {
				stop(t, n)
			}
		}
	}
}

func packed(t testing.TB, o bundletest.Options, key ed25519.PrivateKey) []byte {
	t.Helper()
	dir := t.TempDir()
	bundletest.Directory(t, dir, o)
	text, err := bundle.Pack(dir, bundle.PackOptions{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestModelDemo: the bundle that comes with the binary is served by its name.
func TestModelDemo(t *testing.T) {
	c := demoConfig(t)
	c.Model.Bundle = "demo"
	n := start(t, c)
	w := dial(t, n)
	for _, r := range mixed(100) {
		if status, body, err := w.do(r); err != nil || status != 200 && status != 204 {
			t.Fatalf("%d %s %v", status, body, err)
		}
	}
	s := modelsOf(t, n)
	if len(s.Arms) != 1 || s.Arms[0].Version == 0 || s.Shard[0].Rung != "full" {
		t.Fatalf("%+v", s)
	}
	if err := n.Reload(); err != nil {
		t.Errorf("a reload with nothing new: %v", err)
	}
}

// TestModelSwapUnderLoad: while traffic goes on, models are swapped again and
// again, and bundles that must not serve are put in between. No request fails,
// each decision's wins name one version, which was in force at some time, what
// is refused changes nothing, and requests go on without allocating.
func TestModelSwapUnderLoad(t *testing.T) {
	const swaps = 12
	c := modelConfig(t, bundletest.File(t, shape(1)))
	n := start(t, c)
	var stopped atomic.Bool
	seen := make(chan map[uint64]int, 1)
	failed := make(chan error, 1)
	go func() { failed <- pump(t, n, dial(t, n), &stopped, seen) }()

	refused, base := 0, uint64(0)
	for v := uint64(2); v < 2+swaps; v++ {
		good := bundletest.File(t, shape(v))
		putBundle(t, c, damaged(good, int(v)))
		if err := n.Reload(); err == nil {
			t.Errorf("a damaged bundle %d was accepted", v)
		}
		refused++
		if s := modelsOf(t, n); s.Arms[0].Version != v-1 || s.LastRefusal == "" {
			t.Fatalf("after a damaged bundle: version %d in force, refusal %q", s.Arms[0].Version, s.LastRefusal)
		}
		putBundle(t, c, good)
		if err := n.Reload(); err != nil {
			t.Fatal(err)
		}
		if s := modelsOf(t, n); s.Arms[0].Version != v || len(s.Arms) != 1 || s.LastRefusal != "" {
			t.Fatalf("after bundle %d: %+v", v, s)
		}
		if live := liveHeap(); v == 3 {
			base = live
		} else if v > 3 && live > base+4<<20 {
			t.Errorf("%d bytes live after bundle %d, %d after bundle 3: old models are kept", live, v, base)
		}
	}
	putBundle(t, c, bundletest.File(t, shape(2)))
	if err := n.Reload(); err == nil || !strings.Contains(err.Error(), "downgraded") {
		t.Errorf("an older bundle: %v", err)
	}
	stopped.Store(true)
	if err := <-failed; err != nil {
		t.Error(err)
	}
	versions := <-seen
	s := modelsOf(t, n)
	total := uint64(0)
	for _, k := range s.Refused {
		total += k
	}
	if total != uint64(refused)+1 || s.Loads != 1+swaps {
		t.Errorf("%d loads and %v refused, want %d and %d", s.Loads, s.Refused, 1+swaps, refused+1)
	}
	t.Logf("decisions by the version of their model: %v; refused: %v", versions, s.Refused)
	if len(versions) < 3 {
		t.Errorf("wins of only %d versions: the test shows too little", len(versions))
	}
}

// damaged is a bundle that must not serve: cut, changed, or unsigned.
func damaged(b []byte, how int) []byte {
	b = bytes.Clone(b)
	switch how % 4 {
	case 0:
		return b[:len(b)/2]
	case 1:
		b[len(b)-3] ^= 1
	case 2:
		clear(b[24:88]) // the signature
	case 3:
		b[100] ^= 0x20 // the manifest
	}
	return b
}

// pump asks until it is stopped: requests of two impressions that only lines
// that pay by click can have, whose tokens name the model.
func pump(t *testing.T, n *Node, w *wire, stopped *atomic.Bool, seen chan map[uint64]int) error {
	versions := map[uint64]int{}
	defer func() { seen <- versions }()
	keys, err := n.keyring()
	if err != nil {
		return err
	}
	signer, requests := keys.NewSigner(), mixed(256)
	for i := 0; !stopped.Load(); i++ {
		status, body, err := w.do(requests[i%len(requests)])
		if err != nil || status != 200 && status != 204 {
			return fmt.Errorf("request %d: %d %s %w", i, status, body, err)
		}
		if status == 204 {
			continue
		}
		one := uint64(0)
		for _, v := range modelVersions(t, signer, body) {
			if one != 0 && v != one {
				return fmt.Errorf("one decision by the models %d and %d", one, v)
			}
			one = v
		}
		if one != 0 {
			versions[one]++
		}
	}
	return nil
}

// tokenVersion is the version that a tracking path's token names; 0 for none.
func tokenVersion(t *testing.T, signer *event.Signer, path []byte) uint64 {
	t.Helper()
	kind, text, _ := bytes.Cut(path, []byte("?t="))
	k, ok := event.KindOf(kind)
	if !ok {
		t.Fatalf("%s is no tracking path", path)
	}
	var tok event.Token
	if _, status := signer.Parse(text, unit.WallTime(time.Now().UnixNano()), k, &tok, nil); status != event.OK {
		t.Fatalf("%s: %v", path, status)
	}
	return tok.Policy.Model
}

// modelVersions are those that the answer's tokens name, wins without a
// prediction left out.
func modelVersions(t *testing.T, signer *event.Signer, body []byte) (versions []uint64) {
	t.Helper()
	for _, m := range trackingURL.FindAllSubmatch(bytes.ReplaceAll(body, []byte(`\`), nil), -1) {
		if v := tokenVersion(t, signer, m[1]); v != 0 {
			versions = append(versions, v)
		}
	}
	return versions
}

// TestAllocModel: with a model in force the server allocates for a request no
// more than without one.
func TestAllocModel(t *testing.T) {
	n := start(t, modelConfig(t, bundletest.File(t, shape(1))))
	w := dial(t, n)
	requests := mixed(512)
	rounds, each := 5, 4000
	if raced {
		each = 1000
	}
	auctions := func(k int) {
		for i := range k {
			if status, _, err := w.do(requests[i%len(requests)]); err != nil || status >= 400 {
				t.Fatal(status, err)
			}
		}
	}
	auctions(each)
	expectFlat(t, "auctions with a model", rounds, each, func(int) { auctions(each) })
	var s struct{ Shards []struct{ Rung string } }
	if err := json.Unmarshal([]byte(ask(t, n, "GET", "http://"+n.AdminAddr().String()+"/models", "").body), &s); err != nil {
		t.Fatal(err)
	}
}
