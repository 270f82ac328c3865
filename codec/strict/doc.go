// Package strict decodes YAML and JSON files written by people into Go structs
// and lists everything that is wrong with them at once.
//
//	text ──► node tree (JSON: own reader; else yaml.v3) ──► reflect walk ──► struct
//	              │                                            │
//	              └── Source: path → line, column              └── Faults
//
// The catalog and the configuration are read through it, so that both answer a
// mistake in the same way: file, line, column, field, what is wrong, what to do.
// An unknown key is a fault and names the nearest known one; a key written
// twice is a fault; a value of the wrong type is a fault; the other fields are
// decoded all the same, so one run shows them all.
//
// Numbers never pass through float64 on their way to integers or money:
// unit.Nanos, unit.CPMMicros and every encoding.TextUnmarshaler get the digits
// as written.
//
// A key that is absent, or null, leaves its field as it was: fill the struct
// with its defaults before decoding. YAML aliases are followed, merge keys
// ("<<") are refused, a second document is refused.
//
// Strings of a decoded JSON file share memory with one copy of the file: clone
// what is kept for long out of a large file.
package strict
