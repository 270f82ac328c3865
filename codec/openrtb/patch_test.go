package openrtb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"millrace/codec/unit"
)

// The oracle of the patcher: the request decoded by encoding/json, edited as a
// tree by code that knows nothing of bytes, and compared as a tree. An ext that
// nobody edits is compared as text.

type tree = map[string]any

func decodeTree(t testing.TB, body []byte) tree {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var m tree
	if err := dec.Decode(&m); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, body)
	}
	return m
}

func fromJSON(b []byte) (v any) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		panic(err)
	}
	return v
}

// child is the object at a key, made if there is none.
func child(m tree, key string) tree {
	if c, ok := m[key].(tree); ok {
		return c
	}
	c := tree{}
	m[key] = c
	return c
}

func editTree(m tree, e *Edit, move Version) {
	num := func(v any) any { return json.Number(fmt.Sprint(v)) }
	if e.TMax != 0 {
		m["tmax"] = num(e.TMax)
	}
	if e.At != 0 {
		m["at"] = num(int32(e.At))
	}
	if e.Test != KeepFlag {
		m["test"] = num(int(e.Test) - 1)
	}
	if len(e.Cur) > 0 {
		l := []any{}
		for _, c := range e.Cur {
			l = append(l, c.String())
		}
		m["cur"] = l
	}
	if len(e.WSeat) > 0 {
		delete(m, "bseat")
	}
	for key, add := range map[string][]string{"bcat": e.BCat, "badv": e.BAdv, "bapp": e.BApp, "wseat": e.WSeat} {
		if len(add) > 0 {
			l, _ := m[key].([]any)
			for _, s := range add {
				l = append(l, s)
			}
			m[key] = l
		}
	}
	editUser(m, e, move)
	if regs, ok := m["regs"].(tree); ok {
		moveTree(regs, move, "gdpr", "us_privacy", "gpp", "gpp_sid")
	}
	editSource(m, e, move)
	editExt(m, &e.Ext)
	list, _ := m["imp"].([]any)
	kept := []any{}
	for i, v := range list {
		edit := impEdit(e.Imps, int32(i))
		if edit == nil && e.OnlyImps || edit != nil && edit.Drop {
			continue
		}
		if edit == nil {
			edit = new(ImpEdit)
		}
		editImp(v.(tree), edit, move)
		kept = append(kept, v)
	}
	m["imp"] = kept
}

func editUser(m tree, e *Edit, move Version) {
	if user, ok := m["user"].(tree); ok && e.User.Op == Keep {
		if e.AnonymousUser {
			ext, _ := user["ext"].(tree)
			left := tree{}
			if s, ok := user["consent"].(string); ok {
				left["consent"] = s
			} else if s, ok := ext["consent"].(string); ok {
				left["ext"] = tree{"consent": s}
			}
			if m["user"] = left; len(left) == 0 {
				delete(m, "user")
			}
		}
	} else if _, there := m["user"]; there && e.AnonymousUser && e.User.Op == Keep {
		delete(m, "user")
	}
	switch e.User.Op {
	case Set:
		m["user"] = fromJSON(e.User.JSON)
		return
	case Remove:
		delete(m, "user")
	}
	for key, edit := range map[string]TextEdit{"id": e.UserID, "buyeruid": e.BuyerUID} {
		if edit.Op == Set {
			child(m, "user")[key] = strings.ToValidUTF8(string(edit.Text), "\ufffd")
		} else if user, ok := m["user"].(tree); ok && edit.Op == Remove {
			delete(user, key)
		}
	}
	if user, ok := m["user"].(tree); ok {
		moveTree(user, move, "consent", "eids")
	}
}

// wild reports whether a value in a 2.5 place is of no type that can be read.
func wild(name string, v any) bool {
	switch name {
	case "consent", "us_privacy", "gpp":
		_, ok := v.(string)
		return !ok
	case "eids", "gpp_sid":
		_, ok := v.([]any)
		return !ok
	case "schain":
		_, ok := v.(tree)
		return !ok
	}
	return flagInTree(v) == nil
}

func flagInTree(v any) any {
	switch v := v.(type) {
	case bool:
		return map[bool]any{true: json.Number("1"), false: json.Number("0")}[v]
	case json.Number:
		if strings.Trim(v.String(), "0123456789") == "" {
			return v
		}
	case string:
		if v != "" && strings.Trim(v, "0123456789") == "" && (v == "0" || v[0] != '0') {
			return json.Number(v)
		}
	}
	return nil
}

func moveTree(m tree, move Version, names ...string) {
	ext, _ := m["ext"].(tree)
	removed := false
	for _, name := range names {
		v, there := m[name]
		switch old, has := ext[name]; {
		case move == V26 && has && !wild(name, old):
			delete(ext, name)
			removed = true
			if name == "gdpr" || name == "rwdd" {
				old = flagInTree(old)
			}
			if v == nil {
				m[name] = old
			}
		case move == V25 && there:
			delete(m, name)
			if v != nil {
				child(m, "ext")[name] = v
			}
		}
	}
	if removed && len(ext) == 0 {
		delete(m, "ext")
	}
}

func editSource(m tree, e *Edit, move Version) {
	if len(e.SChainNode) == 0 {
		if source, ok := m["source"].(tree); ok {
			moveTree(source, move, "schain")
		}
		return
	}
	source := child(m, "source")
	ext, _ := source["ext"].(tree)
	chain, old := source["schain"], false
	if chain == nil && ext["schain"] != nil {
		chain, old = ext["schain"], true
	}
	delete(source, "schain")
	if _, has := ext["schain"]; has {
		if delete(ext, "schain"); len(ext) == 0 {
			delete(source, "ext")
		}
	}
	c, ok := chain.(tree)
	if !ok {
		complete := "0"
		if chain == nil && e.SChainComplete {
			complete = "1"
		}
		c = tree{"complete": json.Number(complete), "ver": "1.0"}
	}
	nodes, _ := c["nodes"].([]any)
	c["nodes"] = append(nodes, fromJSON(e.SChainNode))
	if move == V25 || move == AsReceived && old {
		child(source, "ext")["schain"] = c
	} else {
		source["schain"] = c
	}
}

func editExt(m tree, e *ExtEdit) {
	switch e.Op {
	case Set:
		m["ext"] = fromJSON(e.JSON)
		return
	case Remove:
		delete(m, "ext")
		return
	}
	for _, x := range e.Members {
		if x.JSON != nil {
			child(m, "ext")[x.Name] = fromJSON(x.JSON)
		} else if ext, ok := m["ext"].(tree); ok {
			delete(ext, x.Name)
		}
	}
}

func editImp(m tree, e *ImpEdit, move Version) {
	if e.HasFloor {
		m["bidfloor"] = json.Number(e.Floor.String())
	}
	if e.FloorCur != (unit.Currency{}) {
		m["bidfloorcur"] = e.FloorCur.String()
	}
	if pmp, ok := m["pmp"].(tree); ok && e.OnlyDeals {
		if deals, ok := pmp["deals"].([]any); ok {
			pmp["deals"] = slices.DeleteFunc(deals, func(d any) bool {
				deal, _ := d.(tree)
				id, ok := deal["id"].(string)
				return !(ok && slices.Contains(e.Deals, id)) && !(id == "" && slices.Contains(e.Deals, ""))
			})
		}
	}
	_, isObject := m["ext"].(tree)
	emptied := false
	if ext, _ := m["ext"].(tree); move == V26 && ext["rwdd"] != nil && !wild("rwdd", ext["rwdd"]) {
		if m["rwdd"] == nil {
			m["rwdd"] = flagInTree(ext["rwdd"])
		}
		if e.Ext.Op == Keep {
			delete(ext, "rwdd")
			emptied = len(ext) == 0 && len(e.Ext.Members) == 0
		}
	}
	editExt(m, &e.Ext)
	if emptied && isObject {
		delete(m, "ext")
	}
	if v, there := m["rwdd"]; there && move == V25 && e.Ext.Op == Keep {
		delete(m, "rwdd")
		if v != nil {
			child(m, "ext")["rwdd"] = v
		}
	}
}

// impEdit is the edit of an impression, or nil.
func impEdit(edits []ImpEdit, imp int32) *ImpEdit {
	for i := range edits {
		if edits[i].Imp == imp {
			return &edits[i]
		}
	}
	return nil
}

// randomEdit is an edit made of the bits of rnd, for a request with n
// impressions.
func randomEdit(rnd *rand.Rand, n int) *Edit {
	one := func(of int) bool { return rnd.IntN(of) == 0 }
	texts := func() (l []string) {
		for range rnd.IntN(3) {
			l = append(l, []string{"IAB25", "a.example", "q\"\\\n", "é", "", "IAB7-1"}[rnd.IntN(6)])
		}
		return l
	}
	values := []string{`{"a":1}`, `"x"`, `[1,{"b":null}]`, `null`, `7`, `{}`}
	value := func() []byte { return []byte(values[rnd.IntN(len(values))]) }
	ext := func() (e ExtEdit) {
		switch rnd.IntN(6) {
		case 0:
			e.JSONEdit = JSONEdit{Set, value()}
		case 1:
			e.Op = Remove
		case 2, 3:
			for range 1 + rnd.IntN(3) {
				m := MemberEdit{Name: []string{"bidder", "gpid", "skadn", "prebid", "a", "data"}[rnd.IntN(6)]}
				if one(2) {
					m.JSON = value()
				}
				if !slices.ContainsFunc(e.Members, func(x MemberEdit) bool { return x.Name == m.Name }) {
					e.Members = append(e.Members, m)
				}
			}
		}
		return e
	}
	text := func() TextEdit {
		return TextEdit{Op(rnd.IntN(3)), []byte([]string{"u1", "\"quoted\"", "", "bad\xffutf8", "é\u2028"}[rnd.IntN(5)])}
	}
	e := &Edit{Version: Version(rnd.IntN(3)), OnlyImps: one(3), AnonymousUser: one(8), SChainComplete: one(2), Ext: ext()}
	if one(2) {
		e.TMax = 1 + rnd.Int32N(500)
	}
	if one(2) {
		e.At = AuctionType(1 + rnd.IntN(3))
	}
	e.Test = Flag(rnd.IntN(3))
	if one(3) {
		e.Cur = []unit.Currency{unit.USD, {'E', 'U', 'R'}}[:1+rnd.IntN(2)]
	}
	if one(2) {
		e.BCat, e.BAdv, e.BApp, e.WSeat = texts(), texts(), texts(), texts()
	}
	if one(6) {
		e.User = JSONEdit{Op(1 + rnd.IntN(2)), []byte(`{"id":"anon","ext":{"x":1}}`)}
	}
	if one(2) {
		e.UserID, e.BuyerUID = text(), text()
	}
	if one(2) {
		e.SChainNode = []byte(`{"asi":"own.example","sid":"1","hp":1}`)
	}
	for i := range n {
		if one(2) {
			m := ImpEdit{Imp: int32(i), Drop: one(4), HasFloor: one(2), Floor: unit.CPMMicros(rnd.Int64N(5_000_000)), OnlyDeals: one(2), Ext: ext()}
			if one(2) {
				m.FloorCur = unit.Currency{'G', 'B', 'P'}
			}
			m.Deals = [][]string{nil, {"deal-premium-001"}, {"1", "deal-open-002", "deal1"}}[rnd.IntN(3)]
			e.Imps = append(e.Imps, m)
		}
	}
	return e
}

// checkPatch holds what the patcher makes of a body against the oracle.
func checkPatch(t testing.TB, p *Patcher, body []byte, seed uint64) (patched bool) {
	t.Helper()
	var r BidRequest
	if !Parse(body, &r).OK() {
		return false
	}
	rnd := rand.New(rand.NewPCG(seed, 11))
	common := randomEdit(rnd, len(r.Imp))
	if seed%4 == 0 {
		common = nil
	}
	if e := p.Begin(&r, body, common); !e.OK() {
		if json.Valid(body) && e.Code != TooMany {
			t.Fatalf("no patch: %v\n%s", e, body)
		}
		return false
	}
	if !json.Valid(body) {
		t.Fatalf("not JSON, but patched: %s", body)
	}
	for range 3 {
		e := randomEdit(rnd, len(r.Imp))
		want := decodeTree(t, body)
		editCommon(want, common, e)
		got := p.Append(nil, e)
		if len(want["imp"].([]any)) == 0 {
			if len(got) != 0 {
				t.Fatalf("a request without impressions: %s", got)
			}
			continue
		}
		comparePatched(t, body, got, want, common, e)
		pieces, size := p.AppendVector(nil, e)
		if v := bytes.Join(pieces, nil); !bytes.Equal(v, got) || size != len(got) {
			t.Fatalf("vector (%d bytes):\n%s\n, appended:\n%s", size, v, got)
		}
		patched = true
	}
	return patched
}

// editCommon edits as the patcher is asked to: the common edits and the
// version's places, then the bidder's own, whose impressions are numbered as
// received.
func editCommon(m tree, common, own *Edit) {
	if common == nil {
		common = new(Edit)
	}
	list, _ := m["imp"].([]any)
	for i, v := range list {
		v.(tree)["\x00"] = i
	}
	editTree(m, common, own.Version)
	at := map[int]int32{}
	for k, v := range m["imp"].([]any) {
		at[v.(tree)["\x00"].(int)] = int32(k)
		delete(v.(tree), "\x00")
	}
	renumbered := *own
	renumbered.Imps = nil
	for _, e := range own.Imps {
		if k, ok := at[int(e.Imp)]; ok {
			e.Imp = k
			renumbered.Imps = append(renumbered.Imps, e)
		}
	}
	editTree(m, &renumbered, AsReceived)
}

func comparePatched(t testing.TB, body, got []byte, want tree, common, e *Edit) {
	t.Helper()
	if !json.Valid(got) {
		t.Fatalf("not JSON: %s\nfrom %s\ncommon %+v\nedit %+v", got, body, common, e)
	}
	tree := decodeTree(t, got)
	if !reflect.DeepEqual(tree, want) {
		w, _ := json.Marshal(want)
		t.Fatalf("got\n%s, want\n%s\nfrom %s\ncommon %+v\nedit %+v", got, w, body, common, e)
	}
	var r BidRequest
	if fault := Parse(got, &r); !fault.OK() && fault.Code != TooDeep {
		t.Fatalf("%v of a patched request\n%s\nfrom %s", fault, got, body)
	}
	// What nobody edits is the same text.
	var raw, was struct {
		Ext                  json.RawMessage
		Site, App, Device, D json.RawMessage
	}
	if json.Unmarshal(got, &raw) == nil && json.Unmarshal(body, &was) == nil {
		if e.Ext.empty() && (common == nil || common.Ext.empty()) && !bytes.Equal(raw.Ext, was.Ext) ||
			!bytes.Equal(raw.Site, was.Site) || !bytes.Equal(raw.App, was.App) || !bytes.Equal(raw.Device, was.Device) {
			t.Fatalf("an untouched object changed\n%s\nfrom %s", got, body)
		}
	}
}

func TestPatchCorpus(t *testing.T) {
	var p Patcher
	n := 0
	for i, body := range append(corpusRequests(t), richRequest) {
		for seed := range uint64(20) {
			if checkPatch(t, &p, body, uint64(i)*20+seed) {
				n++
			}
		}
	}
	t.Logf("%d patched", n)
	if n < 5000 {
		t.Errorf("only %d were patched", n)
	}
}

func TestPatchMutations(t *testing.T) {
	lines := append(corpusRequests(t), richRequest)
	for _, s := range patchSeeds {
		lines = append(lines, []byte(s))
	}
	rnd := rand.New(rand.NewPCG(8, 9))
	n := 8_000
	if testing.Short() {
		n = 2_000
	}
	var p Patcher
	patched := 0
	for range n {
		if checkPatch(t, &p, mutate(rnd, lines), rnd.Uint64()) {
			patched++
		}
	}
	t.Logf("%d of %d patched", patched, n)
}

// patchSeeds are requests whose bytes are awkward to edit.
var patchSeeds = []string{
	`{"id":"a","imp":[{"id":"1","banner":{}}]}`,
	` { "id" : "a" , "imp" : [ { "id" : "1" , "banner" : { } , "ext" : { "rwdd" : true } } , {"id":"2","native":{},"rwdd":1} ] , "user" : { } } `,
	`{"imp":[{"id":"1","banner":{},"bidfloor":1,"bidfloor":2,"ext":{"rwdd":0},"ext":{"rwdd":1,"rwdd":"1"}}],"id":"a","tmax":1,"tmax":2,"user":{"id":"x","id":"y","ext":{"consent":"A","consent":"B"}}}`,
	`{"user":{"id":"1"},"id":"a","user":{"ext":{"consent":"C","eids":[]}},"imp":[{"id":"9","banner":{}}],"imp":[{"id":"1","banner":{}},{"id":"2","banner":{}}],"source":{"ext":{"schain":{"nodes":[]}}}}`,
	`{"id":"a","imp":[{"id":"1","banner":{},"pmp":{"deals":[{"id":"1"},null,{"id":"deal1","id":"1"},{"id":null},{}]}}],"source":{"schain":{"ver":"1.0","nodes":null},"ext":{"schain":5}},"bcat":null,"badv":[],"wseat":[ ]}`,
	`{"id":"a","imp":[{"id":"1","banner":{},"ext":null,"rwdd":null}],"regs":{"gdpr":null,"ext":{"gdpr":"1","us_privacy":"1YNN","gpp":7,"gpp_sid":[2]}},"user":{"consent":"","ext":{"consent":"other"}},"source":null,"ext":"text"}`,
	`{"id":"a","\u0069mp":[{"id":"1","banner":{},"e\u0078t":{"b\u0069dder":{"x":1},"bidder":2}}],"us\u0065r":{"buy\u0065ruid":"b"},"regs":{"gdpr":1,"ext":[]},"source":{"schain":{}}}`,
}

func TestPatchAwkward(t *testing.T) {
	var p Patcher
	for i, s := range patchSeeds {
		for seed := range uint64(400) {
			if !checkPatch(t, &p, []byte(s), seed) && seed == 1 {
				t.Logf("seed body %d: no impression left", i)
			}
		}
	}
}

// TestPatchIsBounded: what is given twice too often is refused, not sorted.
func TestPatchIsBounded(t *testing.T) {
	var r BidRequest
	var p Patcher
	for n, want := range map[int]Code{deadMax: OK, deadMax + 1: TooMany, 100_000: TooMany} {
		body := []byte(`{"id":"a","tmax":1` + strings.Repeat(`,"tmax":1`, n) + `,"imp":[{"id":"1","banner":{}}]}`)
		if e := Parse(body, &r); !e.OK() {
			t.Fatal(e)
		}
		if e := p.Begin(&r, body, nil); e.Code != want {
			t.Errorf("%d times: %v", n, e)
		}
	}
}

func FuzzPatch(f *testing.F) {
	f.Add(richRequest, uint64(1))
	for i, s := range patchSeeds {
		f.Add([]byte(s), uint64(i))
	}
	var p Patcher
	f.Fuzz(func(t *testing.T, body []byte, seed uint64) { checkPatch(t, &p, body, seed) })
}
