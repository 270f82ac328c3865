package http2_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"millrace/codec/http2"
)

// decode runs blocks through a decoder, as lines of "name: value" and the last step.
func decode(d *http2.Decoder, block []byte) (fields []hpack.HeaderField, last http2.Step) {
	var f http2.Field
	d.Begin(block)
	for {
		step := d.Next(&f)
		if step != http2.More {
			return fields, step
		}
		fields = append(fields, hpack.HeaderField{Name: string(f.Name), Value: string(f.Value)})
	}
}

func same(a, b []hpack.HeaderField) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || a[i].Value != b[i].Value {
			return false
		}
	}
	return true
}

// words make fields that repeat, in part, so that tables are used and emptied.
func randomField(r *rand.Rand) hpack.HeaderField {
	names := []string{":status", "content-type", "server", "date", "x-a", "x-b", "set-cookie", "via", "content-length"}
	f := hpack.HeaderField{Name: names[r.IntN(len(names))], Sensitive: r.IntN(10) == 0}
	switch r.IntN(4) {
	case 0:
		f.Value = "200"
	case 1:
		f.Value = fmt.Sprint(r.IntN(20))
	case 2:
		f.Value = strings.Repeat("v", r.IntN(300))
	default:
		b := make([]byte, r.IntN(40))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Value = string(b)
	}
	return f
}

// TestDecoderAgainstTheOraclesEncoder decodes thousands of blocks of x/net's encoder,
// whose table changes its size now and then.
func TestDecoderAgainstTheOraclesEncoder(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		var out bytes.Buffer
		e := hpack.NewEncoder(&out)
		var d http2.Decoder
		d.Init(http2.TableBytes, 1<<20)
		for block := range 400 {
			out.Reset()
			if r.IntN(20) == 0 {
				e.SetMaxDynamicTableSize(uint32(r.IntN(http2.TableBytes + 1)))
			}
			var want []hpack.HeaderField
			for range r.IntN(12) {
				f := randomField(r)
				want = append(want, f)
				if err := e.WriteField(f); err != nil {
					t.Fatal(err)
				}
			}
			if got, last := decode(&d, out.Bytes()); last != http2.Done || !same(got, want) {
				t.Fatalf("seed %d, block %d: %v, %v; want %v", seed, block, last, got, want)
			}
		}
	}
}

// TestAppendField has x/net decode what is encoded once for an endpoint, twice on
// one connection: nothing may depend on a table.
func TestAppendField(t *testing.T) {
	want := []hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "bid.example.com:8443"},
		{Name: ":path", Value: "/openrtb2/auction?id=7"}, {Name: "content-type", Value: "application/json"},
		{Name: "user-agent", Value: "millrace"}, {Name: "x-openrtb-version", Value: "2.6"}, {Name: "x-empty", Value: ""},
		{Name: "x-high", Value: "\xff\xfe{}"}, {Name: "accept-encoding", Value: "gzip"}, {Name: "accept-encoding", Value: "gzip, deflate"},
		{Name: "x-long", Value: strings.Repeat("\x01", 400)},
	}
	var b []byte
	for _, f := range want {
		b = http2.AppendField(b, f.Name, f.Value)
	}
	b = http2.AppendContentLength(b, 1500)
	want = append(want, hpack.HeaderField{Name: "content-length", Value: "1500"})
	d := hpack.NewDecoder(0, nil) // a table of nothing
	if got, err := d.DecodeFull(append(http2.AppendTableSize(nil, 0), b...)); err != nil || !same(got, want) {
		t.Fatalf("%v, %v", got, err)
	}
	for range 2 {
		got, err := d.DecodeFull(b)
		if err != nil || !same(got, want) {
			t.Fatalf("%v, %v", got, err)
		}
	}
	var ours http2.Decoder
	ours.Init(0, 1<<20)
	if got, last := decode(&ours, b); last != http2.Done || !same(got, want) {
		t.Fatalf("%v, %v", got, last)
	}
}

func TestDecoderFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		block string
	}{
		{"index 0", "\x80"},
		{"index beyond both tables", "\xbe"},
		{"name's index beyond both tables", "\x7f\x00\x01a"},
		{"integer cut short", "\xff"},
		{"integer without an end", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"},
		{"integer too large", "\xff\xff\xff\xff\xff\x0f"},
		{"string cut short", "\x00\x05abc"},
		{"no value", "\x00\x01a"},
		{"table larger than granted", "\x3f\xe2\x1f"},
		{"table size behind a field", "\x82\x20"},
		{"Huffman: end of string inside", "\x00\x84\xff\xff\xff\xff\x00"},
		{"Huffman: eight bits of padding", "\x00\x82\x1f\xff\x00"},
		{"Huffman: padding of zeros", "\x00\x81\x18\x00"},
	} {
		var d http2.Decoder
		d.Init(http2.TableBytes, 1<<16)
		if got, last := decode(&d, []byte(c.block)); last != http2.Corrupt {
			t.Errorf("%s: %v, %v", c.name, got, last)
		}
		// The oracle minds a late table size only when there is something in its table.
		if _, err := hpack.NewDecoder(http2.TableBytes, nil).DecodeFull([]byte(c.block)); err == nil && c.block != "\x82\x20" {
			t.Errorf("%s: the oracle accepts it", c.name)
		}
	}
}

// TestDecoderBomb refers many times to one large entry: the block is small, what it
// stands for is not.
func TestDecoderBomb(t *testing.T) {
	block := append([]byte("\x40\x01a\x7f\xa0\x1e"), bytes.Repeat([]byte("v"), 127+30*128-96)...)
	block = append(block, bytes.Repeat([]byte{0xbe}, 16000)...)
	var d http2.Decoder
	d.Init(http2.TableBytes, 16<<10)
	fields, last := decode(&d, block)
	if last != http2.TooLarge || len(fields) > 5 {
		t.Fatalf("%v after %d fields", last, len(fields))
	}
}

// TestDecoderAllocatesNothing decodes blocks whose strings are new each time.
func TestDecoderAllocNothing(t *testing.T) {
	var out bytes.Buffer
	e := hpack.NewEncoder(&out)
	var blocks [][]byte
	for i := range 200 {
		out.Reset()
		_ = e.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
		_ = e.WriteField(hpack.HeaderField{Name: "date", Value: fmt.Sprintf("Mon, 02 Jan 2006 15:04:%05d GMT", i)})
		_ = e.WriteField(hpack.HeaderField{Name: "x-request-id", Value: fmt.Sprint(i * 7919)})
		_ = e.WriteField(hpack.HeaderField{Name: "content-type", Value: "application/json"})
		blocks = append(blocks, bytes.Clone(out.Bytes()))
	}
	var d http2.Decoder
	var f http2.Field
	run := func() {
		d.Init(http2.TableBytes, 16<<10)
		for _, b := range blocks {
			d.Begin(b)
			for d.Next(&f) == http2.More {
			}
		}
	}
	run()
	if n := testing.AllocsPerRun(20, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzHPACK decodes any block after one that fills the table, and compares with
// x/net: the same fields, or a fault in both.
func FuzzHPACK(f *testing.F) {
	f.Add([]byte("\x82\x84\x41\x8a\xa0\xe4\x1d\x13\x9d\x09\xb8\xf0\x1e\x07"), []byte("\xbe\xbf\x20\x3f\xe1\x1f"))
	f.Add([]byte("\x40\x01a\x01b\x40\x01c\x01d"), []byte("\xbe\x7e\x01e\xbe\xbf\x00\x81\x1f\x00"))
	f.Add([]byte("\x3f\x21\x40\x01a\x01b"), []byte("\x10\x01n\x01v"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		const limit = 1 << 16
		var d http2.Decoder
		d.Init(http2.TableBytes, limit)
		theirs := hpack.NewDecoder(http2.TableBytes, nil)
		for i, block := range [][]byte{first, second} {
			got, last := decode(&d, block)
			want, err := theirs.DecodeFull(block)
			if last == http2.TooLarge {
				return
			}
			if last == http2.Done && err != nil || last == http2.Corrupt && err == nil && !lenient(block) {
				t.Fatalf("block %d: %v, theirs: %v", i, last, err)
			}
			if last == http2.Corrupt {
				return
			}
			if !same(got, want) {
				t.Fatalf("block %d: %v, theirs %v", i, got, want)
			}
		}
	})
}

// lenient tells where x/net's decoder may accept what ours does not: integers above
// 2^28 or of more than five bytes, and a change of the table's size behind a field
// while the table is empty.
func lenient(block []byte) bool {
	for _, b := range block {
		if b&0xe0 == 0x20 {
			return true
		}
	}
	return bytes.Contains(block, []byte{0x80, 0x80}) || bytes.Contains(block, []byte{0xff, 0xff})
}

func BenchmarkDecode(b *testing.B) {
	var out bytes.Buffer
	e := hpack.NewEncoder(&out)
	var blocks [2][]byte
	for i := range blocks { // the second one has all in the table
		out.Reset()
		for _, f := range []hpack.HeaderField{
			{Name: ":status", Value: "200"}, {Name: "server", Value: "nginx"}, {Name: "date", Value: "Mon, 02 Jan 2006 15:04:05 GMT"},
			{Name: "content-type", Value: "application/json"}, {Name: "content-length", Value: "600"},
		} {
			_ = e.WriteField(f)
		}
		blocks[i] = bytes.Clone(out.Bytes())
	}
	var d http2.Decoder
	d.Init(http2.TableBytes, 16<<10)
	decode(&d, blocks[0])
	var f http2.Field
	for b.Loop() {
		d.Begin(blocks[1])
		for d.Next(&f) == http2.More {
		}
	}
}
