package feature

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"millrace/codec/strict"
)

func TestDefaultSchema(t *testing.T) {
	s, err := Parse("schema.json", Definition())
	if err != nil {
		t.Fatal(err)
	}
	split := s.Split()
	if split.Columns() != len(s.Columns) || split.Columns() != len(s.Names()) || len(s.SHA256) != 64 {
		t.Fatalf("split %+v of %d columns, sha256 %q", split, len(s.Columns), s.SHA256)
	}
	used := map[Input]bool{}
	for i, c := range s.Columns {
		want := []Group{User, Context, Ad, Cross}[c.Group]
		if !strings.HasPrefix(c.Name, want.String()+".") {
			t.Errorf("column %d, %s, is of group %s", i, c.Name, want)
		}
		for _, in := range c.From {
			used[in] = true
		}
	}
	for i, in := range s.Inputs {
		if !used[Input(i)] {
			t.Errorf("no column reads the input %s", in.Name)
		}
	}
	if Default().SHA256 != s.SHA256 {
		t.Error("the default schema is another one")
	}
}

func TestInputNamesTheNearest(t *testing.T) {
	s := Default()
	if in, err := s.Input("ad.price"); err != nil || s.Inputs[in].Name != "ad.price" {
		t.Fatal(in, err)
	}
	if _, err := s.Input("ad.prise"); err == nil || !strings.Contains(err.Error(), "ad.price") {
		t.Fatalf("%v does not name ad.price", err)
	}
}

// small is a schema to break: %s stands for its columns.
const small = `{"version":1,"freshness":{"static":{"max_age_seconds":0},"stale":{"max_age_seconds":30},
"semi_fresh":{"max_age_seconds":20},"fresh":{"max_age_seconds":10}},
"inputs":[{"name":"user.n","type":"number","freshness":"fresh"},{"name":"user.t","type":"text","freshness":"stale"},
{"name":"ad.n","type":"number","freshness":"static"},{"name":"ad.m","type":"number","freshness":"semi_fresh"}],
"columns":[%s]}`

func TestParseFaults(t *testing.T) {
	cases := []struct{ columns, field, problem string }{
		{``, "columns", "0 columns"},
		{`{"name":"user.n","encode":"numbr","from":["user.n"]}`, "columns[0].encode", `"numbr" is none of`},
		{`{"name":"n","encode":"number","from":["user.n"]}`, "columns[0].name", "is not a name"},
		{`{"name":"user.N","encode":"number","from":["user.n"]}`, "columns[0].name", "is not a name"},
		{`{"name":"user.n","encode":"number","from":[]}`, "columns[0].from", "made of 1 inputs, not 0"},
		{`{"name":"user.n","encode":"number","from":["user.x"]}`, "columns[0].from[0]", "no input"},
		{`{"name":"user.n","encode":"number","from":["ad.n"]}`, "columns[0].from[0]", "is of group ad"},
		{`{"name":"user.n","encode":"number","from":["user.t"]}`, "columns[0].from[0]", "wrong type"},
		{`{"name":"user.n","encode":"hash","from":["user.n"],"size":4}`, "columns[0].from[0]", "wrong type"},
		{`{"name":"user.n","encode":"number","from":["user.n"],"size":4}`, "columns[0].size", "does not take it"},
		{`{"name":"user.n","encode":"number","from":["user.n"],"min":2,"max":1}`, "columns[0]", "clips to"},
		{`{"name":"user.n","encode":"log1p","from":["user.n"],"min":-1}`, "columns[0]", "clips to"},
		{`{"name":"user.n","encode":"bucket","from":["user.n"],"bounds":[2,1]}`, "columns[0].bounds", "not 1 to 1024 rising"},
		{`{"name":"user.n","encode":"category","from":["user.n"]}`, "columns[0].size", "missing or out of range"},
		{`{"name":"user.t","encode":"hash","from":["user.t"],"size":70000}`, "columns[0].size", "missing or out of range"},
		{`{"name":"user.t","encode":"enum","from":["user.t"],"values":["a","B"]}`, "columns[0].values[1]", "capitals"},
		{`{"name":"user.t","encode":"enum","from":["user.t"],"values":["a","b"],"default":2}`, "columns[0].default", "no category"},
		{`{"name":"ad.r","encode":"ratio","from":["ad.n","ad.m"],"prior":0.1}`, "columns[0]", "a ratio needs"},
		{`{"name":"ad.n","encode":"number","from":["ad.n"]},{"name":"user.n","encode":"number","from":["user.n"]}`, "columns[1].name", "stands after"},
		{`{"name":"ad.n","encode":"number","from":["ad.n"]},{"name":"ad.n","encode":"number","from":["ad.n"]}`, "columns[1].name", "twice"},
		{`{"name":"ad.n","encode":"number","from":["ad.n"],"default":1e39}`, "columns[0].default", "beyond float32"},
		{`{"name":"ad.n","encod":"number","from":["ad.n"]}`, "columns[0].encod", "encode"},
	}
	for _, c := range cases {
		_, err := Parse("s.json", fmt.Appendf(nil, small, c.columns))
		faults, ok := strict.FaultsOf(err)
		if !ok {
			t.Errorf("%s: %v", c.columns, err)
			continue
		}
		found := false
		for _, f := range faults {
			found = found || f.Field == c.field && strings.Contains(f.Problem+f.Remedy, c.problem)
		}
		if !found {
			t.Errorf("%s: want %s: %s, got\n%v", c.columns, c.field, c.problem, faults)
		}
	}
	if _, err := Parse("s.json", make([]byte, maxDefinition+1)); err == nil {
		t.Error("a huge definition was read")
	}
}

// FuzzParse: no text panics, and what is accepted can encode.
func FuzzParse(f *testing.F) {
	f.Add(Definition())
	f.Add(fmt.Appendf(nil, small, `{"name":"user.n","encode":"log1p","from":["user.n"]},{"name":"ad.r","encode":"ratio","from":["ad.n","ad.m"],"prior":0.1,"strength":3}`))
	f.Add([]byte(`{"version":1,"columns":[null]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse("s.json", text)
		if err != nil {
			return
		}
		e := s.NewEncoder()
		for g := User; g <= Cross; g++ {
			row := make([]float32, s.Width(g))
			for i := range s.Inputs {
				if s.Inputs[i].Text {
					e.SetText(Input(i), text)
				} else {
					e.SetNumber(Input(i), math.Inf(1))
				}
			}
			e.Encode(g, row)
			for _, v := range row {
				if math.IsInf(float64(v), 0) {
					t.Fatalf("an infinite column of %s", s.Names())
				}
			}
		}
	})
}
