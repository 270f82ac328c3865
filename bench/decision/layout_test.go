//go:build !race

// The race detector's build lays memory out in its own way: what lies where is
// asked of the build that serves.

package decision

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"millrace/models/bundle/bundletest"
	"millrace/shards"
	"millrace/state/campaign/catalogtest"
)

// area is memory that one shard's core reaches and may write.
type area struct {
	first, end uintptr
	shard      int
	what       string
}

// line is the hardware's unit of ownership.
const line = 64

// shared are the types that shards share and only read, and those that the
// package shards owns and tests: the walk ends at them. So it does at a signer's
// hash states, whose place is the standard library's affair.
var shared = []string{
	"campaign.Snapshot", "pace.Terms", "feature.Schema", "selection.inputs", "selection.Model", "gbdt.Compiled", "event.Keyring", "serve.Metrics", "ledger.Recovered", "time.Location",
	"shards.Shard[", "shards.CounterBlock", "decision.client", "hmac.HMAC",
}

// aside are parts that no decision writes: written once, or by leases, messages
// between shards, catalogs, and the turn of an hour; and the request, which is its connection's.
var aside = []string{
	".decision.base", ".decision.answer.Bids[]", ".macs.ipad", ".macs.opad", ".sel.request", ".sel.imp", ".seen.pages",
	".activity.open", ".rec.Name",
	".broker.dry", ".broker.out", ".broker.zones", ".broker.homes", ".broker.hungry", ".broker.hungryFor", ".broker.ops",
	".broker.flight", ".broker.dead", ".broker.terms", ".broker.ids", ".broker.recovered",
}

// walker lists what is reachable from a core, by reflection: every struct,
// slice (to its capacity) and pointed-to value, exported or not.
type walker struct {
	shard int
	seen  map[uintptr]reflect.Type
	areas []area
}

func (w *walker) add(p unsafe.Pointer, size uintptr, what string) {
	if size > 0 {
		w.areas = append(w.areas, area{uintptr(p), uintptr(p) + size, w.shard, what})
	}
}

// pointer walks what p points to, once.
func (w *walker) pointer(v reflect.Value, path string) {
	t := v.Type().Elem()
	name := t.String()
	if v.IsNil() || slices.ContainsFunc(shared, func(s string) bool { return strings.HasPrefix(name, s) }) || w.seen[v.Pointer()] == t {
		return
	}
	w.seen[v.Pointer()] = t
	first, end := written(t)
	w.add(unsafe.Add(v.UnsafePointer(), first), end-first, path+" "+name)
	w.value(v.Elem(), path)
}

// written is the part of a type that anybody writes: without the pads that it
// begins and ends with.
func written(t reflect.Type) (first, end uintptr) {
	end = t.Size()
	if t.Kind() != reflect.Struct || t.NumField() < 2 {
		return 0, end
	}
	pad := reflect.TypeFor[shards.Pad]()
	if t.Field(0).Type == pad {
		first = pad.Size()
	}
	if last := t.Field(t.NumField() - 1); last.Type == pad {
		end = last.Offset
	}
	return first, end
}

func (w *walker) value(v reflect.Value, path string) {
	if slices.ContainsFunc(aside, func(s string) bool { return strings.HasSuffix(path, s) }) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		w.pointer(v, path)
	case reflect.Interface:
		if !v.IsNil() && v.Elem().Kind() == reflect.Pointer {
			w.pointer(v.Elem(), path)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			w.value(v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	case reflect.Array:
		w.elements(v, path)
	case reflect.Slice:
		if v.Cap() > 0 && v.Type().Elem().Size() > 0 {
			w.add(v.UnsafePointer(), uintptr(v.Cap())*v.Type().Elem().Size(), path+" "+v.Type().String())
			w.elements(v.Slice(0, v.Len()), path+"[]")
		}
	}
}

// elements walks those that can lead further.
func (w *walker) elements(v reflect.Value, path string) {
	switch v.Type().Elem().Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Struct, reflect.Slice, reflect.Array:
		for i := range v.Len() {
			w.value(v.Index(i), path)
		}
	}
}

// TestLayoutNoLineWrittenByTwoShards: after the shards have decided for a
// while, no cache line holds memory of two cores. Everything that a core
// reaches is looked at but what is immutable or aside; the group's own part is tested in
// package shards. Maps are not looked into: they are written when a line or a
// creative is first heard of, never by a decision.
func TestLayoutNoLineWrittenByTwoShards(t *testing.T) {
	o := catalogtest.Options{Lines: 1000, Seed: 1}
	t.Run("synthetic", func(t *testing.T) { expectApart(t, newRig(t, 3, catalogtest.Snapshot(o), synthetic(64, o), nil)) })
	t.Run("model", func(t *testing.T) {
		expectApart(t, newRig(t, 3, catalogtest.Compete(catalogtest.Snapshot(o)), synthetic(64, o), bundletest.Synthetic(bundletest.Usual())))
	})
	t.Run("demo", func(t *testing.T) { expectApart(t, newRig(t, 3, demoSnapshot(t), mix(64), nil)) })
}

func expectApart(t *testing.T, r *rig) {
	t.Helper()
	r.run(t, 2000)
	var all []area
	for i, core := range r.cores {
		r.on(t, i, func() {
			w := walker{shard: i, seen: map[uintptr]reflect.Type{}}
			w.pointer(reflect.ValueOf(core), "core")
			all = append(all, w.areas...)
		})
	}
	slices.SortFunc(all, func(a, b area) int {
		if a.first != b.first {
			return int(int64(a.first) - int64(b.first))
		}
		return int(int64(a.end) - int64(b.end))
	})
	faults := map[string]bool{}
	for i := range all {
		for j := i + 1; j < len(all) && all[j].first/line <= (all[i].end-1)/line; j++ {
			if a, b := all[i], all[j]; a.shard != b.shard {
				faults[fmt.Sprintf("%s and %s", a.what, b.what)] = true
			}
		}
	}
	for f := range faults {
		t.Errorf("two shards have a line in common: %s", f)
	}
	t.Logf("%d areas of memory", len(all))
	if len(all) < 120 {
		t.Errorf("only %d areas: the walk shows too little", len(all))
	}
}
