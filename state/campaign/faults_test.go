package campaign

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"millrace/codec/strict"
)

var update = flag.Bool("update", false, "rewrite the expected faults")

// A file with a fault in nearly every line lists all of them in one run, each
// with its place and what to do. `-update` rewrites the expectation.
func TestCheckListsEveryFault(t *testing.T) {
	text, err := os.ReadFile("testdata/faults.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, faults := Check("faults.yaml", text)
	if s != nil {
		t.Error("a snapshot of a faulty file")
	}
	for i, f := range faults {
		if f.Line == 0 || f.Field == "" || f.Remedy == "" {
			t.Errorf("incomplete: %+v", f)
		}
		if i > 0 && f.Line < faults[i-1].Line {
			t.Errorf("out of order: %s", f.Error())
		}
	}
	golden := filepath.Join("testdata", "faults.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(wholeText(faults)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := wholeText(faults); got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func wholeText(faults strict.Faults) string {
	var b strings.Builder
	for _, f := range faults {
		b.WriteString(f.Error() + "\n")
	}
	return b.String()
}

func TestCheckSmallCases(t *testing.T) {
	head := "advertisers: [{id: a, domain: a.example.com, campaigns: [{id: c, line_items: [{id: l, price: 1, creatives: [{id: x, html: x, landing: 'https://a.example.com'"
	tail := "}]}]}]}]"
	cases := []struct{ name, text, want string }{
		{"good", head + tail, ""},
		{"empty", "", "the catalog is empty"},
		{"no file meaning", "advertisers:", "the catalog is empty"},
		{"syntax", "advertisers: [", "not valid YAML"},
		{"alpha-2", head + "}], targeting: {include: {country: [de, USA]}}" + "}]}]}]", ""},
		{"cpm too fine", strings.Replace(head, "price: 1", "price: 0.0000001", 1) + tail, "a thousandth of 0.0000001 is not exact"},
		{"cpm exact", strings.Replace(head, "price: 1", "price: 0.000001", 1) + tail, ""},
		{"price above budget", strings.Replace(head, "price: 1", "pricing: cpc, price: 3, budget: {daily: 2.5}", 1) + tail, "more than the daily budget 2.5"},
		{"huge", strings.Replace(head, "price: 1", "price: 99999999999999", 1) + tail, "not an exact amount"},
		{"null price", strings.Replace(head, "price: 1", "price: ~", 1) + tail, "price: missing"},
		{"size target without size", head + "}], targeting: {include: {size: [300x250]}}" + "}]}]}]", "the line item targets sizes"},
		{"quality", head + ", quality: 9.5" + tail, ""},
		{"quality too good", head + ", quality: 10.5" + tail, "10.5 is not a quality"},
		{"quality below nothing", head + ", quality: -1" + tail, "-1 is not a quality"},
		{"never open", strings.Replace(head, "price: 1", "price: 1, dayparts: [mon 8-9], targeting: {include: {hour: [tue]}}", 1) + tail, "no hour of the week is left"},
	}
	for _, c := range cases {
		_, faults := Check("t.yaml", []byte(c.text))
		got := faults.Error()
		if c.want == "" && len(faults) > 0 || !strings.Contains(got, c.want) || len(faults) > 1 {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if s, _ := Check("t.yaml", []byte(head+", quality: 9.5"+tail)); s == nil || s.Creatives[0].Quality != 9.5 {
		t.Error("the quality written is not the creative's")
	}
	if s, _ := Check("t.yaml", []byte(head+tail)); s == nil || s.Creatives[0].Quality != QualityDefault {
		t.Error("a creative without a quality has not the default")
	}
	if _, faults := Load("testdata/absent.yaml"); len(faults) != 1 || !strings.Contains(faults[0].Problem, "cannot be read") {
		t.Errorf("absent file: %v", faults)
	}
}
