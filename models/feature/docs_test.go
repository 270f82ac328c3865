package feature

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// table is the schema as the documentation shows it.
func table(s *Schema) string {
	var b strings.Builder
	b.WriteString("| column | made of | how | freshness | when missing |\n|---|---|---|---|---|\n")
	for _, c := range s.Columns {
		from := s.Inputs[c.From[0]].About
		if c.Encoding == Ratio {
			from = s.Inputs[c.From[0]].Name + " ÷ " + s.Inputs[c.From[1]].Name
		}
		missing := "missing"
		if c.Default == c.Default {
			missing = fmt.Sprintf("%g", c.Default)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", c.Name, from, how(&c), s.Inputs[c.From[0]].Freshness, missing)
	}
	return b.String()
}

func how(c *Column) string {
	switch c.Encoding {
	case Number, Log1p:
		return fmt.Sprintf("%s in [%g, %g]", c.Encoding, c.Min, c.Max)
	case Bucket:
		return fmt.Sprintf("bucket by %v", c.Bounds)
	case Category:
		return fmt.Sprintf("category < %d", c.Size)
	case Hash:
		return fmt.Sprintf("hash to %d", c.Size)
	case Enum:
		return "one of " + strings.Join(c.Values, ", ")
	}
	return fmt.Sprintf("ratio, %g worth %g trials", c.Prior, c.Strength)
}

// TestDocumentation: the table in docs/models.md is the schema's; -update
// writes it.
func TestDocumentation(t *testing.T) {
	const file, begin, end = "../../docs/models.md", "<!-- columns: go test ./models/feature -run Documentation -update -->\n", "<!-- end of columns -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	old, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no %q and %q", file, begin, end)
	}
	want := table(Default())
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if old != want {
		t.Errorf("the table of columns in %s is not the schema's: go test ./models/feature -run Documentation -update", file)
	}
}
