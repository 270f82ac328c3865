package openrtb

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"
)

// kind says how the value of a field is read and what of the view holds it.
type kind uint8

const (
	noField    kind = iota
	strField        // Str
	intField        // int32; what can't be read is bad
	sizeField       // int32 that can't be negative
	triField        // Tri
	flagField       // bool; what can't be read is bad and false
	wishField       // bool; what can't be read is bad and true
	strsField       // StrSpan
	intsField       // IntSpan
	rawField        // Raw: any value
	objectRaw       // Raw: an object
	arrayRaw        // Raw: an array
	floatField      // float64
	cpmField        // unit.CPMMicros
	currencyOf      // unit.Currency
	extStr          // Str in ext, where nothing has to be of a type
	extFlag         // bool in ext
	extInts         // IntSpan in ext
	// What walker.special reads: objects, and numbers of the request itself.
	tmaxField
	strictInt  // int32 without which the request means nothing
	strictWish // bool, likewise
	looseInt   // int32, 0 if it can't be read
	looseFlag  // bool, false if it can't be read
	impsField
	mediaField // of the MediaType in arg
	pmpField
	formatsField
	dealsField
	impExtField
	prebidField
	inventoryField // of the InventoryKind in arg
	publisherField
	contentField
	deviceField
	geoField
	userField
	dataField
	segmentsField
	userExtField
	regsField
	regsExtField
	sourceField
	sourceExtField
	nodesField
	uidsField
	browsersField
	platformField
	refSettingsField
)

// field is one row of an object's table.
type field struct {
	word uint64 // the first eight bytes of the name, the last in the highest
	last uint64 // the last eight, if it has more
	name string
	sub  *table // of the object in it, where there are several
	off  uint16 // of the field in the view's struct
	has  uint16 // of the bool that tells whether it was given; 0 = none
	n    uint8  // length of the name
	kind kind
	arg  uint8
}

// table is an object's: a perfect hash of its fields' names, which costs one
// lookup where a switch costs comparisons, each a guess for the processor.
type table struct {
	path   string
	mult   uint64
	slots  [128]uint16 // hash to place of the field, in bytes from the table's
	fields [64]field   // the first is no field
}

// row makes a field; has is the offset of its presence bool, if it has one.
func row(name string, k kind, off uintptr, has ...uintptr) field {
	f := field{name: name, kind: k, off: offset(off), n: uint8(len(name))}
	if len(has) > 0 {
		f.has = offset(has[0])
	}
	var word [8]byte
	copy(word[:], name)
	f.word = binary.LittleEndian.Uint64(word[:]) << shiftOf(len(name))
	if len(name) > 8 {
		f.last = binary.LittleEndian.Uint64([]byte(name[len(name)-8:]))
	}
	return f
}

// objectRow makes a field that is an object with a table.
func objectRow(name string, k kind, arg uint8, off uintptr, sub *table) field {
	f := row(name, k, off)
	f.arg, f.sub = arg, sub
	return f
}

func offset(n uintptr) uint16 {
	if n > math.MaxUint16 {
		panic("openrtb: a view is larger than a table can tell")
	}
	return uint16(n)
}

// shiftOf is how far a word that begins with a name of n bytes is shifted so
// that nothing else is left in it.
func shiftOf(n int) uint {
	bits := 64 - 8*n
	bits &^= bits >> 63 // 0 from eight bytes on, without a branch
	return uint(bits) & 63
}

// newTable builds a table. It tries multipliers, always in the same order,
// until one sends no two names to the same slot.
func newTable(path string, rows ...field) *table {
	o := &table{path: path}
	if len(rows) >= len(o.fields) {
		panic(fmt.Sprintf("openrtb: %s has more fields than a table holds", path))
	}
	copy(o.fields[1:], rows)
	seed := uint64(0x9e3779b97f4a7c15)
	for range 1 << 20 {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
		if o.try(seed | 1); o.mult != 0 {
			return o
		}
	}
	panic("openrtb: no hash without collisions for " + path + ": is a name there twice?")
}

func (o *table) try(mult uint64) {
	for i := range o.slots {
		o.slots[i] = o.place(0)
	}
	for i := range o.fields {
		if f := &o.fields[i]; f.kind != noField {
			slot := &o.slots[hashName(f.word, int(f.n), mult)]
			if *slot != o.place(0) {
				return
			}
			*slot = o.place(i)
		}
	}
	o.mult = mult
}

// place is where field i lies in its table.
func (o *table) place(i int) uint16 {
	return uint16(unsafe.Offsetof(o.fields) + uintptr(i)*unsafe.Sizeof(field{}))
}

func hashName(word uint64, n int, mult uint64) uint64 {
	return (word + uint64(n)) * mult >> 57
}

// find is the field of a name, or the one of no kind.
func (o *table) find(name []byte) *field {
	var word [8]byte
	copy(word[:], name)
	return o.lookup(binary.LittleEndian.Uint64(word[:])<<shiftOf(len(name)), unsafe.SliceData(name), len(name))
}

// lookup is find for a name of which the word is known. What is longer than a
// word is compared by its last word too, which is all of most names.
func (o *table) lookup(word uint64, name *byte, n int) *field {
	f := (*field)(unsafe.Add(unsafe.Pointer(o), o.slots[hashName(word, n, o.mult)]))
	if f.word == word && int(f.n) == n && (n <= 8 || f.ends(name, n)) {
		return f
	}
	return &o.fields[0]
}

func (f *field) ends(name *byte, n int) bool {
	last := binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(unsafe.Pointer(name), n-8))[:])
	return last == f.last && (n <= 16 || unsafe.String(name, n) == f.name)
}
