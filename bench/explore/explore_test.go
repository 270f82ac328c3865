package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var small = size{name: "small", requests: 4000, ads: 10, offered: 5, every: 500, points: 20}

func TestWorldsAreTheSameForEveryPolicy(t *testing.T) {
	list := policies()
	first := run(3, list[0], small)
	for _, p := range list {
		a, b := run(3, p, small), run(3, p, small)
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s: one seed, two outcomes", p.name)
		}
		if a.best != first.best {
			t.Errorf("%s: the best possible is %v, for another policy %v: the worlds differ", p.name, a.best, first.best)
		}
		if a.earned > a.best || len(a.regret) != small.points || a.givenUp > p.config.TotalShare*1.01 {
			t.Errorf("%s: %+v", p.name, a)
		}
	}
	if first.others != 0 || first.givenUp != 0 {
		t.Errorf("none explores: %+v", first)
	}
}

func TestMeasureWritesATableAndAPlot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "regret.svg")
	var out bytes.Buffer
	if err := measure(&out, file, 2, small); err != nil {
		t.Fatal(err)
	}
	for _, p := range policies() {
		if !strings.Contains(out.String(), "| "+p.name+" (") {
			t.Errorf("no row of %s in\n%s", p.name, &out)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	paths := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not XML: %v", err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "path" {
			paths++
		}
	}
	if paths != 2*len(policies()) || bytes.Contains(text, []byte("NaN")) {
		t.Errorf("%d paths", paths)
	}
}
