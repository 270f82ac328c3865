package openrtb

// place is where a member of an object, or an item of an array, lies in the
// body, and what surrounds it: that is what it takes to cut it out.
//
//	{"a":1, "b":2 ,"c":3}
//	      ▲ ▲  ▲▲  ▲
//	   prev key││  next      (of b)
//	        val┘└end
type place struct {
	prev, key, val, end, next int32
	ord                       int32 // how many members precede it
}

func (m *place) there() bool { return m.end > 0 }

// container is an object or an array whose members may be edited.
type container struct {
	open, close int32 // its brackets
	n           int32 // members
	// Of the splices being written: members cut, how many of those at the
	// front, members added.
	cut, lead, added int32
}

func (c *container) there() bool { return c.close > 0 }

// Places in the layout, object by object.
const (
	atImp = iota
	atTMax
	atAt
	atCur
	atTest
	atBCat
	atBAdv
	atBApp
	atWSeat
	atBSeat
	atUser
	atRegs
	atSource
	atExt
	rootPlaces
)

const (
	atUserID = iota
	atBuyerUID
	atConsent
	atEIDs
	atUserExt
	userPlaces
)

const (
	atGDPR = iota
	atUSPrivacy
	atGPP
	atGPPSID
	atRegsExt
	regsPlaces
)

const (
	atSChain = iota
	atSourceExt
	sourcePlaces
)

const (
	atFloor = iota
	atFloorCur
	atRwdd
	atPMP
	atImpExt
	impPlaces
)

// Containers of the layout; those of impression i follow at inImps + i ×
// impContainers.
const (
	inRoot = iota
	inImpList
	inBCat
	inBAdv
	inBApp
	inWSeat
	inUser
	inUserExt
	inRegs
	inRegsExt
	inSource
	inSourceExt
	inSChain
	inNodes
	inSChain25
	inNodes25
	inExt
	inImps
)

const (
	inImp = iota
	inPMP
	inDeals
	inImpExt
	impContainers
)

// layout is where the members of a body lie.
type layout struct {
	root           [rootPlaces]place
	user           [userPlaces]place
	userExt        [userPlaces]place // the 2.5 places, by the same index
	regs           [regsPlaces]place
	regsExt        [regsPlaces]place
	source         [sourcePlaces]place
	sourceExt      [sourcePlaces]place
	nodes, nodes25 place
	in             [inImps]container
	imps           []impLayout
	deals          []dealLayout
	members        []memberLayout
	ext            span // of members: the request's ext
	dead           []deadPlace
}

type span struct{ off, n int32 }

type impLayout struct {
	place
	received int32 // its index in the request as received
	at       [impPlaces]place
	pmpDeals place
	in       [impContainers]container
	deals    span
	ext      span
}

type dealLayout struct {
	place
	id Str
}

// memberLayout is a member of an ext.
type memberLayout struct {
	place
	name Str
}

// deadPlace is a member that a later one of the same name overrules.
type deadPlace struct {
	place
	in int32
}

func (l *layout) container(in int32) *container {
	if in < inImps {
		return &l.in[in]
	}
	in -= inImps
	return &l.imps[in/impContainers].in[in%impContainers]
}

// live is how many members of a container are not overruled.
func (l *layout) live(in int32) int32 {
	n := l.container(in).n
	for i := range l.dead {
		if l.dead[i].in == in {
			n--
		}
	}
	return n
}

// layoutScan fills a layout in one pass over a body.
type layoutScan struct {
	parser
	l *layout
}

// objectKind tells which members of an object are of interest.
type objectKind uint8

const (
	rootObject objectKind = iota
	userObject
	userExtObject
	regsObject
	regsExtObject
	sourceObject
	sourceExtObject
	schainObject
	schain25Object
	impObject
	pmpObject
	dealObject
	// Of these every member is recorded.
	impExtObject
	extObject
)

func (s *layoutScan) run() {
	l := s.l
	members, deals, imps, dead := emptied(l.members), emptied(l.deals), emptied(l.imps), emptied(l.dead)
	*l = layout{members: members, deals: deals, imps: imps, dead: dead}
	i := s.space(0)
	if i >= len(s.b) || s.b[i] != '{' {
		s.fail(i, Syntax)
		return
	}
	if i = s.object(i, rootObject, inRoot, l.root[:]); i < 0 {
		return
	}
	if i = s.space(i); i < len(s.b) {
		s.fail(i, Syntax)
		return
	}
	s.bury()
}

// object records the members of the object at i.
func (s *layoutScan) object(i int, kind objectKind, in int32, at []place) int {
	n, prev := int32(0), i+1
	open := i
	k, i := s.first(i)
	for k != nil {
		m := place{prev: int32(prev), val: int32(i), ord: n}
		m.key = int32(s.begin(prev))
		slot := placeOf(kind, k)
		member := -1
		if kind >= impExtObject {
			member = len(s.l.members)
			s.l.members = append(s.l.members, memberLayout{name: s.name(int(m.key))})
		}
		if i = s.value(i, kind, slot); i < 0 {
			return i
		}
		n++
		prev = i
		m.end = int32(i)
		k, i = s.next(i)
		if k != nil {
			m.next = int32(s.begin(prev))
		} else {
			m.next = int32(i - 1)
		}
		switch {
		case slot >= 0:
			if at[slot].there() {
				s.l.dead = append(s.l.dead, deadPlace{at[slot], in})
			}
			at[slot] = m
		case member >= 0:
			s.l.members[member].place = m
		}
	}
	if i >= 0 && in >= 0 {
		*s.l.container(in) = container{open: int32(open), close: int32(i - 1), n: n}
	}
	return i
}

// begin is where the next member or item begins, after the bracket or value
// that ends at i.
func (s *layoutScan) begin(i int) int {
	for ; i < len(s.b) && (s.b[i] <= ' ' || s.b[i] == ','); i++ {
	}
	return i
}

// name is the key at i as it stands.
func (s *layoutScan) name(i int) Str {
	end, escaped := s.scan(i + 1)
	if end <= i+1 {
		return Str{}
	}
	return Str{p: &s.b[i+1], n: uint32(end - i - 1), escaped: escaped}
}

// placeOf is the index of a member's place in its object, or -1.
func placeOf(kind objectKind, k []byte) int {
	switch kind {
	case rootObject:
		return rootPlaceOf(k)
	case impObject:
		switch string(k) {
		case "bidfloor":
			return atFloor
		case "bidfloorcur":
			return atFloorCur
		case "rwdd":
			return atRwdd
		case "pmp":
			return atPMP
		case "ext":
			return atImpExt
		}
	case userObject:
		switch string(k) {
		case "id":
			return atUserID
		case "buyeruid":
			return atBuyerUID
		case "ext":
			return atUserExt
		}
		return placeOf(userExtObject, k)
	case userExtObject:
		switch string(k) {
		case "consent":
			return atConsent
		case "eids":
			return atEIDs
		}
	case regsObject:
		if string(k) == "ext" {
			return atRegsExt
		}
		return placeOf(regsExtObject, k)
	case regsExtObject:
		switch string(k) {
		case "gdpr":
			return atGDPR
		case "us_privacy":
			return atUSPrivacy
		case "gpp":
			return atGPP
		case "gpp_sid":
			return atGPPSID
		}
	case sourceObject:
		switch string(k) {
		case "schain":
			return atSChain
		case "ext":
			return atSourceExt
		}
	case sourceExtObject:
		if string(k) == "schain" {
			return atSChain
		}
	case schainObject, schain25Object:
		if string(k) == "nodes" {
			return 0
		}
	case pmpObject:
		if string(k) == "deals" {
			return 0
		}
	case dealObject:
		if string(k) == "id" {
			return 0
		}
	}
	return -1
}

func rootPlaceOf(k []byte) int {
	switch string(k) {
	case "imp":
		return atImp
	case "tmax":
		return atTMax
	case "at":
		return atAt
	case "cur":
		return atCur
	case "test":
		return atTest
	case "bcat":
		return atBCat
	case "badv":
		return atBAdv
	case "bapp":
		return atBApp
	case "wseat":
		return atWSeat
	case "bseat":
		return atBSeat
	case "user":
		return atUser
	case "regs":
		return atRegs
	case "source":
		return atSource
	case "ext":
		return atExt
	}
	return -1
}

// value goes over a member's value and records what is inside it. What an
// earlier member of the same name recorded is forgotten.
func (s *layoutScan) value(i int, kind objectKind, slot int) int {
	if slot < 0 {
		return s.skip(i)
	}
	l := s.l
	switch kind {
	case rootObject:
		return s.rootValue(i, slot)
	case userObject:
		if slot == atUserExt {
			l.userExt = [userPlaces]place{}
			return s.nested(i, userExtObject, inUserExt, l.userExt[:])
		}
	case regsObject:
		if slot == atRegsExt {
			l.regsExt = [regsPlaces]place{}
			return s.nested(i, regsExtObject, inRegsExt, l.regsExt[:])
		}
	case sourceObject:
		if slot == atSChain {
			return s.chain(i, schainObject, inSChain, inNodes, &l.nodes)
		}
		l.sourceExt, l.in[inSChain25], l.in[inNodes25] = [sourcePlaces]place{}, container{}, container{}
		return s.nested(i, sourceExtObject, inSourceExt, l.sourceExt[:])
	case sourceExtObject:
		if slot == atSChain {
			return s.chain(i, schain25Object, inSChain25, inNodes25, &l.nodes25)
		}
	case schainObject:
		return s.list(i, inNodes)
	case schain25Object:
		return s.list(i, inNodes25)
	case impObject:
		return s.impValue(i, slot)
	case pmpObject:
		return s.dealList(i)
	}
	return s.skip(i)
}

func (s *layoutScan) rootValue(i, slot int) int {
	l := s.l
	switch slot {
	case atImp:
		return s.impList(i)
	case atBCat, atBAdv, atBApp, atWSeat:
		return s.list(i, int32(slot-atBCat)+inBCat)
	case atUser:
		l.user, l.userExt, l.in[inUserExt] = [userPlaces]place{}, [userPlaces]place{}, container{}
		return s.nested(i, userObject, inUser, l.user[:])
	case atRegs:
		l.regs, l.regsExt, l.in[inRegsExt] = [regsPlaces]place{}, [regsPlaces]place{}, container{}
		return s.nested(i, regsObject, inRegs, l.regs[:])
	case atSource:
		l.source, l.sourceExt, l.in[inSourceExt] = [sourcePlaces]place{}, [sourcePlaces]place{}, container{}
		l.in[inSChain], l.in[inNodes], l.in[inSChain25], l.in[inNodes25] = container{}, container{}, container{}, container{}
		return s.nested(i, sourceObject, inSource, l.source[:])
	case atExt:
		from := int32(len(l.members))
		i = s.nested(i, extObject, inExt, nil)
		l.ext = span{from, int32(len(l.members)) - from}
		return i
	}
	return s.skip(i)
}

// nested records an object; any other value has nothing inside.
func (s *layoutScan) nested(i int, kind objectKind, in int32, at []place) int {
	if *s.l.container(in) = (container{}); s.b[i] != '{' {
		return s.skip(i)
	}
	return s.object(i, kind, in, at)
}

func (s *layoutScan) chain(i int, kind objectKind, in, nodesIn int32, nodes *place) int {
	*nodes, s.l.in[nodesIn] = place{}, container{}
	var at [1]place
	i = s.nested(i, kind, in, at[:])
	*nodes = at[0]
	return i
}

// list records an array as a whole: where it ends and how many items it has.
func (s *layoutScan) list(i int, in int32) int {
	c := s.l.container(in)
	if *c = (container{}); s.b[i] != '[' {
		return s.skip(i)
	}
	open, n := i, int32(0)
	i, done := s.firstItem(i)
	for !done {
		if i = s.skip(i); i < 0 {
			return i
		}
		n++
		i, done = s.nextItem(i)
	}
	if i >= 0 {
		*c = container{open: int32(open), close: int32(i - 1), n: n}
	}
	return i
}

func (s *layoutScan) impList(i int) int {
	l := s.l
	l.in[inImpList] = container{}
	l.imps, l.deals = l.imps[:0], l.deals[:0]
	if s.b[i] != '[' {
		return s.skip(i)
	}
	open, prev := i, i+1
	i, done := s.firstItem(i)
	for !done {
		n := len(l.imps)
		if n >= s.limit.Imps {
			return s.fail(i, TooMany)
		}
		l.imps = append(l.imps, impLayout{received: int32(n)})
		m := place{prev: int32(prev), key: int32(i), val: int32(i), ord: int32(n)}
		if i = s.nested(i, impObject, int32(inImps+n*impContainers+inImp), l.imps[n].at[:]); i < 0 {
			return i
		}
		prev = i
		m.end = int32(i)
		if i, done = s.nextItem(i); done {
			m.next = int32(i - 1)
		} else {
			m.next = int32(i)
		}
		l.imps[n].place = m
	}
	if i >= 0 {
		l.in[inImpList] = container{open: int32(open), close: int32(i - 1), n: int32(len(l.imps))}
	}
	return i
}

// lastImp is the impression being scanned.
func (s *layoutScan) lastImp() (m *impLayout, in int32) {
	n := len(s.l.imps) - 1
	return &s.l.imps[n], int32(inImps + n*impContainers)
}

func (s *layoutScan) impValue(i, slot int) int {
	m, in := s.lastImp()
	switch slot {
	case atPMP:
		m.pmpDeals, m.deals, m.in[inDeals] = place{}, span{}, container{}
		var at [1]place
		i = s.nested(i, pmpObject, in+inPMP, at[:])
		m.pmpDeals = at[0]
		return i
	case atImpExt:
		from := int32(len(s.l.members))
		i = s.nested(i, impExtObject, in+inImpExt, nil)
		m.ext = span{from, int32(len(s.l.members)) - from}
		return i
	}
	return s.skip(i)
}

func (s *layoutScan) dealList(i int) int {
	l := s.l
	m, in := s.lastImp()
	m.deals, m.in[inDeals] = span{}, container{}
	if s.b[i] != '[' {
		return s.skip(i)
	}
	from := int32(len(l.deals))
	open, prev, n := i, i+1, int32(0)
	i, done := s.firstItem(i)
	for !done {
		d := dealLayout{place: place{prev: int32(prev), key: int32(i), val: int32(i), ord: n}}
		if i = s.deal(i, &d.id); i < 0 {
			return i
		}
		n++
		prev = i
		d.end = int32(i)
		if i, done = s.nextItem(i); done {
			d.next = int32(i - 1)
		} else {
			d.next = int32(i)
		}
		l.deals = append(l.deals, d)
	}
	if i >= 0 {
		*l.container(in + inDeals) = container{open: int32(open), close: int32(i - 1), n: n}
		m.deals = span{from, n}
	}
	return i
}

func (s *layoutScan) deal(i int, id *Str) int {
	if s.b[i] != '{' {
		return s.skip(i)
	}
	var at [1]place
	dead := len(s.l.dead)
	i = s.object(i, dealObject, -1, at[:])
	// A deal stays as it is or goes: what is inside is not touched.
	s.l.dead = s.l.dead[:dead]
	if i >= 0 && at[0].there() && s.b[at[0].val] == '"' {
		s.str(int(at[0].val), id)
	}
	return i
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
