package campaign

import _ "embed"

//go:embed demo.yaml
var demoYAML []byte

// DemoName is the name under which the bundled demo catalog stands in faults
// and reports.
const DemoName = "demo.yaml (bundled)"

// Demo is the bundled demo catalog: every kind of line item, and a bid for a
// plain 300×250 from any country.
func Demo() *File {
	f, faults := Parse(DemoName, demoYAML)
	if len(faults) > 0 {
		panic("campaign: the bundled demo catalog is broken: " + faults.Error())
	}
	return f
}

// DemoYAML is the text of the bundled demo catalog, to start one's own from.
func DemoYAML() []byte { return append([]byte(nil), demoYAML...) }
