package campaign

import (
	"os"

	"github.com/cespare/xxhash/v2"

	"millrace/codec/strict"
)

// Parse reads a catalog's text, YAML or JSON. The faults are those of the text
// (syntax, keys, types); Compile finds those of the meaning. Compile the File
// even when there are some, to list everything at once: see Check.
func Parse(file string, data []byte) (*File, strict.Faults) {
	f := &File{hash: xxhash.Sum64(data)}
	f.source, f.faults = strict.Decode(file, data, f)
	return f, f.faults
}

// Load reads and parses a catalog file. A file that can't be read is a fault.
func Load(path string) (*File, strict.Faults) {
	data, err := os.ReadFile(path)
	if err != nil {
		faults := strict.Faults{{File: path, Problem: "cannot be read: " + err.Error(), Remedy: "check the path and its permissions"}}
		return &File{faults: faults}, faults
	}
	return Parse(path, data)
}

// Check parses and compiles a catalog's text and lists every fault of both, in
// the order of the file's lines.
func Check(file string, data []byte) (*Snapshot, strict.Faults) {
	f, faults := Parse(file, data)
	return f.check(faults, Options{})
}

func (f *File) check(faults strict.Faults, options Options) (*Snapshot, strict.Faults) {
	if f.source == nil || len(f.Advertisers) == 0 && len(faults) > 0 {
		return nil, faults
	}
	s, more := Compile(f, options)
	faults = append(faults[:len(faults):len(faults)], more...)
	faults.Sort()
	if len(faults) > 0 {
		return nil, faults
	}
	return s, nil
}

// blamed are the fields that have a fault of the text.
func (f *File) blamed() map[string]bool {
	fields := make(map[string]bool, len(f.faults))
	for i := range f.faults {
		fields[f.faults[i].Field] = true
	}
	return fields
}
