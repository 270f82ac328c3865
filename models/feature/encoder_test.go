package feature

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

func parse(t testing.TB, columns string) *Schema {
	t.Helper()
	s, err := Parse("s.json", fmt.Appendf(nil, small, columns))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func input(t testing.TB, s *Schema, name string) Input {
	t.Helper()
	in, err := s.Input(name)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestEncode(t *testing.T) {
	nan := float32(math.NaN())
	inf := math.Inf(1)
	cases := []struct {
		column string
		set    any
		want   float32
	}{
		{`"encode":"number","min":-1,"max":5`, 2.5, 2.5},
		{`"encode":"number","min":-1,"max":5`, 7.0, 5},
		{`"encode":"number","min":-1,"max":5`, -inf, -1},
		{`"encode":"number"`, inf, math.MaxFloat32},
		{`"encode":"number"`, math.NaN(), nan},
		{`"encode":"number","default":3`, math.NaN(), 3},
		{`"encode":"log1p"`, math.E - 1, 1},
		{`"encode":"log1p"`, -4.0, 0},
		{`"encode":"bucket","bounds":[1,2,3]`, 0.5, 0},
		{`"encode":"bucket","bounds":[1,2,3]`, 2.0, 2},
		{`"encode":"bucket","bounds":[1,2,3]`, inf, 3},
		{`"encode":"category","size":4`, 3.0, 3},
		{`"encode":"category","size":4`, 4.0, nan},
		{`"encode":"category","size":4`, 1.5, nan},
		{`"encode":"category","size":4,"default":1`, -1.0, 1},
		{`"encode":"enum","values":["a","bc"]`, "BC", 1},
		{`"encode":"enum","values":["a","bc"]`, "b", nan},
		{`"encode":"enum","values":["a","bc"]`, "", nan},
	}
	for _, c := range cases {
		name := "user.n"
		if _, text := c.set.(string); text {
			name = "user.t"
		}
		s := parse(t, fmt.Sprintf(`{"name":%q,"from":[%q],%s}`, name, name, c.column))
		e := s.NewEncoder()
		in := input(t, s, name)
		switch v := c.set.(type) {
		case float64:
			e.SetNumber(in, v)
		case string:
			e.SetString(in, v)
		}
		var row [1]float32
		e.Encode(User, row[:])
		if math.Float32bits(row[0]) != math.Float32bits(c.want) && !(row[0] != row[0] && c.want != c.want) {
			t.Errorf("%s of %v is %v, want %v", c.column, c.set, row[0], c.want)
		}
	}
}

func TestEncodeRatio(t *testing.T) {
	s := parse(t, `{"name":"ad.r","encode":"ratio","from":["ad.n","ad.m"],"prior":0.25,"strength":4}`)
	e := s.NewEncoder()
	n, m := input(t, s, "ad.n"), input(t, s, "ad.m")
	for _, c := range []struct{ successes, trials, want float64 }{{0, 0, 0.25}, {3, 12, 0.25}, {12, 12, 13.0 / 16}, {9, 1, 10.0 / 13}, {-1, -1, 0.25}} {
		e.SetNumber(n, c.successes)
		e.SetNumber(m, c.trials)
		var row [1]float32
		e.Encode(Ad, row[:])
		if row[0] != float32(c.want) {
			t.Errorf("%v of %v is %v, want %v", c.successes, c.trials, row[0], c.want)
		}
	}
}

// TestHashFoldsAndCuts: case and what stands beyond the limit do not matter.
func TestHashFoldsAndCuts(t *testing.T) {
	s := parse(t, `{"name":"user.t","encode":"hash","from":["user.t"],"size":65536}`)
	e := s.NewEncoder()
	in := input(t, s, "user.t")
	of := func(text string) float32 {
		var row [1]float32
		e.SetText(in, []byte(text))
		e.Encode(User, row[:])
		return row[0]
	}
	if of("iOS") != of("IOS") || of("ios") == of("iot") {
		t.Error("texts are not compared in lower case")
	}
	long := strings.Repeat("x", maxText)
	if of(long) != of(long+"y") || of(long) == of(long[1:]) {
		t.Error("texts are not cut at the limit")
	}
	if of("É") == of("é") {
		t.Error("letters beyond ASCII are folded: the trainer does not")
	}
}

func TestMissingAndStaleAreCounted(t *testing.T) {
	s := parse(t, `{"name":"user.n","encode":"number","from":["user.n"],"default":7},{"name":"user.t","encode":"hash","from":["user.t"],"size":9}`)
	e := s.NewEncoder()
	n, text := input(t, s, "user.n"), input(t, s, "user.t")
	var row [2]float32
	e.Encode(User, row[:]) // both missing
	e.SetNumberAged(n, 1, 10*time.Second)
	e.SetTextAged(text, []byte("a"), 30*time.Second)
	e.Encode(User, row[:]) // both just in time
	if row[0] != 1 || row[1] != row[1] {
		t.Errorf("values at their maximum age are not used: %v", row)
	}
	e.SetNumberAged(n, 1, 10*time.Second+1)
	e.SetTextAged(text, []byte("a"), 30*time.Second+1)
	e.Encode(User, row[:]) // both stale
	if row[0] != 7 || row[1] == row[1] {
		t.Errorf("stale values are used: %v", row)
	}
	e.Reset(User)
	e.Encode(User, row[:])
	e.SetNumberAged(n, math.NaN(), time.Hour)
	e.Missing(text)
	e.Encode(User, row[:])
	c := e.Counters()
	for i := range row {
		if c.Missing[i] != 3 || c.Stale[i] != 1 {
			t.Errorf("column %d: %d missing, %d stale; want 3 and 1", i, c.Missing[i], c.Stale[i])
		}
	}
}

// TestLn: our logarithm is within an ulp or so of the library's.
func TestLn(t *testing.T) {
	for x := 1.0; x < 1e300; x *= 1.0037 {
		if got, want := ln(x), math.Log(x); math.Abs(got-want) > 3e-16*math.Max(1, want) {
			t.Fatalf("ln(%v) = %v, want %v", x, got, want)
		}
	}
}

// fill sets every input of the default schema to something.
func fill(s *Schema, e *Encoder, text []byte) {
	for i := range s.Inputs {
		if s.Inputs[i].Text {
			e.SetText(Input(i), text)
		} else {
			e.SetNumberAged(Input(i), float64(i%7), time.Minute)
		}
	}
}

func TestEncodeAlloc(t *testing.T) {
	s := Default()
	e := s.NewEncoder()
	row := make([]float32, len(s.Columns))
	segment := input(t, s, "user.segment")
	text := []byte("Publisher-17.example.com")
	if n := testing.AllocsPerRun(100, func() {
		at := 0
		for g := User; g <= Cross; g++ {
			e.Reset(g)
			fill(s, e, text)
			e.SetString(segment, "x")
			e.Encode(g, row[at:at+s.Width(g)])
			at += s.Width(g)
		}
	}); n != 0 {
		t.Fatalf("%v allocations a row", n)
	}
}

var sink float32

func BenchmarkEncode(b *testing.B) {
	s := Default()
	for g := User; g <= Cross; g++ {
		b.Run(g.String(), func(b *testing.B) {
			e := s.NewEncoder()
			row := make([]float32, s.Width(g))
			fill(s, e, []byte("publisher-17.example.com"))
			for b.Loop() {
				e.Encode(g, row)
			}
			sink += row[0]
		})
	}
}
