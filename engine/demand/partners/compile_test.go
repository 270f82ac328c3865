package partners

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
)

var update = flag.Bool("update", false, "rewrite the expected faults")

// noon is the Monday on which the tests' rates are a day old.
const noon = unit.WallTime(1_780_315_200e9)

func exampleText(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func check(t testing.TB, text string, o Options) *Book {
	t.Helper()
	if o.Now == 0 {
		o.Now = noon
	}
	b, faults := Check("demand.yaml", []byte(text), o)
	if b == nil {
		t.Fatal(faults.Error())
	}
	return b
}

func TestExampleIsGood(t *testing.T) {
	b := check(t, string(exampleText(t)), Options{Region: "us-east"})
	p := b.Partner(b.Order[0])
	if p.Name != "bigdsp" || !p.Near || p.Endpoint.Region != "us-east" || p.Adjust != 900_000 || p.Endpoint.Headers[0] != (Header{"X-Exchange", "millrace"}) {
		t.Errorf("%+v", p)
	}
	if b = check(t, string(exampleText(t)), Options{Region: "ap"}); b.Partner(0).Near || b.Partner(0).Endpoint.Region != "eu-west" || !b.Partner(1).Near {
		t.Error("a region without an endpoint takes the first, which is not near; one without a region is near everywhere")
	}
	if got := string(b.common.SChainNode); got != `{"asi":"exchange.example.com","sid":"1001","hp":1}` {
		t.Error(got)
	}
}

// A file with a fault in nearly every line lists all of them in one run, each
// with its place and what to do. -update rewrites the expectation.
func TestCheckListsEveryFault(t *testing.T) {
	text, err := os.ReadFile("testdata/faults.yaml")
	if err != nil {
		t.Fatal(err)
	}
	b, faults := Check("faults.yaml", text, Options{Now: noon})
	if b != nil {
		t.Error("a book of a faulty file")
	}
	var got strings.Builder
	for i, f := range faults {
		if f.Line == 0 || f.Field == "" || f.Remedy == "" {
			t.Errorf("incomplete: %+v", f)
		}
		if i > 0 && f.Line < faults[i-1].Line {
			t.Errorf("out of order: %s", f.Error())
		}
		got.WriteString(f.Error() + "\n")
	}
	const golden = "testdata/faults.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

func TestSmallFaults(t *testing.T) {
	const one = "partners: [{id: a, endpoints: [{url: https://a.example.com/}]}]"
	for _, c := range []struct{ name, text, want string }{
		{"good", one, ""},
		{"empty", "", "there is no partner"},
		{"syntax", "partners: [", "not valid YAML"},
		{"too old", "rates: {base: USD, date: 2026-05-28, max_age: 72h, per_base: {}}\n" + one, "is too old"},
		{"just good", "rates: {base: USD, date: 2026-05-29, max_age: 72h, per_base: {}}\n" + one, ""},
		{"future", "rates: {base: USD, date: 2026-06-03, per_base: {}}\n" + one, "in the future"},
		{"ten decimals", "rates: {base: USD, date: 2026-05-31, per_base: {EUR: 0.9234567891}}\n" + one, "per_base"},
		{"no rate", strings.Replace(one, "id: a", "id: a, currency: EUR", 1), "EUR can't be converted into USD"},
		{"same region twice", strings.Replace(one, "}]}]", "}, {url: https://b.example.com/}]}]", 1), "also the region"},
		{"json", strings.Replace(one, "id: a", "id: a, ext: {x: yes it is}", 1), "is not JSON"},
	} {
		_, faults := Check("t.yaml", []byte(c.text), Options{Now: noon})
		if got := faults.Error(); c.want == "" && len(faults) > 0 || !strings.Contains(got, c.want) || len(faults) > 1 {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if _, faults := Load("testdata/absent.yaml"); len(faults) != 1 || !strings.Contains(faults[0].Problem, "cannot be read") {
		t.Errorf("absent file: %v", faults)
	}
}

// Partners keep their place from book to book, and a place that was given up is
// free only two books later.
func TestPlacesStay(t *testing.T) {
	file := func(ids ...string) string {
		s := "partners:\n"
		for _, id := range ids {
			s += "  - {id: " + id + ", endpoints: [{url: https://" + id + ".example.com/}]}\n"
		}
		return s
	}
	place := func(b *Book, name string) ID {
		p, ok := b.Find(name)
		if !ok || b.Partner(p).ID != p {
			t.Fatalf("%s is not in the book", name)
		}
		return p
	}
	b1 := check(t, file("a", "b", "c"), Options{})
	b2 := check(t, file("d", "c", "a"), Options{Previous: b1})
	if place(b2, "a") != 0 || place(b2, "c") != 2 || place(b2, "d") != 3 || b2.Partner(1) != nil {
		t.Fatalf("%v", b2.Order)
	}
	b3 := check(t, file("a", "c", "d", "e"), Options{Previous: b2})
	if place(b3, "e") != 4 {
		t.Error("a place was given away one book after it was given up")
	}
	b4 := check(t, file("a", "c", "d", "e", "f"), Options{Previous: b3})
	if place(b4, "f") != 1 {
		t.Error("a free place stays empty")
	}
}

// Rates of a book in use get too old.
func TestRatesEnd(t *testing.T) {
	b := check(t, string(exampleText(t)), Options{})
	if _, ok := b.Rates(noon).Convert(1_000_000, unit.USD, unit.Currency{'E', 'U', 'R'}); !ok {
		t.Error("a good table does not convert")
	}
	end := unit.WallTime(time.Date(2026, 6, 4, 0, 0, 0, 0, time.UTC).UnixNano())
	if b.Rates(end-1) == nil || b.Rates(end) != nil {
		t.Error("the table ends at another time than 72h after its day")
	}
	var m Match
	r := parse(t, `{"id":"1","imp":[{"id":"1","banner":{"w":300,"h":250},"pmp":{"deals":[{"id":"pmp-1"}]}}],"device":{"devicetype":4,"geo":{"country":"DEU"}}}`)
	if b.Match(r, end-1, &m); !m.Partners.Has(0) {
		t.Error("bigdsp should be asked")
	}
	if b.Match(r, end, &m); m.Partners.Has(0) {
		t.Error("a partner of another currency is asked without a rate")
	}
}

func parse(t testing.TB, body string) *openrtb.BidRequest {
	t.Helper()
	r := new(openrtb.BidRequest)
	if e := openrtb.Parse([]byte(body), r); !e.OK() {
		t.Fatal(e)
	}
	return r
}
