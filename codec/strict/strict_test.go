package strict

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"millrace/codec/unit"
)

type limits struct {
	BodyBytesMax Bytes
	Idle         time.Duration `yaml:"idle"`
}

type key struct {
	ID     uint8  `yaml:"id"`
	Secret string `yaml:"secret"`
}

type settings struct {
	Listen   netip.AddrPort    `yaml:"listen"`
	Name     string            `yaml:"name"`
	Shards   int               `yaml:"shards"`
	Share    float64           `yaml:"share"`
	Debug    bool              `yaml:"debug"`
	Price    unit.Nanos        `yaml:"price"`
	Floor    unit.CPMMicros    `yaml:"floor"`
	Currency unit.Currency     `yaml:"currency"`
	Keys     []key             `yaml:"keys"`
	Labels   map[string]string `yaml:"labels"`
	Nested   *settings         `yaml:"nested"`
	Limits   limits            `yaml:",inline"`
	Lists    [][]string        `yaml:"lists"`
	hidden   int               `yaml:"hidden"` //lint:ignore U1000 shows that unexported fields are not keys
}

const goodYAML = `# a comment
listen: 127.0.0.1:8080
name: 2026
shards: 4
share: 1e-3
debug: true
price: 0.000000001
floor: "2.5"
currency: eur
body_bytes_max: 64KiB
idle: 7d
keys:
  - {id: 1, secret: a}
  - id: 2
    secret: b
labels: {zone: a}
nested:
  name: x
lists: [[a, b], &anchor [c], *anchor]
`

const goodJSON = `{"listen": "127.0.0.1:8080", "name": 2026, "shards": 4, "share": 1e-3, "debug": true,
 "price": 0.000000001, "floor": "2.5", "currency": "eur", "body_bytes_max": "64KiB", "idle": "7d",
 "keys": [{"id": 1, "secret": "a"}, {"id": 2, "secret": "\u0062"}], "labels": {"zone": "a"},
 "nested": {"name": "x"}, "lists": [["a", "b"], ["c"], ["c"]]}`

func TestDecode(t *testing.T) {
	want := settings{
		Listen: netip.MustParseAddrPort("127.0.0.1:8080"), Name: "2026", Shards: 4, Share: 1e-3, Debug: true,
		Price: 1, Floor: 2_500_000, Currency: unit.Currency{'E', 'U', 'R'},
		Keys: []key{{1, "a"}, {2, "b"}}, Labels: map[string]string{"zone": "a"}, Nested: &settings{Name: "x"},
		Limits: limits{BodyBytesMax: 64 << 10, Idle: 7 * 24 * time.Hour},
		Lists:  [][]string{{"a", "b"}, {"c"}, {"c"}},
	}
	for file, text := range map[string]string{"a.yaml": goodYAML, "a.json": goodJSON, "b.yaml": goodJSON} {
		var got settings
		if _, faults := Decode(file, []byte(text), &got); len(faults) > 0 {
			t.Errorf("%s: %v", file, faults)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", file, got, want)
		}
	}
}

func TestDecodeKeepsDefaults(t *testing.T) {
	got := settings{Name: "default", Shards: 2}
	if _, faults := Decode("a.yaml", []byte("name:\nshards: null\n# nothing else\n"), &got); len(faults) > 0 {
		t.Fatal(faults)
	}
	if got.Name != "default" || got.Shards != 2 {
		t.Errorf("absent and null values changed the defaults: %+v", got)
	}
	for _, empty := range []string{"", "# only a comment\n", "---\n", "{}"} {
		if _, faults := Decode("a.yaml", []byte(empty), &got); len(faults) > 0 {
			t.Errorf("%q: %v", empty, faults)
		}
	}
}

// Every line with a mistake is found in one run, with its place and a remedy.
func TestDecodeListsEveryFault(t *testing.T) {
	text := `listn: 127.0.0.1:8080
listen: nowhere
shards: "4"
shards: 5
share: .nan
debug: yes
price: 1e-3
floor: 0.0000001
currency: euro
idle: 30
keys:
  - {id: 256, secret: true}
  - secret
labels: [a]
nested:
  nested:
    shards: 1.5
  frobnicate: 1
lists: [a, [b]]
body_bytes_max: -1MiB
`
	want := []string{
		`f.yaml:1:1: listn: unknown key; did you mean "listen"?`,
		`f.yaml:2:9: listen: "nowhere": `,
		`f.yaml:3:9: shards: "4" is not a whole number`,
		`f.yaml:4:1: shards: written twice, first in line 3; keep one of them`,
		`f.yaml:5:8: share: ".nan" is not a number`,
		`f.yaml:6:8: debug: "yes" is neither true nor false; write true or false`,
		`f.yaml:7:8: price: "1e-3" is not an exact amount`,
		`f.yaml:8:8: floor: "0.0000001" is not an exact CPM`,
		`f.yaml:9:11: currency: "euro" is not a currency`,
		`f.yaml:10:7: idle: "30" is not a duration; write a number and a unit`,
		`f.yaml:12:10: keys[0].id: "256" is not a whole number in range; write a whole number from 0 to 255`,
		`f.yaml:12:23: keys[0].secret: want text, found a truth value; put quotes`,
		`f.yaml:13:5: keys[1]: want "key: value" lines, found text`,
		`f.yaml:14:9: labels: want "key: value" lines, found a list`,
		`f.yaml:17:13: nested.nested.shards: "1.5" is not a whole number`,
		`f.yaml:18:3: nested.frobnicate: unknown key; known: listen, name,`,
		`f.yaml:19:9: lists[0]: want a list, found text`,
		`f.yaml:20:17: body_bytes_max: "-1MiB" is not a size`,
	}
	var got settings
	_, faults := Decode("f.yaml", []byte(text), &got)
	for i := range max(len(want), len(faults)) {
		switch {
		case i >= len(faults):
			t.Errorf("missing: %s", want[i])
		case i >= len(want):
			t.Errorf("extra: %s", faults[i].Error())
		case !strings.HasPrefix(faults[i].Error(), want[i]):
			t.Errorf("fault %d\n got %s\nwant %s…", i, faults[i].Error(), want[i])
		}
		if i < len(faults) && faults[i].Remedy == "" && faults[i].Field != "listen" {
			t.Errorf("no remedy: %s", faults[i].Error())
		}
	}
}

func TestDecodeSyntaxFaults(t *testing.T) {
	cases := []struct{ file, text, want string }{
		{"a.yaml", "name: [a\nlisten: b", "not valid YAML"},
		{"a.yaml", "name: a\n\tshards: 1", "not valid YAML"},
		{"a.yaml", "name: a\n---\nname: b", "a second document"},
		{"a.yaml", "keys: &k\n  - *k", "stands inside its own anchor"},
		{"a.yaml", "nested: &n {name: a}\nlabels: {<<: *n}", "merge keys"},
		{"a.yaml", "just text", "want \"key: value\" lines"},
		{"a.json", `{"name": "a",}`, "a.json:1:14: not valid JSON: want a key in double quotes"},
		{"a.json", "{\n \"shards\": 01}", "a.json:2:"},
		{"a.json", `{"name": "a"} x`, "text after the end"},
		{"a.json", `{"name": "\x"}`, "wrong escape"},
		{"a.json", `name: a`, "not valid JSON"},
		{"a.json", `{"name": `, "ends too early"},
		{"a.json", strings.Repeat("[", 1000), "nested more than"},
	}
	for _, c := range cases {
		var got settings
		_, faults := Decode(c.file, []byte(c.text), &got)
		if len(faults) == 0 || !strings.Contains(faults.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.text, faults, c.want)
		}
	}
}

func TestDecodeAliasBomb(t *testing.T) {
	type tree struct {
		T []tree `yaml:"t"`
	}
	var b strings.Builder
	b.WriteString("t:\n  - &a0 {}\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&b, "  - &a%d {t: [%s]}\n", i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	var got tree
	_, faults := Decode("bomb.yaml", []byte(b.String()), &got)
	if len(faults) != 1 || !strings.Contains(faults[0].Problem, "aliases") {
		t.Fatalf("got %v", faults)
	}
}

func TestSourceAt(t *testing.T) {
	var got settings
	source, _ := Decode("a.yaml", []byte(goodYAML), &got)
	for path, want := range map[string][2]int{
		"name": {3, 7}, "keys[1].secret": {15, 13}, "keys[0]": {13, 5}, "nested.name": {18, 9}, "lists[0][1]": {19, 13},
		"keys[0].missing": {13, 5}, "keys[9]": {13, 3}, "nothing.here": {2, 1}, "": {2, 1},
	} {
		if line, column := source.At(path); [2]int{line, column} != want {
			t.Errorf("At(%q) = %d, %d; want %v", path, line, column, want)
		}
	}
	f := source.Fault("keys[1].secret", "too short", "use 32 bytes")
	if f.Error() != "a.yaml:15:13: keys[1].secret: too short; use 32 bytes" {
		t.Error(f.Error())
	}
}

func TestNearest(t *testing.T) {
	known := []string{"line_items", "frequency_cap", "country", "device_type"}
	for text, want := range map[string]string{
		"lineitems": "line_items", "line-items": "line_items", "frequncy_cap": "frequency_cap", "contry": "country",
		"cuontry": "country", "DeviceType": "device_type", "zzz": "", "": "",
	} {
		if got := Nearest(text, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestFaultsErr(t *testing.T) {
	if err := Faults(nil).Err(); err != nil {
		t.Errorf("no faults are an error: %v", err)
	}
	err := fmt.Errorf("load: %w", Faults{{File: "a", Problem: "b"}}.Err())
	var fs Faults
	if got, ok := FaultsOf(err); !ok || len(got) != 1 || !errors.As(err, &fs) {
		t.Errorf("FaultsOf(%v) = %v, %v", err, got, ok)
	}
	if text := make(Faults, 5000).Error(); !strings.Contains(text, "and 4900 more") {
		t.Error("a long list is not cut")
	}
}

func TestBytesRoundTrip(t *testing.T) {
	for _, text := range []string{"0B", "512B", "64KiB", "16MiB", "3GiB"} {
		b, ok := parseBytes(text)
		if !ok || b.String() != text {
			t.Errorf("%q → %d → %q", text, b, b.String())
		}
	}
	for _, text := range []string{"", "KiB", "1.5MiB", "9999999TiB", "1 bit", "-1"} {
		if b, ok := parseBytes(text); ok {
			t.Errorf("%q is taken as %d", text, b)
		}
	}
}

// FuzzDecode: no text takes the decoder down, and what JSON the reader accepts
// it reads as yaml.v3 does.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(goodYAML))
	f.Add([]byte(goodJSON))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("{\"name\": \"\\ud800\", \"shards\": -0}"))
	f.Add([]byte("? [a]\n: b\n<<: {}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<16 {
			return
		}
		var a, b settings
		_, faultsYAML := Decode("a.yaml", text, &a)
		for _, x := range faultsYAML {
			if x.Problem == "" {
				t.Fatalf("a fault without a problem: %+v", x)
			}
		}
		_, faultsJSON := Decode("a.json", text, &b)
		if len(faultsJSON) == 0 && len(faultsYAML) == 0 && looksLikeJSON(text) && !reflect.DeepEqual(a, b) {
			t.Fatalf("YAML %+v\nJSON %+v", a, b)
		}
	})
}

func benchmarkText(json bool) []byte {
	var b strings.Builder
	b.WriteString("{\"keys\": [")
	for i := range 2000 {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "{\"id\": %d, \"secret\": \"a secret of some length %d\"}\n", i%200, i)
	}
	b.WriteString("]}")
	if json {
		return []byte(b.String())
	}
	return []byte("# not JSON\n" + b.String())
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct {
		name string
		json bool
	}{{"JSON", true}, {"YAML", false}} {
		b.Run(c.name, func(b *testing.B) {
			text := benchmarkText(c.json)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				var s settings
				if _, faults := Decode("bench", text, &s); len(faults) > 0 {
					b.Fatal(faults)
				}
			}
		})
	}
}

// TestDecodeOneValue: where one value is wanted, keys and lists are refused with
// a remedy, whatever the type.
func TestDecodeOneValue(t *testing.T) {
	for _, field := range []string{"listen", "name", "shards", "share", "debug", "price", "floor", "currency", "idle", "body_bytes_max"} {
		for _, value := range []string{"{a: 1}", "[1]"} {
			var got settings
			_, faults := Decode("f.yaml", []byte(field+": "+value), &got)
			if len(faults) != 1 || faults[0].Field != field || faults[0].Remedy == "" || !strings.Contains(faults[0].Problem, ", found a ") {
				t.Errorf("%s: %s: %v", field, value, faults)
			}
		}
	}
}
