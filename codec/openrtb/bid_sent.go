package openrtb

import "millrace/codec/unit"

// JudgeSent is Judge for the answer of a bidder that was sent the request with
// an edit: its bids are held against what it was asked, and so against the
// impressions, deals, floors, currencies, auction type and blocks of the edit
// besides those of the request. What the edit sets anew (floors, currencies, the
// auction type) replaces the request's; lists that it adds to are both held. A
// nil edit is none. The edit must stay unchanged during the call only.
func (j *Judge) JudgeSent(res *BidResponse, sent *Edit) []Verdict {
	j.sent = sent
	verdicts := j.Judge(res)
	j.sent = nil
	return verdicts
}

// editOf is what the bidder's request said otherwise of an impression, nil if
// nothing.
func (j *Judge) editOf(imp int32) *ImpEdit {
	if j.sent == nil {
		return nil
	}
	for i := range j.sent.Imps {
		if j.sent.Imps[i].Imp == imp {
			return &j.sent.Imps[i]
		}
	}
	return nil
}

// asked reports whether the bidder was asked for an impression.
func (j *Judge) asked(imp int32) bool {
	if j.sent == nil || imp < 0 {
		return true
	}
	e := j.editOf(imp)
	return e != nil && !e.Drop || e == nil && !j.sent.OnlyImps
}

// at is the auction type that the bidder was told.
func (j *Judge) at() AuctionType {
	switch {
	case j.sent != nil && j.sent.At != 0:
		return j.sent.At
	case j.req.At != 0:
		return j.req.At
	}
	return SecondPricePlus
}

// floor is the floor of an open bid on an impression, as the bidder was told.
func (j *Judge) floor(m *Imp, imp int32) (floor unit.CPMMicros, cur unit.Currency) {
	floor, cur = m.BidFloor, m.BidFloorCur
	if e := j.editOf(imp); e != nil {
		if e.HasFloor {
			floor = e.Floor
		}
		if e.FloorCur != (unit.Currency{}) {
			cur = e.FloorCur
		}
	}
	return floor, cur
}

// offered reports whether the bidder was shown a deal of the impression.
func (j *Judge) offered(d *Deal, imp int32) bool {
	e := j.editOf(imp)
	if e == nil || !e.OnlyDeals {
		return true
	}
	for _, id := range e.Deals {
		if d.ID.Equal(id) {
			return true
		}
	}
	return false
}

// seatSent applies the seats that the edit adds where the request names none.
func (j *Judge) seatSent(seat Str) bool {
	if j.sent == nil || len(j.sent.WSeat) == 0 || j.req.WSeat.Len() > 0 {
		return true
	}
	for _, s := range j.sent.WSeat {
		if seat.Equal(s) {
			return true
		}
	}
	return false
}

// sentBAdv holds the domains that the edit blocks.
func (j *Judge) sentBAdv(domains []Str) bool {
	for _, d := range domains {
		var text []byte
		text, j.text = d.Text(j.text)
		for _, blocked := range j.sent.BAdv {
			if j.markup = append(j.markup[:0], blocked...); under(text, j.markup) {
				return true
			}
		}
	}
	return false
}

// sentBApp holds the apps that the edit blocks.
func (j *Judge) sentBApp(bundle Str) bool {
	for _, blocked := range j.sent.BApp {
		var text []byte
		if text, j.text = bundle.Text(j.text); foldEqual(text, blocked) {
			return true
		}
	}
	return false
}

// sentBCat holds the categories that the edit blocks: added to bcat, they are
// codes of the request's taxonomy.
func (j *Judge) sentBCat(b *DemandBid) bool {
	for _, c := range j.res.Strs(b.Cat) {
		var text []byte
		text, j.text = c.Text(j.text)
		for _, blocked := range j.sent.BCat {
			if j.below(taxonomy(b.CatTax), text, blocked) {
				return true
			}
		}
	}
	return false
}

// below reports whether a category is a blocked one or below it.
func (j *Judge) below(tax CategoryTaxonomy, code []byte, blocked string) bool {
	if foldEqual(code, blocked) {
		return true
	}
	if n := len(blocked); tax == IABContent10 {
		return len(code) > n && code[n] == '-' && foldEqual(code[:n], blocked)
	}
	for range tiersMax {
		parent := j.policy.Parents.of(tax, code)
		if parent == "" {
			return false
		}
		if j.markup = append(j.markup[:0], parent...); foldEqual(j.markup, blocked) {
			return true
		}
		code = j.markup
	}
	return false
}

// foldEqual compares with ASCII letters of either case alike.
func foldEqual(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}
