package openrtb

import (
	"fmt"
	"slices"
)

// responseShape is what the checker knows of responses.
var responseShape = func() *shape {
	of := func(texts, wholes, sizes []string, more map[string]shapeMember) *shape {
		s := &shape{members: more}
		for how, names := range map[valueHow][]string{textHow: texts, wholeHow: wholes, sizeHow: sizes} {
			for _, name := range names {
				s.members[name] = shapeMember{how: how}
			}
		}
		for name := range s.members {
			s.names = append(s.names, name)
		}
		slices.Sort(s.names)
		return s
	}
	bid := of([]string{"id", "impid", "nurl", "burl", "lurl", "adm", "adid", "bundle", "iurl", "cid", "crid", "tactic", "language", "langb", "dealid"},
		[]string{"cattax", "api", "protocol", "qagmediarating", "mtype", "slotinpod"}, []string{"w", "h", "wratio", "hratio", "exp", "dur"},
		map[string]shapeMember{"price": {how: decimalHow}, "adomain": {}, "cat": {}, "attr": {}, "apis": {}, "ext": {}})
	seat := of([]string{"seat"}, []string{"group"}, nil, map[string]shapeMember{"bid": {how: listHow, child: bid}, "ext": {}})
	return of([]string{"id", "bidid", "cur", "customdata"}, []string{"nbr"}, nil, map[string]shapeMember{"seatbid": {how: listHow, child: seat}, "ext": {}})
}()

// Response checks a bidder's answer; request, which may be nil, is what it
// answers: then each bid is judged under the policy.
func (c *Checker) Response(status int, body, request []byte, policy *Policy) []Finding {
	c.begin()
	answer, e := ReadAnswer(status, body, &c.res)
	switch answer {
	case NoBid:
		if status == 204 {
			return c.end()
		}
	case BadStatus:
		c.add(Fault, 2, "", 0, "answer 200 with a body, or 204", "status %d", status)
		return c.end()
	case EmptyBody:
		c.add(Fault, 2, "", 0, "answer 204, or {} for no bid", "nothing at all")
		return c.end()
	case Malformed:
		c.refused(e)
		c.findings[len(c.findings)-1].Rule = 2
		return c.end()
	}
	p := parser{b: body, key: &c.key, limit: DefaultLimits(), imp: -1}
	c.walk(&p, p.space(0), "", responseShape)
	if c.res.BadCur {
		c.add(Fault, 9, "cur", 0, "send an ISO 4217 code, as USD", "no currency: no price means anything")
	}
	var verdicts []Verdict
	if request != nil {
		if e := Parse(request, &c.req); e.OK() {
			c.judge.Begin(&c.req, policy)
			verdicts = c.judge.Judge(&c.res)
			if answer == Bids && !c.judge.IDMatches(&c.res) {
				c.add(Warning, 6, "id", 0, fmt.Sprintf("send the request's: %q", c.req.ID), "%q is not the request's id", c.res.ID)
			}
		} else {
			c.add(Fault, 4, "", 0, "give the request that was answered", "the request is refused: %v", e)
		}
	}
	n := 0
	for s := range c.res.Seats {
		for k, b := range c.res.BidsOf(&c.res.Seats[s]) {
			path := fmt.Sprintf("seatbid[%d].bid[%d]", s, k)
			if verdicts != nil {
				c.bid(path, &b, &verdicts[n])
			} else {
				c.bid(path, &b, nil)
			}
			n++
		}
	}
	return c.end()
}

// bid tells what is wrong with one bid: by the judge, if there is a request.
func (c *Checker) bid(path string, b *DemandBid, v *Verdict) {
	switch {
	case b.Invalid:
		c.add(Fault, 5, path, 0, "correct its values", "a value cannot be read: the bid is dropped")
	case v != nil && v.Reason != Accepted:
		c.add(Fault, v.Reason.Rule(), path, 0, v.Reason.remedy(), "rejected: %s (loss reason %d, %v)", v.Reason, v.Reason.Loss(), v.Reason.Loss())
	case v == nil && b.ImpID.IsZero():
		c.add(Fault, 6, path+".impid", 0, "name the impression", "absent: the bid is dropped")
	case v == nil && (b.Price < 0 || b.Price == 0 && b.DealID.IsZero()):
		c.add(Fault, 7, path+".price", 0, BadPrice.remedy(), "%v is no price: the bid is dropped", b.Price)
	case v == nil && b.Adm.IsZero() && b.NURL.IsZero():
		c.add(Fault, 17, path+".adm", 0, NoMarkup.remedy(), "neither adm nor nurl: nothing to show")
	}
	if b.ID.IsZero() {
		c.add(Warning, 13, path+".id", 0, "give each bid an id of its own", "absent: the specification requires it")
	}
	if b.CRID.IsZero() {
		c.add(Warning, 7, path+".crid", 0, "send the creative's id", "absent: many exchanges drop the bid")
	}
	if b.ADomain.Len() == 0 {
		c.add(Warning, 11, path+".adomain", 0, "send the advertiser's domain", "absent: blocked advertisers can't be told, and many exchanges drop the bid")
	}
	if b.MType == 0 {
		c.add(Warning, 8, path+".mtype", 0, "send 1 for banner, 2 video, 3 audio, 4 native", "absent: the type is inferred where it can be")
	}
}

var remedies = [rejectReasons]string{
	InvalidBid:       "correct its values",
	UnknownImp:       "send the id of an impression of the request",
	InvalidImp:       "nothing to do for the bidder: the request's impression is invalid",
	BadPrice:         "send a price above 0; 0 is for deals",
	MissingCRID:      "send crid",
	WrongMedia:       "send markup and mtype of a type the impression offers",
	UnknownMedia:     "send mtype",
	UnknownCurrency:  "send an ISO 4217 code in cur, as USD",
	ForeignCurrency:  "bid in a currency of the request's cur; absent means USD",
	NoRate:           "bid in the auction's currency: there is no rate for this one",
	BelowFloor:       "bid at least the impression's bidfloor",
	BelowDeal:        "bid at least the deal's bidfloor",
	PrivateOnly:      "bid on a deal of the impression: its auction is private",
	UnknownDeal:      "send the id of a deal of the impression, or none",
	DealSeat:         "bid from a seat in the deal's wseat",
	DealDomain:       "bid for an advertiser in the deal's wadomain, and send adomain",
	BlockedSeat:      "bid from a seat that wseat and bseat allow",
	BlockedDomain:    "bid for an advertiser that is not in badv",
	MissingADomain:   "send adomain",
	BlockedCategory:  "send a creative of a category that is not in bcat",
	BlockedApp:       "advertise an app that is not in bapp",
	BlockedAttribute: "send a creative without the attributes in battr",
	BlockedAdType:    "send markup of a type that is not in btype",
	NotSecure:        "load everything by https: the impression is secure",
	GroupBroken:      "bid so that each impression of the group can be won, or send group 0",
	NoMarkup:         "send adm, or a nurl that answers with the markup",
}

func (r RejectReason) remedy() string { return remedies[r] }
