package market

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/prebid/openrtb/v20/openrtb2"

	"millrace/bench/sim"
	"millrace/netio/dsp"
)

// Misdeeds of bidders, counted: a world in which one never happens proves nothing
// about it.
const (
	late = iota
	never
	noBid
	wrongID
	wrongImp
	wrongCurrency
	belowFloor
	garbage
	html
	huge
	serverError
	rateLimit
	empty
	repeated
	reset
	lost
	refused
	grouped
	several
	unknownDeal
	blocked
	noMarkup
	badPrice
	slow

	misdeeds
)

var misdeedNames = [misdeeds]string{
	"late", "never", "no-bid", "wrong-id", "wrong-imp", "wrong-currency", "below-floor", "garbage", "html", "huge", "server-error", "rate-limit",
	"empty", "repeated-bid", "reset", "lost", "refused", "group", "several-bids", "unknown-deal", "blocked", "no-markup", "bad-price", "slow",
}

// behave draws what a bidder does with a request.
func (w *world) behave(p *partner, q *openrtb2.BidRequest) sim.Reply {
	r := w.random
	reply := sim.Reply{After: time.Duration(1+r.IntN(45)) * time.Millisecond, Outcome: dsp.Answered, Status: 200}
	deed := -1
	if r.IntN(10) < p.mood {
		deed = r.IntN(misdeeds)
		w.result.Misdeeds[misdeedNames[deed]]++
	}
	switch deed {
	case late:
		reply.After = time.Duration(60+r.IntN(200)) * time.Millisecond
	case slow:
		reply.After = time.Duration(45+r.IntN(40)) * time.Millisecond
	case never:
		reply.Never = true
	case noBid:
		return noBidOf(r, reply)
	case garbage:
		reply.Body = []byte([]string{"{", "null", "[]", `{"seatbid":7}`, "\x00\xff", `{"id":"x","seatbid":[{"bid":[{"price":`}[r.IntN(6)])
		return reply
	case html:
		reply.Body = []byte("<!DOCTYPE html><html><body>502 Bad Gateway</body></html>")
		return reply
	case huge:
		reply.Outcome, reply.Status = dsp.TooLarge, 0
		return reply
	case serverError:
		reply.Status, reply.Body = 500+r.IntN(3), []byte(`{"id":"x"}`)
		return reply
	case rateLimit:
		reply.Status, reply.RetryAfter = 429, time.Duration(r.IntN(2000))*time.Millisecond
		return reply
	case empty:
		return reply
	case reset:
		reply.Outcome, reply.Status = []dsp.Outcome{dsp.Reset, dsp.Malformed, dsp.BadEncoding}[r.IntN(3)], 0
		return reply
	case lost:
		reply.Outcome, reply.Status = []dsp.Outcome{dsp.Lost, dsp.Unprocessed}[r.IntN(2)], 0
		return reply
	case refused:
		reply.Refused = dsp.RefusedBusy
		return reply
	}
	reply.Body = w.bidsOf(p, q, deed)
	return reply
}

// noBidOf draws one of the forms of no bid.
func noBidOf(r *rand.Rand, reply sim.Reply) sim.Reply {
	switch r.IntN(4) {
	case 0:
		reply.Status = 204
	case 1:
		reply.Body = []byte(`{}`)
	case 2:
		reply.Body = []byte(`{"id":"x","seatbid":[]}`)
	default:
		reply.Body = []byte(`{"id":"x","nbr":2}`)
	}
	return reply
}

// bidsOf writes a BidResponse, honest but for the deed.
func (w *world) bidsOf(p *partner, q *openrtb2.BidRequest, deed int) []byte {
	r := w.random
	id, cur, group := q.ID, p.cur, 0
	var bids []string
	for i := range q.Imp {
		if r.IntN(4) == 0 && len(q.Imp) > 1 {
			continue
		}
		n := 1
		if deed == several {
			n = 2 + r.IntN(2)
		}
		for range n {
			bids = append(bids, w.bidOn(p, &q.Imp[i], deed))
		}
	}
	switch deed {
	case wrongID:
		id = "another's"
	case wrongCurrency:
		cur = []string{"EUR", "GBP", "USD", "DOLLARS", "XXX"}[r.IntN(5)]
	case repeated:
		bids = append(bids, bids...)
	case grouped:
		group = 1
	}
	return fmt.Appendf(nil, `{"id":%q,"bidid":"x","cur":%q,"seatbid":[{"seat":"seat-%s","group":%d,"bid":[%s]}]}`, id, cur, p.name, group, strings.Join(bids, ","))
}

func (w *world) bidOn(p *partner, imp *openrtb2.Imp, deed int) string {
	r := w.random
	w.uid++
	impID, deal, domain, price := imp.ID, "", "brand.example", int64(100_000+r.IntN(4*one))
	adm := fmt.Sprintf(`"adm":"<i>%d ${AUCTION_PRICE}</i>",`, w.uid)
	if imp.PMP != nil && r.IntN(2) == 0 {
		deal = imp.PMP.Deals[r.IntN(len(imp.PMP.Deals))].ID
	}
	if r.IntN(8) == 0 && imp.BidFloor > 0 {
		price = int64(imp.BidFloor*one + 0.5) // equal passes
	}
	switch deed {
	case wrongImp:
		impID = "99"
	case belowFloor:
		price = int64(1 + r.IntN(100_000))
	case unknownDeal:
		deal = "d9"
	case blocked:
		domain = "www.bad.example"
	case noMarkup:
		adm = ""
	case badPrice:
		price = -int64(r.IntN(2)) * one
	}
	sign := ""
	if price < 0 {
		sign, price = "-", -price
	}
	text := fmt.Sprintf(`{"id":"b%d","impid":%q,"price":%s%s,%s"crid":"c%d","adomain":[%q],"nurl":"https://n.example/%d","burl":"https://b.example/%d?p=${AUCTION_PRICE}","lurl":"https://l.example/%d?r=${AUCTION_LOSS}"`,
		w.uid, impID, sign, decimal(price), adm, w.uid, domain, w.uid, w.uid, w.uid)
	if deed == noMarkup {
		text = strings.Replace(text, fmt.Sprintf(`"nurl":"https://n.example/%d",`, w.uid), "", 1)
	}
	if deal != "" {
		text += fmt.Sprintf(`,"dealid":%q`, deal)
	}
	return text + "}"
}
