package dspfleet

import (
	"bytes"
	"strconv"
	"sync"

	"millrace/codec/unit"
)

// Kinds of notices, as they stand in the path: /w/3?...
const (
	noticeWin  = 'w'
	noticeBill = 'b'
	noticeLoss = 'l'
)

// noticesSeenMax bounds what is remembered to tell repeats; then it starts
// anew.
const noticesSeenMax = 1 << 20

// notices counts what the exchange reports, and holds it against what was bid.
type notices struct {
	seed uint64
	dsps []*dsp

	mu   sync.Mutex
	seen map[uint64]struct{} // guarded by mu
}

// Notices are the notices one bidder got.
type Notices struct {
	Wins   uint64 `json:"wins"`
	Billed uint64 `json:"billed"`
	Lost   uint64 `json:"lost"`
	// Repeats came before; they change nothing.
	Repeats uint64 `json:"repeats"`
	// Faults: not of this bidder, a macro left in, no price, a price above the
	// bid, another currency.
	Faults    uint64 `json:"faults"`
	LastFault string `json:"last_fault,omitempty"`
	// Spend is the sum of what was billed, in the bidder's currency.
	Spend float64 `json:"spend"`
	// LossReasons counts lurls by AUCTION_LOSS.
	LossReasons map[string]uint64 `json:"loss_reasons,omitempty"`

	spend unit.Nanos
}

// take counts a notice by its request target; false where there is none such.
func (n *notices) take(path, query []byte) bool {
	if len(path) < 4 || path[0] != '/' || path[2] != '/' {
		return false
	}
	kind := path[1]
	i, err := strconv.Atoi(string(path[3:]))
	if err != nil || i < 0 || i >= len(n.dsps) || kind != noticeWin && kind != noticeBill && kind != noticeLoss {
		return false
	}
	price, fault := n.judge(kind, i, query)
	d := n.dsps[i]
	d.mu.Lock()
	defer d.mu.Unlock()
	if fault == "" && n.repeated(kind, query) {
		d.notices.Repeats++
		return true
	}
	switch {
	case fault != "":
		d.notices.Faults++
		d.notices.LastFault = fault + ": " + string(path) + "?" + string(query)
	case kind == noticeWin:
		d.notices.Wins++
	case kind == noticeBill:
		d.notices.Billed++
		d.notices.spend += price.PerImpression()
	default:
		d.notices.Lost++
		if d.notices.LossReasons == nil {
			d.notices.LossReasons = map[string]uint64{}
		}
		if reason := string(value(query, "l")); len(d.notices.LossReasons) < 100 {
			d.notices.LossReasons[reason]++
		}
	}
	return true
}

// judge is the reported price, or what is wrong with the notice.
func (n *notices) judge(kind byte, dsp int, query []byte) (unit.CPMMicros, string) {
	key, err1 := strconv.ParseUint(string(value(query, "i")), 16, 64)
	sealed, err2 := strconv.ParseUint(string(value(query, "k")), 16, 64)
	bid, err3 := unit.ParseCPM(string(value(query, "b")))
	if err1 != nil || err2 != nil || err3 != nil || sealed != seal(n.seed, kind, dsp, key, bid) {
		return 0, "not a notice of this bidder"
	}
	if kind == noticeLoss {
		if _, err := strconv.Atoi(string(value(query, "l"))); err != nil {
			return 0, "no loss reason"
		}
		return 0, ""
	}
	price, err := unit.ParseCPM(string(value(query, "p")))
	switch cur := n.dsps[dsp].behaviour.Load().Currency; {
	case err != nil:
		return 0, "no price"
	case price < 0 || price > bid:
		return 0, "more than was bid"
	case string(value(query, "c")) != cur.String():
		return 0, "not the currency of the bid"
	}
	return price, ""
}

func (n *notices) repeated(kind byte, query []byte) bool {
	key, _ := strconv.ParseUint(string(value(query, "k")), 16, 64)
	key += uint64(kind) << 1
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.seen[key]; ok {
		return true
	}
	if n.seen == nil || len(n.seen) >= noticesSeenMax {
		n.seen = map[uint64]struct{}{}
	}
	n.seen[key] = struct{}{}
	return false
}

// value is a parameter of a query, as it stands there.
func value(query []byte, name string) []byte {
	for len(query) > 0 {
		pair, rest, _ := bytes.Cut(query, []byte{'&'})
		if k, v, ok := bytes.Cut(pair, []byte{'='}); ok && string(k) == name {
			return v
		}
		query = rest
	}
	return nil
}
