package campaign

import "millrace/codec/strict"

// Options of Compile.
type Options struct {
	// Version of the snapshot.
	Version uint64
}

// Compile turns a File into a Snapshot, or lists everything that is wrong with
// its meaning. A snapshot comes back only where there is no fault, of the text
// included.
func Compile(f *File, options Options) (*Snapshot, strict.Faults) {
	return nil, nil // follows with the compiler
}
