package http2

// Step is what Decoder.Next came to.
type Step uint8

// Steps.
const (
	More     Step = iota // a field
	Done                 // the block's end
	Corrupt              // no valid block: the connection can't go on (RFC 9113, section 4.3)
	TooLarge             // the fields exceed the limit; the connection can't go on either, the rest being unread
)

// entryOverhead is what an entry counts beside its bytes (RFC 7541, section 4.1).
const entryOverhead = 32

// TableBytes is the dynamic table's size unless settings say otherwise.
const TableBytes = 4096

// Decoder decodes the header blocks of one connection, in their order. Init makes
// it ready.
type Decoder struct {
	block   []byte
	begun   bool // a field has been read: no more size updates in this block
	listMax int  // bytes that one block may come to
	list    int  // so far

	// The dynamic table: entries are a ring, newest last; their bytes lie in store,
	// one behind the other, which is closed up when its end is reached.
	entries []entry
	oldest  int
	count   int
	size    int // by RFC 7541, section 4.1
	limit   int // the peer's choice, at most tableMax
	max     int
	store   []byte
	scratch []byte // decoded strings of the current field
}

type entry struct{ offset, name, value int32 }

// Init empties the decoder. tableMax is the table size that the peer was told
// (TableBytes if nothing); listMax bounds the fields of one block, counted as
// SETTINGS_MAX_HEADER_LIST_SIZE is.
func (d *Decoder) Init(tableMax, listMax int) {
	if d.max != tableMax || d.entries == nil {
		d.entries = make([]entry, tableMax/entryOverhead+1)
		d.store = make([]byte, 0, 2*tableMax)
	}
	*d = Decoder{
		listMax: listMax, entries: d.entries, limit: tableMax, max: tableMax, store: d.store[:0], scratch: d.scratch[:0],
	}
}

// Begin starts a block. It is not kept beyond the last Next.
func (d *Decoder) Begin(block []byte) {
	d.block, d.begun, d.list = block, false, 0
}

// Next decodes one field. Its bytes must not be changed, and live until the next
// call.
func (d *Decoder) Next(f *Field) Step {
	d.scratch = d.scratch[:0]
	for len(d.block) > 0 {
		b := d.block[0]
		switch {
		case b&0x80 != 0: // indexed
			index, ok := d.readInt(7)
			if !ok || !d.lookUp(index, f) {
				return Corrupt
			}
			return d.counted(f)
		case b&0xc0 == 0x40: // literal, to be kept
			if !d.readLiteral(6, f) {
				return Corrupt
			}
			d.insert(f)
			return d.counted(f)
		case b&0xe0 == 0x20: // table size
			size, ok := d.readInt(5)
			if !ok || d.begun || size > uint64(d.max) {
				return Corrupt
			}
			d.limit = int(size)
			d.evict(0)
		default: // literal, not to be kept, or never to be
			if !d.readLiteral(4, f) {
				return Corrupt
			}
			return d.counted(f)
		}
	}
	d.block = nil
	return Done
}

func (d *Decoder) counted(f *Field) Step {
	d.begun = true
	if d.list += len(f.Name) + len(f.Value) + entryOverhead; d.list > d.listMax {
		return TooLarge
	}
	return More
}

// intMax bounds integers: nothing that is valid here is larger.
const intMax = 1 << 28

func (d *Decoder) readInt(n uint) (v uint64, ok bool) {
	most := byte(1)<<n - 1
	v = uint64(d.block[0] & most)
	d.block = d.block[1:]
	if v < uint64(most) {
		return v, true
	}
	for shift := uint(0); len(d.block) > 0 && shift < 35; shift += 7 {
		b := d.block[0]
		d.block = d.block[1:]
		v += uint64(b&0x7f) << shift
		if b < 0x80 {
			return v, v <= intMax
		}
	}
	return 0, false
}

func (d *Decoder) lookUp(index uint64, f *Field) bool {
	switch {
	case index == 0:
		return false
	case index <= uint64(staticLen):
		*f = staticFields[index]
		return true
	case index-uint64(staticLen) > uint64(d.count):
		return false
	}
	at := d.oldest + d.count - int(index-uint64(staticLen))
	if at >= len(d.entries) {
		at -= len(d.entries)
	}
	e := &d.entries[at]
	b := d.store[e.offset : e.offset+e.name+e.value]
	f.Name, f.Value = b[:e.name:e.name], b[e.name:]
	return true
}

func (d *Decoder) readLiteral(prefix uint, f *Field) bool {
	index, ok := d.readInt(prefix)
	if !ok {
		return false
	}
	if index == 0 {
		if f.Name, ok = d.readString(); !ok {
			return false
		}
	} else {
		if !d.lookUp(index, f) {
			return false
		}
		if index > uint64(staticLen) && prefix == 6 {
			// insert may close up the store, or evict the entry that the name is from.
			from := len(d.scratch)
			d.scratch = append(d.scratch, f.Name...)
			f.Name = d.scratch[from:]
		}
	}
	f.Value, ok = d.readString()
	return ok
}

func (d *Decoder) readString() (s []byte, ok bool) {
	if len(d.block) == 0 {
		return nil, false
	}
	coded := d.block[0]&0x80 != 0
	n, ok := d.readInt(7)
	if !ok || n > uint64(len(d.block)) {
		return nil, false
	}
	s = d.block[:n]
	d.block = d.block[n:]
	if !coded {
		return s, true
	}
	// No code is shorter than 5 bits: this much is enough, and is no more than the
	// input times 1.6. If scratch moves, the name cut from it keeps its bytes.
	from := len(d.scratch)
	d.scratch, ok = appendUnhuffman(d.scratch, s, len(s)*8/5)
	return d.scratch[from:], ok
}

// insert adds a field to the dynamic table (RFC 7541, section 4.4).
func (d *Decoder) insert(f *Field) {
	n := len(f.Name) + len(f.Value)
	if d.evict(n + entryOverhead); n+entryOverhead > d.limit {
		return // larger than the table: it is now empty, which is no fault
	}
	if len(d.store)+n > cap(d.store) {
		d.closeUp()
	}
	at := d.oldest + d.count
	if at >= len(d.entries) {
		at -= len(d.entries)
	}
	d.entries[at] = entry{int32(len(d.store)), int32(len(f.Name)), int32(len(f.Value))}
	d.store = append(append(d.store, f.Name...), f.Value...)
	d.count++
	d.size += n + entryOverhead
}

// evict makes room for n more bytes.
func (d *Decoder) evict(n int) {
	for d.count > 0 && d.size+n > d.limit {
		e := &d.entries[d.oldest]
		d.size -= int(e.name+e.value) + entryOverhead
		if d.oldest++; d.oldest == len(d.entries) {
			d.oldest = 0
		}
		d.count--
	}
	if d.count == 0 {
		d.store = d.store[:0]
	}
}

// closeUp moves the entries' bytes, which follow each other, to the store's start.
// They are at most half of it, so this comes once for each half of a store written.
func (d *Decoder) closeUp() {
	shift := d.entries[d.oldest].offset
	d.store = d.store[:copy(d.store[:cap(d.store)], d.store[shift:])]
	for i := range d.count {
		at := d.oldest + i
		if at >= len(d.entries) {
			at -= len(d.entries)
		}
		d.entries[at].offset -= shift
	}
}
