// Package feature turns what is known of a user, a request, an ad and their
// pair into the row of numbers that a model reads.
//
// One file, schema.json, says what the raw inputs are, how each column is made
// of them and what a column holds when its input is missing or too old. The
// trainer (tools/train) reads the same file, and a test compares the two bit
// for bit, so a model is served exactly what it was trained on.
//
//	engine ──SetNumber, SetText──► slots of inputs ──Encode(group)──► []float32
//	                               one a group's input                columns of the group
//
//	row:  user … │ context … │ ad … │ cross …
//	      └── request side ──┘  gbdt.Split: columns of a side are consecutive
//
// A group is reset, set and encoded on its own: user and context once a
// request, an ad when it changes, cross once a candidate. Input names are
// resolved once, at start; nothing is allocated after that.
//
// Lifetime: a Schema is immutable and shared. An Encoder and its Counters are
// owned by one shard. The text given to SetText is not kept.
package feature
