package event

import "millrace/codec/unit"

// Kind is what happened.
type Kind uint8

// Kinds of events. The zero value is no kind: a forgotten one is malformed.
const (
	// Impression is an ad shown.
	Impression Kind = iota + 1
	// Click is an ad clicked; its token carries the landing page.
	Click
	// Conversion is what the advertiser wanted in the end.
	Conversion

	// Kinds is the number of kinds; Kind.Index is below it.
	Kinds = 3
)

// Index is the kind's place in a table of Kinds entries.
func (k Kind) Index() int { return int(k) - 1 }

// Valid reports whether k is one of the kinds.
func (k Kind) Valid() bool { return k >= Impression && k <= Conversion }

// Path is the request path at which events of the kind are received.
func (k Kind) Path() string {
	switch k {
	case Impression:
		return "/e/i"
	case Click:
		return "/e/c"
	case Conversion:
		return "/e/v"
	}
	return ""
}

// String is the kind's name in logs and metrics.
func (k Kind) String() string {
	switch k {
	case Impression:
		return "impression"
	case Click:
		return "click"
	case Conversion:
		return "conversion"
	}
	return "unknown"
}

// KindOf is the kind received at path.
func KindOf(path []byte) (Kind, bool) {
	switch string(path) {
	case "/e/i":
		return Impression, true
	case "/e/c":
		return Click, true
	case "/e/v":
		return Conversion, true
	}
	return 0, false
}

// WinID names one won impression, unique for ever: Seq is dense within
// (Node, Epoch, Shard), and a node never lives through an epoch twice.
type WinID struct {
	Node  unit.NodeID
	Epoch unit.Epoch
	Shard unit.ShardID
	Seq   uint64
}

// Group is a number for requests alike: whoever makes it says which. 0 is none.
type Group uint32

// GroupMax is the greatest there is: in a token it takes three bytes at most.
const GroupMax Group = 1<<20 - 1

// Token is what a tracking URL says about its win.
type Token struct {
	Kind Kind
	// Test marks a win for a request with test = 1: never billed, budgeted or reported.
	Test bool
	// Billable: this kind of event is what the line item pays for.
	Billable bool

	Win      WinID
	User     unit.UserID
	Campaign unit.CampaignID
	Line     unit.LineID
	Creative unit.CreativeID
	// CampaignAccount and LineAccount are charged; 0 is none.
	CampaignAccount unit.AccountID
	LineAccount     unit.AccountID

	// Price of this event, if it is billable, in Currency.
	Price unit.Nanos
	// Reserved was held in the accounts when the win was made.
	Reserved unit.Nanos
	Currency unit.Currency
	// Day of the accounts on which the reservation was made.
	Day unit.Day

	// Issued and Expires are carried in whole seconds, Issued rounded down
	// and Expires up, so that a token never dies before its time.
	Issued  unit.WallTime
	Expires unit.WallTime

	// Sale is of a win that a bidder has; then Campaign names the bidder, Line its
	// seat, Creative its creative, Price is what it owes for an impression, and
	// Landing is its own notice. Such a token carries neither Policy nor Group.
	Sale Sale
	// Policy is what chose the win.
	Policy Policy
	// Group is whom and where it was shown to, for counts by group.
	Group Group

	// Landing is the page a click goes to. After Parse it is a slice of the
	// scratch buffer.
	Landing []byte
}

// Notice is what an exchange tells of a bid of ours.
type Notice uint8

// Notices. The zero value is none: the token is not of a sale.
const (
	// Billed: the impression counts (burl). Only this one is an event.
	Billed Notice = iota + 1
	// WonThere: the bid won the exchange's auction (nurl).
	WonThere
	// LostThere: it did not (lurl).
	LostThere

	noticeEnd
)

// Valid reports whether n is one of the notices.
func (n Notice) Valid() bool { return n >= Billed && n < noticeEnd }

// Path is the request path at which notices of the kind are received: what is
// billed comes as an impression.
func (n Notice) Path() string {
	switch n {
	case Billed:
		return Impression.Path()
	case WonThere:
		return "/n/w"
	case LostThere:
		return "/n/l"
	}
	return ""
}

// String is the notice's name in metrics.
func (n Notice) String() string {
	if n < noticeEnd {
		return [...]string{"none", "billed", "won", "lost"}[n]
	}
	return "unknown"
}

// NoticeOf is the notice received at path, of those that are no events.
func NoticeOf(path []byte) (Notice, bool) {
	switch string(path) {
	case "/n/w":
		return WonThere, true
	case "/n/l":
		return LostThere, true
	}
	return 0, false
}

// Sale is what a token says of an impression sold on to a bidder.
type Sale struct {
	// Notice the token is for; 0: there was no sale.
	Notice Notice
	// Bid is what we bid the exchange for the impression, in Currency.
	Bid      unit.Nanos
	Currency unit.Currency
	// Buyer is the bidder's name. After Parse it is a slice of the scratch
	// buffer.
	Buyer []byte

	// Reported is what the exchange says that it charges, if Told. It comes
	// beside the token, not in it.
	Reported unit.Nanos
	Told     bool
}

// BuyerMax is the longest name of a bidder that a token carries, in bytes.
const BuyerMax = 64

// Limits of a token's size; a longer landing page does not fit in the URLs
// that clients and proxies pass on.
const (
	// LandingMax is the longest landing URL a token carries, in bytes.
	LandingMax = 4096
	// TextMax is the longest text Parse looks at, in bytes.
	TextMax = 6144
)
