package feature

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"millrace/codec/strict"
	"millrace/models/gbdt"
)

// Group is the part of a row that a column stands in, in the order of the row.
type Group uint8

// Groups. User and Context together are a model's request side.
const (
	User Group = iota
	Context
	Ad
	Cross

	Groups = 4
)

var groupNames = [Groups]string{"user", "context", "ad", "cross"}

// String is the first part of the names of the group's inputs and columns.
func (g Group) String() string { return groupNames[g] }

// Freshness is how old the value of an input may be before it counts as stale.
type Freshness uint8

// Freshness classes, from the most to the least patient. Their maximum ages
// are the schema's.
const (
	Static    Freshness = iota // does not age
	Stale                      // from batches: may be days behind
	SemiFresh                  // refreshed with the catalog snapshot or once a day
	Fresh                      // kept up with every event
)

var freshnessNames = [...]string{"static", "stale", "semi_fresh", "fresh"}

// String is the class's name in the schema.
func (f Freshness) String() string { return freshnessNames[f] }

// Encoding is how a column is made of its inputs.
type Encoding uint8

// Encodings. What none of them accepts (a category out of range, an unknown
// word) reads as missing.
const (
	Number   Encoding = iota // clipped to [Min, Max]
	Log1p                    // clipped to [Min, Max], then ln(1+x)
	Bucket                   // how many of Bounds are ≤ x
	Category                 // a whole number in [0, Size), categorical
	Enum                     // place of the folded text in Values, categorical
	Hash                     // xxhash64 of the folded text modulo Size, categorical
	Ratio                    // (successes + Prior × Strength) / (trials + Strength)
)

var encodingNames = [...]string{"number", "log1p", "bucket", "category", "enum", "hash", "ratio"}

// String is the encoding's name in the schema.
func (e Encoding) String() string { return encodingNames[e] }

// Input is the number of a raw input: resolved from its name once, at start.
type Input int32

// InputInfo describes a raw input.
type InputInfo struct {
	Name      string
	Group     Group
	Text      bool
	Freshness Freshness
	MaxAge    time.Duration // 0: does not age
	About     string        // what it is, for the documentation
}

// Column describes one column of a row.
type Column struct {
	Name     string
	Group    Group
	Encoding Encoding
	From     []Input
	// Default is what the column holds when an input is missing or stale; NaN
	// lets the model decide, which has seen rows with and without the value.
	Default float32

	Min, Max        float64   // Number, Log1p
	Bounds          []float64 // Bucket, ascending
	Size            int       // Category, Hash, Enum: number of categories
	Values          []string  // Enum
	Prior, Strength float64   // Ratio
}

// Categorical tells whether the column's numbers are names without an order.
func (c *Column) Categorical() bool {
	return c.Encoding == Category || c.Encoding == Enum || c.Encoding == Hash
}

// Schema is a parsed definition. Immutable.
type Schema struct {
	Version uint32
	// SHA256 is of the definition's bytes, in hex: what a model was trained on
	// and what it is served must be equal in it.
	SHA256  string
	Inputs  []InputInfo
	Columns []Column

	inputRange, columnRange [Groups][2]int
	inputByName             map[string]Input
	names                   []string
	plan                    []step
}

//go:embed schema.json
var definition []byte

// Definition is the text of the default schema.
func Definition() []byte { return definition }

// Default is the schema that the binary was built with.
func Default() *Schema { return defaultSchema() }

var defaultSchema = sync.OnceValue(func() *Schema {
	s, err := Parse("schema.json", definition)
	if err != nil {
		panic(err) // a test parses it: a binary with a broken one is not built
	}
	return s
})

// Parse reads a definition and lists every fault of it. file names the text in
// faults and must end in ".json".
func Parse(file string, text []byte) (*Schema, error) {
	if len(text) > maxDefinition {
		return nil, strict.Faults{{File: file, Problem: fmt.Sprintf("is %d bytes long, more than %d", len(text), maxDefinition),
			Remedy: "a schema of a few hundred columns is some 100 KB"}}
	}
	var f schemaFile
	source, faults := strict.Decode(file, text, &f)
	b := builder{source: source, faults: faults, schema: &Schema{Version: f.Version}}
	if len(faults) == 0 {
		b.build(&f)
	}
	if len(b.faults) > 0 {
		b.faults.Sort()
		return nil, b.faults
	}
	sum := sha256.Sum256(text)
	b.schema.SHA256 = hex.EncodeToString(sum[:])
	return b.schema, nil
}

// Split is the form of a row as a forest needs it.
func (s *Schema) Split() gbdt.Split {
	return gbdt.Split{Request: s.Width(User) + s.Width(Context), Ad: s.Width(Ad), Cross: s.Width(Cross)}
}

// Width is the number of columns of a group: the length of what Encode fills.
func (s *Schema) Width(g Group) int { return s.columnRange[g][1] - s.columnRange[g][0] }

// Names are the columns' names in the order of a row. Borrowed.
func (s *Schema) Names() []string { return s.names }

// Input finds a raw input by name.
func (s *Schema) Input(name string) (Input, error) {
	if in, ok := s.inputByName[name]; ok {
		return in, nil
	}
	known := make([]string, len(s.Inputs))
	for i := range s.Inputs {
		known[i] = s.Inputs[i].Name
	}
	err := fmt.Errorf("feature: the schema has no input %q", name)
	if remedy := strict.Remedy(name, known); remedy != "" {
		err = fmt.Errorf("%w; %s", err, remedy)
	}
	return -1, err
}
