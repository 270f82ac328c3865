package feature

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"millrace/codec/strict"
)

// Bounds on a definition: far above any that is of use, and low enough that a
// hostile one costs nothing.
const (
	maxDefinition = 1 << 20
	maxColumns    = 2048
	maxCategories = 1 << 16
	maxAgeSeconds = 10 * 365 * 86400
)

type schemaFile struct {
	Version   uint32
	Freshness struct{ Static, Stale, SemiFresh, Fresh freshnessFile }
	Inputs    []inputFile
	Columns   []columnFile
}

type freshnessFile struct{ MaxAgeSeconds int64 }

type inputFile struct{ Name, Type, Freshness, About string }

type columnFile struct {
	Name, Encode    string
	From            []string
	Default         *float64
	Min, Max        *float64
	Bounds          []float64
	Size            *int
	Values          []string
	Prior, Strength *float64
}

type builder struct {
	source *strict.Source
	faults strict.Faults
	schema *Schema
	maxAge [len(freshnessNames)]time.Duration
}

func (b *builder) fault(path, problem, remedy string) {
	b.faults = append(b.faults, b.source.Fault(path, problem, remedy))
}

func (b *builder) build(f *schemaFile) {
	if f.Version == 0 {
		b.fault("version", "is missing or 0", "count versions from 1")
	}
	b.freshness(f)
	if len(f.Columns) == 0 || len(f.Columns) > maxColumns || len(f.Inputs) > maxColumns {
		b.fault("columns", fmt.Sprintf("%d columns of %d inputs", len(f.Columns), len(f.Inputs)),
			fmt.Sprintf("write 1 to %d of each", maxColumns))
		return
	}
	b.inputs(f.Inputs)
	b.columns(f.Columns)
	if len(b.faults) == 0 {
		b.schema.compile()
	}
}

func (b *builder) freshness(f *schemaFile) {
	classes := [...]freshnessFile{f.Freshness.Static, f.Freshness.Stale, f.Freshness.SemiFresh, f.Freshness.Fresh}
	for i, c := range classes {
		path := "freshness." + freshnessNames[i]
		switch {
		case Freshness(i) == Static && c.MaxAgeSeconds != 0:
			b.fault(path, "static values do not age", "write 0")
		case Freshness(i) != Static && (c.MaxAgeSeconds <= 0 || c.MaxAgeSeconds > maxAgeSeconds):
			b.fault(path, fmt.Sprintf("a maximum age of %d s", c.MaxAgeSeconds), fmt.Sprintf("write max_age_seconds from 1 to %d", maxAgeSeconds))
		case Freshness(i) > Stale && c.MaxAgeSeconds > classes[i-1].MaxAgeSeconds:
			b.fault(path, "is more patient than "+freshnessNames[i-1], "classes go from stale over semi_fresh to fresh")
		}
		b.maxAge[i] = time.Duration(c.MaxAgeSeconds) * time.Second
	}
}

// group is that of a name, which must be "group.word".
func (b *builder) group(path, name string) (Group, bool) {
	first, rest, _ := strings.Cut(name, ".")
	g := slices.Index(groupNames[:], first)
	if g < 0 || rest == "" || strings.ContainsFunc(rest, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_'
	}) {
		b.fault(path, fmt.Sprintf("%q is not a name", name), "write user., context., ad. or cross. and a word of a–z, 0–9 and _")
		return 0, false
	}
	return Group(g), true
}

func (b *builder) inputs(list []inputFile) {
	s := b.schema
	s.inputByName = make(map[string]Input, len(list))
	last := User
	for i, in := range list {
		path := fmt.Sprintf("inputs[%d]", i)
		g, _ := b.group(path+".name", in.Name)
		if _, twice := s.inputByName[in.Name]; twice {
			b.fault(path+".name", fmt.Sprintf("%q is written twice", in.Name), "remove one of them")
		}
		if g < last {
			b.fault(path+".name", fmt.Sprintf("%q stands after inputs of %s", in.Name, last), "order the groups: user, context, ad, cross")
		}
		last = max(last, g)
		if in.Type != "number" && in.Type != "text" {
			b.fault(path+".type", fmt.Sprintf("%q", in.Type), "write number or text")
		}
		class := max(0, b.oneOf(path+".freshness", in.Freshness, freshnessNames[:]))
		s.inputByName[in.Name] = Input(i)
		s.Inputs = append(s.Inputs, InputInfo{Name: in.Name, Group: g, Text: in.Type == "text",
			Freshness: Freshness(class), MaxAge: b.maxAge[class], About: in.About})
	}
}

func (b *builder) oneOf(path, text string, known []string) int {
	i := slices.Index(known, text)
	if i < 0 {
		b.fault(path, fmt.Sprintf("%q is none of %s", text, strings.Join(known, ", ")), strict.Remedy(text, known))
	}
	return i
}

func (b *builder) columns(list []columnFile) {
	s := b.schema
	seen := make(map[string]bool, len(list))
	last := User
	for i := range list {
		f := &list[i]
		path := fmt.Sprintf("columns[%d]", i)
		g, ok := b.group(path+".name", f.Name)
		if seen[f.Name] {
			b.fault(path+".name", fmt.Sprintf("%q is written twice", f.Name), "remove one of them")
		}
		seen[f.Name] = true
		if g < last {
			b.fault(path+".name", fmt.Sprintf("%q stands after columns of %s", f.Name, last), "order the groups: user, context, ad, cross")
		}
		last = max(last, g)
		e := b.oneOf(path+".encode", f.Encode, encodingNames[:])
		if e < 0 || !ok {
			continue
		}
		c := Column{Name: f.Name, Group: g, Encoding: Encoding(e)}
		b.from(path, f, &c)
		b.parameters(path, f, &c)
		b.defaultOf(path, f, &c)
		s.Columns = append(s.Columns, c)
		s.names = append(s.names, c.Name)
	}
}

func (b *builder) from(path string, f *columnFile, c *Column) {
	want, text := 1, c.Encoding == Enum || c.Encoding == Hash
	if c.Encoding == Ratio {
		want = 2
	}
	if len(f.From) != want {
		b.fault(path+".from", fmt.Sprintf("%s is made of %d inputs, not %d", c.Encoding, want, len(f.From)), "name them; ratio takes successes, then trials")
		return
	}
	for i, name := range f.From {
		at := fmt.Sprintf("%s.from[%d]", path, i)
		in, err := b.schema.Input(name)
		if err != nil {
			b.fault(at, err.Error(), "name one of inputs")
			continue
		}
		info := b.schema.Inputs[in]
		if info.Group != c.Group {
			b.fault(at, fmt.Sprintf("%s is of group %s, the column of %s", name, info.Group, c.Group), "a group is encoded on its own: declare an input of this group")
		}
		if info.Text != text {
			b.fault(at, fmt.Sprintf("%s has the wrong type for %s", name, c.Encoding), "enum and hash read text, the others a number")
		}
		c.From = append(c.From, in)
	}
}

// parameters sets what the encoding takes and refuses what it does not.
func (b *builder) parameters(path string, f *columnFile, c *Column) {
	given := map[string]bool{"min": f.Min != nil, "max": f.Max != nil, "bounds": f.Bounds != nil, "size": f.Size != nil,
		"values": f.Values != nil, "prior": f.Prior != nil, "strength": f.Strength != nil}
	for _, key := range takes[c.Encoding] {
		delete(given, key)
	}
	for _, key := range []string{"min", "max", "bounds", "size", "values", "prior", "strength"} {
		if given[key] {
			b.fault(path+"."+key, c.Encoding.String()+" does not take it", "remove it")
		}
	}
	switch c.Encoding {
	case Number, Log1p:
		b.clip(path, f, c)
	case Bucket:
		c.Bounds = f.Bounds
		if len(c.Bounds) == 0 || len(c.Bounds) > 1024 || !slices.IsSorted(c.Bounds) || len(slices.Compact(slices.Clone(c.Bounds))) != len(c.Bounds) {
			b.fault(path+".bounds", "the bounds of a bucket column are not 1 to 1024 rising numbers", "write them in rising order, each once")
		}
	case Category, Hash:
		if f.Size == nil || *f.Size < 2 || *f.Size > maxCategories {
			b.fault(path+".size", "is missing or out of range", fmt.Sprintf("write a number of categories from 2 to %d", maxCategories))
			return
		}
		c.Size = *f.Size
	case Enum:
		b.values(path, f, c)
	case Ratio:
		if f.Prior == nil || *f.Prior < 0 || *f.Prior > 1 || f.Strength == nil || *f.Strength <= 0 || *f.Strength > 1e9 {
			b.fault(path, "a ratio needs a prior in [0, 1] and a strength above 0", "write the expected rate and how many trials it weighs")
			return
		}
		c.Prior, c.Strength = *f.Prior, *f.Strength
	}
}

var takes = [...][]string{Number: {"min", "max"}, Log1p: {"min", "max"}, Bucket: {"bounds"}, Category: {"size"},
	Enum: {"values"}, Hash: {"size"}, Ratio: {"prior", "strength"}}

func (b *builder) clip(path string, f *columnFile, c *Column) {
	c.Min, c.Max = -math.MaxFloat32, math.MaxFloat32
	if c.Encoding == Log1p {
		c.Min = 0
	}
	low := c.Min
	if f.Min != nil {
		c.Min = *f.Min
	}
	if f.Max != nil {
		c.Max = *f.Max
	}
	if c.Min < low || c.Max > math.MaxFloat32 || c.Min >= c.Max {
		b.fault(path, fmt.Sprintf("clips to [%g, %g]", c.Min, c.Max), "min must be below max, both finite in float32, and min ≥ 0 for log1p")
	}
}

func (b *builder) values(path string, f *columnFile, c *Column) {
	c.Values, c.Size = f.Values, len(f.Values)
	if len(f.Values) < 2 || len(f.Values) > 1024 {
		b.fault(path+".values", "an enum has 2 to 1024 values", "list them")
		return
	}
	seen := make(map[uint64]bool, len(f.Values))
	for i, v := range f.Values {
		d := xxhash.Sum64String(v)
		if v == "" || len(v) > maxText || v != foldString(v) || seen[d] {
			b.fault(fmt.Sprintf("%s.values[%d]", path, i), fmt.Sprintf("%q is empty, too long, repeated or has capitals", v), "texts are compared in lower case: write each so, once")
		}
		seen[d] = true
	}
}

func (b *builder) defaultOf(path string, f *columnFile, c *Column) {
	c.Default = float32(math.NaN())
	if f.Default == nil {
		return
	}
	v := *f.Default
	c.Default = float32(v)
	switch {
	case math.IsInf(float64(c.Default), 0):
		b.fault(path+".default", "is beyond float32", "write a smaller number, or null")
	case c.Categorical() && (v != math.Trunc(v) || v < 0 || v >= float64(c.Size)):
		b.fault(path+".default", fmt.Sprintf("%g is no category of the column", v), "write a category's number, or null")
	}
}
