package openrtb

// layoutScan fills a layout in one pass over the tokens of a body that Parse
// has accepted: it checks nothing again.
type layoutScan struct {
	parser
	x []uint32 // positions of the tokens, with padding
	l *layout

	// from is the layout of the received body while a shared one is scanned:
	// what no edit touches has as many tokens as it had, and is not walked
	// again. rootJump and impJump are the next of its jumps, imp its next
	// impression.
	from              *layout
	rootJump, impJump int
	nextImp           int
}

func (s *layoutScan) run() {
	l := s.l
	members, deals, imps, dead := emptied(l.members), emptied(l.deals), emptied(l.imps), emptied(l.dead)
	rootJumps, impJumps := emptied(l.rootJumps), emptied(l.impJumps)
	*l = layout{members: members, deals: deals, imps: imps, dead: dead, rootJumps: rootJumps, impJumps: impJumps}
	if s.object(0, rootScan, inRoot, l.root[:]) >= 0 {
		s.bury()
	}
}

// deadMax is how many members given twice a body may have where edits touch
// it: nobody means more, and they are put in order.
const deadMax = 256

// object records the members of the object whose brace is token k.
func (s *layoutScan) object(k int, kind scanKind, in int32, at []place) int {
	b, x := s.b, s.x
	n, open := int32(0), x[k]
	prev := int32(open + 1)
	k++
	for b[x[k]] == '"' {
		m := place{prev: prev, key: int32(x[k]), ord: n}
		name := Str{p: &b[x[k]+1]}
		for k++; b[x[k]] == '\\'; k++ {
			name.escaped = true
		}
		name.n = uint32(s.end(k)) - 2 - uint32(m.key)
		k++
		m.val = int32(x[k])
		slot := s.placeOf(kind, name)
		member := -1
		if kind >= impExtScan {
			member = len(s.l.members)
			s.l.members = append(s.l.members, memberLayout{name: name})
		}
		if k = s.value(k, kind, slot); k < 0 {
			return k
		}
		n++
		prev = s.end(k)
		m.end = prev
		if b[x[k]] == ',' {
			k++
		}
		m.next = int32(x[k]) // the next member, or the bracket
		switch {
		case slot >= 0:
			if at[slot].there() {
				if len(s.l.dead) >= deadMax {
					return s.fail(int(m.key), TooMany)
				}
				s.l.dead = append(s.l.dead, deadPlace{at[slot], in})
			}
			at[slot] = m
		case member >= 0:
			s.l.members[member].place = m
		}
	}
	if in >= 0 {
		*s.l.container(in) = container{open: int32(open), close: int32(x[k]), n: n}
	}
	return k + 1
}

// end is the end of the value or key before token k.
func (s *layoutScan) end(k int) int32 {
	i := s.x[k]
	for s.b[i-1] <= ' ' {
		i--
	}
	return int32(i)
}

// tokenDepth is how a token changes the depth; what is more than 1 begins a
// number that is perhaps none (rule 5), which JSON has no word for.
var tokenDepth = [256]int8{'{': 1, '[': 1, '}': -1, ']': -1, 'N': 2, 'I': 2, '-': 2}

// skip is the token after a value.
func (s *layoutScan) skip(k int) int {
	b, x, depth := s.b, s.x, 0
	for {
		d := int(tokenDepth[b[x[k]]])
		if d > 1 {
			if !s.isNumber(k) {
				return s.fail(int(x[k]), Syntax)
			}
			d = 0
		}
		k++
		if depth += d; depth == 0 {
			break
		}
	}
	for b[x[k]] == '\\' {
		k++
	}
	return k
}

func (s *layoutScan) isNumber(k int) bool {
	i := int(s.x[k])
	return s.b[i] == '-' && i+1 < len(s.b) && s.b[i+1]-'0' < 10
}

// placeOf is the index of a member's place in its object, or -1.
func (s *layoutScan) placeOf(kind scanKind, name Str) int {
	if !name.escaped {
		return placeOf(kind, name.Raw())
	}
	return placeOf(kind, s.decodeKey(name.Raw()))
}

// value goes over a member's value and records what is inside it. What an
// earlier member of the same name recorded is forgotten.
func (s *layoutScan) value(k int, kind scanKind, slot int) int {
	l := s.l
	switch {
	case slot < 0 && kind == rootScan:
		return s.jump(k, &s.rootJump, &l.rootJumps)
	case slot < 0 && kind == impScan:
		return s.jump(k, &s.impJump, &l.impJumps)
	case slot < 0:
		return s.skip(k)
	}
	switch kind {
	case rootScan:
		return s.rootValue(k, slot)
	case userScan:
		if slot == atUserExt {
			l.userExt = [userPlaces]place{}
			return s.nested(k, userExtScan, inUserExt, l.userExt[:])
		}
	case regsScan:
		if slot == atRegsExt {
			l.regsExt = [regsPlaces]place{}
			return s.nested(k, regsExtScan, inRegsExt, l.regsExt[:])
		}
	case sourceScan:
		if slot == atSChain {
			return s.chain(k, schainScan, inSChain, inNodes, &l.nodes)
		}
		l.sourceExt, l.in[inSChain25], l.in[inNodes25] = [sourcePlaces]place{}, container{}, container{}
		return s.nested(k, sourceExtScan, inSourceExt, l.sourceExt[:])
	case sourceExtScan:
		if slot == atSChain {
			return s.chain(k, schain25Scan, inSChain25, inNodes25, &l.nodes25)
		}
	case schainScan:
		return s.list(k, inNodes)
	case schain25Scan:
		return s.list(k, inNodes25)
	case impScan:
		return s.impValue(k, slot)
	case pmpScan:
		return s.dealList(k)
	}
	return s.skip(k)
}

// jump is skip for a member without a place, which no edit touches: it is
// walked once.
func (s *layoutScan) jump(k int, next *int, jumps *[]int32) int {
	if s.from != nil {
		known := s.from.rootJumps
		if next == &s.impJump {
			known = s.from.impJumps
		}
		*next++
		return k + int(known[*next-1])
	}
	after := s.skip(k)
	*jumps = append(*jumps, int32(after-k))
	return after
}

func (s *layoutScan) rootValue(k, slot int) int {
	l := s.l
	switch slot {
	case atImp:
		return s.impList(k)
	case atBCat, atBAdv, atBApp, atWSeat:
		return s.list(k, int32(slot-atBCat)+inBCat)
	case atUser:
		l.user, l.userExt, l.in[inUserExt] = [userPlaces]place{}, [userPlaces]place{}, container{}
		return s.nested(k, userScan, inUser, l.user[:])
	case atRegs:
		l.regs, l.regsExt, l.in[inRegsExt] = [regsPlaces]place{}, [regsPlaces]place{}, container{}
		return s.nested(k, regsScan, inRegs, l.regs[:])
	case atSource:
		l.source, l.sourceExt, l.in[inSourceExt] = [sourcePlaces]place{}, [sourcePlaces]place{}, container{}
		l.in[inSChain], l.in[inNodes], l.in[inSChain25], l.in[inNodes25] = container{}, container{}, container{}, container{}
		return s.nested(k, sourceScan, inSource, l.source[:])
	case atExt:
		from := int32(len(l.members))
		k = s.nested(k, extScan, inExt, nil)
		l.ext = span{from, int32(len(l.members)) - from}
		return k
	}
	return s.skip(k)
}

// nested records an object; any other value has nothing inside.
func (s *layoutScan) nested(k int, kind scanKind, in int32, at []place) int {
	if *s.l.container(in) = (container{}); s.b[s.x[k]] != '{' {
		return s.skip(k)
	}
	return s.object(k, kind, in, at)
}

func (s *layoutScan) chain(k int, kind scanKind, in, nodesIn int32, nodes *place) int {
	*nodes, s.l.in[nodesIn] = place{}, container{}
	var at [1]place
	k = s.nested(k, kind, in, at[:])
	*nodes = at[0]
	return k
}

// list records an array as a whole: where it ends and whether it has items.
func (s *layoutScan) list(k int, in int32) int {
	c := s.l.container(in)
	next := s.skip(k)
	if *c = (container{}); s.b[s.x[k]] == '[' && next > 0 {
		*c = container{open: int32(s.x[k]), close: int32(s.x[next-1]), n: int32(min(next-k-2, 1))}
	}
	return next
}

// item completes the place of a list's item that ends before token k, and is
// the token of the next one or of the bracket.
func (s *layoutScan) item(k int, m *place) int {
	m.end = s.end(k)
	if s.b[s.x[k]] == ',' {
		k++
	}
	m.next = int32(s.x[k])
	return k
}

func (s *layoutScan) impList(k int) int {
	l := s.l
	l.in[inImpList] = container{}
	l.imps, l.deals = l.imps[:0], l.deals[:0]
	if s.b[s.x[k]] != '[' {
		return s.skip(k)
	}
	open := s.x[k]
	prev := int32(open + 1)
	for k++; s.b[s.x[k]] != ']'; {
		n := len(l.imps)
		m := place{prev: prev, key: int32(s.x[k]), val: int32(s.x[k]), ord: int32(n)}
		l.imps = append(l.imps, impLayout{received: int32(n), jumps: int32(len(l.impJumps))})
		start := k
		if known := s.known(&l.imps[n]); known != nil && known.fate == impStays {
			s.shift(&l.imps[n], known, int32(s.x[k])-known.key)
			k += int(known.tokens)
		} else if k = s.nested(k, impScan, int32(inImps+n*impContainers+inImp), l.imps[n].at[:]); k < 0 {
			return k
		}
		l.imps[n].tokens = int32(k - start)
		k = s.item(k, &m)
		prev, l.imps[n].place = m.end, m
	}
	l.in[inImpList] = container{open: int32(open), close: int32(s.x[k]), n: int32(len(l.imps))}
	return k + 1
}

// known is the impression as received, of one in a shared body.
func (s *layoutScan) known(m *impLayout) *impLayout {
	if s.from == nil {
		return nil
	}
	for s.from.imps[s.nextImp].fate == impGoes {
		s.nextImp++
	}
	known := &s.from.imps[s.nextImp]
	m.received, s.impJump = int32(s.nextImp), int(known.jumps)
	s.nextImp++
	return known
}

// shift makes the layout of an impression that stays as it is, but elsewhere.
func (s *layoutScan) shift(m, known *impLayout, by int32) {
	l := s.l
	m.at, m.in, m.pmpDeals = known.at, known.in, known.pmpDeals
	for i := range m.at {
		m.at[i].shift(by)
	}
	m.pmpDeals.shift(by)
	for i := range m.in {
		if c := &m.in[i]; c.there() {
			c.open += by
			c.close += by
		}
	}
	m.deals = span{int32(len(l.deals)), known.deals.n}
	for _, d := range s.from.deals[known.deals.off : known.deals.off+known.deals.n] {
		d.shift(by)
		l.deals = append(l.deals, d)
	}
	m.ext = span{int32(len(l.members)), known.ext.n}
	for _, x := range s.from.members[known.ext.off : known.ext.off+known.ext.n] {
		x.shift(by)
		l.members = append(l.members, x)
	}
}

// shift moves a place that is there.
func (m *place) shift(by int32) {
	if m.there() {
		m.prev += by
		m.key += by
		m.val += by
		m.end += by
		m.next += by
	}
}

// lastImp is the impression being scanned.
func (s *layoutScan) lastImp() (m *impLayout, in int32) {
	n := len(s.l.imps) - 1
	return &s.l.imps[n], int32(inImps + n*impContainers)
}

func (s *layoutScan) impValue(k, slot int) int {
	m, in := s.lastImp()
	switch slot {
	case atPMP:
		m.pmpDeals, m.deals, m.in[inDeals] = place{}, span{}, container{}
		var at [1]place
		k = s.nested(k, pmpScan, in+inPMP, at[:])
		m.pmpDeals = at[0]
		return k
	case atImpExt:
		from := int32(len(s.l.members))
		k = s.nested(k, impExtScan, in+inImpExt, nil)
		m.ext = span{from, int32(len(s.l.members)) - from}
		return k
	}
	return s.skip(k)
}

func (s *layoutScan) dealList(k int) int {
	l := s.l
	m, in := s.lastImp()
	m.deals, m.in[inDeals] = span{}, container{}
	if s.b[s.x[k]] != '[' {
		return s.skip(k)
	}
	from, open := int32(len(l.deals)), s.x[k]
	prev := int32(open + 1)
	for k++; s.b[s.x[k]] != ']'; {
		d := dealLayout{place: place{prev: prev, key: int32(s.x[k]), val: int32(s.x[k]), ord: int32(len(l.deals)) - from}}
		if k = s.deal(k, &d.id); k < 0 {
			return k
		}
		k = s.item(k, &d.place)
		prev = d.end
		l.deals = append(l.deals, d)
	}
	n := int32(len(l.deals)) - from
	*l.container(in + inDeals) = container{open: int32(open), close: int32(s.x[k]), n: n}
	m.deals = span{from, n}
	return k + 1
}

func (s *layoutScan) deal(k int, id *Str) int {
	if s.b[s.x[k]] != '{' {
		return s.skip(k)
	}
	var at [1]place
	dead := len(s.l.dead)
	k = s.object(k, dealScan, -1, at[:])
	// A deal stays as it is or goes: what is inside is not touched.
	s.l.dead = s.l.dead[:dead]
	if k >= 0 && at[0].there() && s.b[at[0].val] == '"' {
		s.str(int(at[0].val), id)
	}
	return k
}

// bury orders the dead members and forgets those inside of others, whose
// containers are now those of the last of the name.
func (s *layoutScan) bury() {
	dead := s.l.dead
	for i := 1; i < len(dead); i++ {
		for k := i; k > 0 && dead[k].key < dead[k-1].key; k-- {
			dead[k], dead[k-1] = dead[k-1], dead[k]
		}
	}
	kept, end := dead[:0], int32(0)
	for _, d := range dead {
		if d.key >= end {
			kept, end = append(kept, d), d.end
		}
	}
	s.l.dead = kept
}
