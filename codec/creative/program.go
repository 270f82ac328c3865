package creative

import "strconv"

// op is a step of a program: a segment, then a hole.
type op struct {
	text string
	hole hole
	ctx  context
	b64  bool
	// only is the set of VAST versions it is for, 0 = all.
	only versions
	// part is the media file or companion it belongs to, from 1; 0 = none.
	part uint8
}

// program is a compiled template.
type program []op

// partsMax is how many parts of one creative a Fit can tell apart.
const partsMax = 64

// builder compiles a program.
type builder struct {
	c    *Compiler
	ops  program
	text []byte
	only versions
	part uint8
}

// scope says what the steps that follow are for; see op.
func (b *builder) scope(only versions, part uint8) {
	if only != b.only || part != b.part {
		b.flush()
		b.only, b.part = only, part
	}
}

// markup adds text that is already in the language of the place (HTML, XML):
// JSON's escaping is all it gets.
func (b *builder) markup(text string) *builder {
	b.text = appendEscaped(b.text, jsonText, text)
	return b
}

// value adds a text of the catalog, escaped for ctx; macros become holes,
// escaped likewise.
func (b *builder) value(ctx context, text string) *builder { return b.add(ctx, ctx, text) }

// url adds a URL of the catalog, escaped for ctx; the values of its macros are
// percent-encoded.
func (b *builder) url(ctx context, text string) *builder { return b.add(ctx, query, text) }

func (b *builder) add(literal, holes context, text string) *builder {
	for from := 0; from < len(text); {
		start, end, h, b64 := findMacro(text, from)
		b.text = appendEscaped(b.text, literal, text[from:start])
		if h != noHole {
			b.put(op{hole: h, ctx: holes, b64: b64})
		}
		from = end
	}
	return b
}

// hole adds a hole.
func (b *builder) hole(ctx context, h hole) *builder { return b.put(op{hole: h, ctx: ctx}) }

func (b *builder) put(o op) *builder {
	o.text, o.only, o.part = b.c.keep(b.text), b.only, b.part
	b.text = b.text[:0]
	b.ops = append(b.ops, o)
	return b
}

func (b *builder) flush() {
	if len(b.text) > 0 {
		b.put(op{})
	}
}

// program is what was built; the builder begins anew.
func (b *builder) program() program {
	b.flush()
	p := make(program, len(b.ops))
	copy(p, b.ops)
	b.ops, b.only, b.part = b.ops[:0], 0, 0
	return p
}

// fills reports whether the hole was added.
func (b *builder) fills(h hole) bool { return b.ops.has(h) }

// has reports whether a program fills the hole.
func (p program) has(h hole) bool {
	for i := range p {
		if p[i].hole == h {
			return true
		}
	}
	return false
}

// append runs the program.
func (p program) append(dst []byte, v *Vars, id string) []byte {
	for i := range p {
		o := &p[i]
		if o.only != 0 && !o.only.has(v.Fit.version) || o.part != 0 && v.Fit.without>>(o.part-1)&1 != 0 {
			continue
		}
		dst = append(dst, o.text...)
		switch h := o.hole; h {
		case noHole:
		case impressionURL:
			dst = appendEscaped(dst, o.ctx, v.ImpressionURL)
		case clickURL:
			dst = appendEscaped(dst, o.ctx, v.ClickURL)
		case clickURLEscaped:
			dst = appendEscaped(dst, query, v.ClickURL)
		case conversionToken:
			dst = appendEscaped(dst, o.ctx, v.Conversion)
		case cacheBuster:
			// Whatever differs between two impressions will do.
			dst = strconv.AppendUint(dst, v.CacheBuster, 36)
		case creativeID:
			dst = appendEscaped(dst, o.ctx, id)
		default:
			dst = v.Macros.append(dst, o.ctx, h, o.b64)
		}
	}
	return dst
}
