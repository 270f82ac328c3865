package openrtb

import (
	"fmt"
	"testing"
)

// TestFieldsBeyondTheOracle reads what the specification has and the oracle's
// types lack.
func TestFieldsBeyondTheOracle(t *testing.T) {
	r := mustParse(t, `{"id":"a",`+oneImp+`,"site":{"content":{"gtax":9,"genres":["1","2"],"realtime":1,"firstbroadcast":0,"data":[{"name":"n","cids":["c1","c2"]}]}}}`)
	c := &r.Inventory.Content
	if c.GTax != 9 || fmt.Sprint(r.Strs(c.Genres)) != "[1 2]" || c.Realtime != Yes || c.FirstBroadcast != No || c.LiveStream != Unset {
		t.Errorf("content %+v", c)
	}
	if d := r.Data(c.Data); len(d) != 1 || fmt.Sprint(r.Strs(d[0].CIDs)) != "[c1 c2]" {
		t.Errorf("data %+v", d)
	}
}

func TestDetailsAbsentAndWrong(t *testing.T) {
	var d Details
	r := mustParse(t, `{"id":"a",`+oneImp+`}`)
	if l, ok := d.EIDs(r.User.EIDs); l != nil || !ok {
		t.Errorf("absent eids: %v %v", l, ok)
	}
	if c, ok := d.SupplyChain(r.Source.SChain); len(c.Nodes) != 0 || !ok {
		t.Errorf("absent schain: %v %v", c, ok)
	}
	// What is of another type is not ok and empty; the request stands.
	r = mustParse(t, `{"id":"a",`+oneImp+`,"user":{"eids":[{"source":5}]},"device":{"sua":{"mobile":"x","source":1}},
		"source":{"ext":{"schain":{"complete":1,"nodes":[{"asi":"a"},{"asi":"b","hp":"no"}]}}}}`)
	if l, ok := d.EIDs(r.User.EIDs); l != nil || ok {
		t.Errorf("eids: %v %v", l, ok)
	}
	if u, ok := d.UserAgent(r.Device.SUA); ok || u.Source != 0 {
		t.Errorf("sua: %+v %v", u, ok)
	}
	if c, ok := d.SupplyChain(r.Source.SChain); ok || len(c.Nodes) != 0 {
		t.Errorf("a chain without one of its nodes: %+v %v", c, ok)
	}
	// Its container is part of the request's syntax.
	checkRefusals(t, []refusal{
		{`{"id":"a",` + oneImp + `,"user":{"eids":{}}}`, Type, "user.eids: wrong type"},
		{`{"id":"a",` + oneImp + `,"source":{"schain":[]}}`, Type, "source.schain: wrong type"},
		{`{"id":"a",` + oneImp + `,"device":{"sua":"x"}}`, Type, "device.sua: wrong type"},
	})
}

func TestRule21OrderOfTheChain(t *testing.T) {
	r := mustParse(t, `{"id":"a",`+oneImp+`,"source":{"schain":{"ver":"1.0","complete":1,"nodes":[{"asi":"a","sid":"1","hp":1},null,{"asi":"b","sid":"2","hp":0,"rid":"r"}]}}}`)
	var d Details
	c, ok := d.SupplyChain(r.Source.SChain)
	if !ok || c.Complete != 1 || len(c.Nodes) != 2 || !c.Nodes[0].ASI.Equal("a") || c.Nodes[0].HP != Yes || !c.Nodes[1].RID.Equal("r") || c.Nodes[1].HP != No {
		t.Errorf("%+v %v", c, ok)
	}
}
