package openrtb

import "strconv"

// Code says what is wrong with a request.
type Code uint8

// Faults of a request. All but OK are answered with 400.
const (
	// OK: nothing is wrong.
	OK Code = iota
	// Syntax: not JSON.
	Syntax
	// TooDeep: nested deeper than Limits.Depth.
	TooDeep
	// TooMany: more impressions than Limits.Imps.
	TooMany
	// TooLong: more than 2 GiB, which no view addresses.
	TooLong
	// Type: a value of another JSON type than the field has.
	Type
	// Missing: a required field is absent, null or empty.
	Missing
	// Invalid: a value that the field can't have.
	Invalid
	// Duplicate: an id that must be unique is not.
	Duplicate
	// Conflict: objects that exclude each other.
	Conflict
)

var codeText = [...]string{
	"ok", "not valid JSON", "nested too deep", "too many", "too long",
	"wrong type", "missing", "invalid value", "duplicate", "more than one of site, app, dooh",
}

// String is the fault in words.
func (c Code) String() string { return codeText[c] }

// Error is a fault of a request as a small value, so that refusing costs no
// memory either. The zero value is no fault.
type Error struct {
	Code Code
	// Imp is the index of the impression the field is in, or -1.
	Imp int32
	// Object is the path of the object in which the fault is, "" for the
	// request itself, with [] for an array; Field is the name of the field,
	// which may lie in the body: it is valid as long as that is.
	Object string
	Field  string
	// Offset is the byte of the body at or after which the fault was noticed.
	Offset int32
}

// OK reports whether there is no fault.
func (e Error) OK() bool { return e.Code == OK }

// AppendPath appends where the fault is: "imp[0].id"; nothing for the request
// itself.
func (e Error) AppendPath(dst []byte) []byte {
	at := len(dst)
	for i := 0; i < len(e.Object); i++ {
		dst = append(dst, e.Object[i])
		if e.Object[i] == '[' && i == len("imp") && e.Imp >= 0 {
			dst = strconv.AppendInt(dst, int64(e.Imp), 10)
		}
	}
	if e.Field != "" {
		if len(dst) > at {
			dst = append(dst, '.')
		}
		dst = append(dst, e.Field...)
	}
	return dst
}

// AppendReason appends the short plain reason: "imp[0].id: missing (byte 12)".
func (e Error) AppendReason(dst []byte) []byte {
	at := len(dst)
	dst = e.AppendPath(dst)
	if len(dst) > at {
		dst = append(dst, ": "...)
	}
	dst = append(dst, e.Code.String()...)
	dst = append(dst, " (byte "...)
	dst = strconv.AppendInt(dst, int64(e.Offset), 10)
	return append(dst, ')')
}

// Error is the reason as text.
func (e Error) Error() string { return string(e.AppendReason(nil)) }
