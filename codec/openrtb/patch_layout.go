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
	n           int32 // members; of a list only whether there are any
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

	// How many tokens the members without a place have, in order: those of the
	// request, and those of the impressions.
	rootJumps, impJumps []int32
}

type span struct{ off, n int32 }

type impLayout struct {
	place
	received int32 // its index in the request as received
	// Of the received body: its tokens, where its jumps begin, and what
	// becomes of it in the shared body at hand.
	tokens, jumps int32
	fate          impFate
	at            [impPlaces]place
	pmpDeals      place
	in            [impContainers]container
	deals         span
	ext           span
}

type impFate uint8

const (
	impStays impFate = iota
	impChanges
	impGoes
)

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

// scanKind tells which members of an object are of interest.
type scanKind uint8

const (
	rootScan scanKind = iota
	userScan
	userExtScan
	regsScan
	regsExtScan
	sourceScan
	sourceExtScan
	schainScan
	schain25Scan
	impScan
	pmpScan
	dealScan
	// Of these every member is recorded.
	impExtScan
	extScan
)

func placeOf(kind scanKind, k []byte) int {
	switch kind {
	case rootScan:
		return rootPlaceOf(k)
	case impScan:
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
	case userScan:
		switch string(k) {
		case "id":
			return atUserID
		case "buyeruid":
			return atBuyerUID
		case "ext":
			return atUserExt
		}
		return placeOf(userExtScan, k)
	case userExtScan:
		switch string(k) {
		case "consent":
			return atConsent
		case "eids":
			return atEIDs
		}
	case regsScan:
		if string(k) == "ext" {
			return atRegsExt
		}
		return placeOf(regsExtScan, k)
	case regsExtScan:
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
	case sourceScan:
		switch string(k) {
		case "schain":
			return atSChain
		case "ext":
			return atSourceExt
		}
	case sourceExtScan:
		if string(k) == "schain" {
			return atSChain
		}
	case schainScan, schain25Scan:
		if string(k) == "nodes" {
			return 0
		}
	case pmpScan:
		if string(k) == "deals" {
			return 0
		}
	case dealScan:
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
