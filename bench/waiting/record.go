package main

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"millrace/codec/corpus"
	"millrace/codec/unit"
)

// call is what one partner made of one auction.
type call struct {
	latency time.Duration  // never where it is never
	price   unit.CPMMicros // 0 = no bid
}

const never = time.Hour

// record is calls by auction and partner.
type record struct {
	partners int
	calls    []call // auction after auction
}

func (r *record) auctions() int             { return len(r.calls) / r.partners }
func (r *record) of(a int) []call           { return r.calls[a*r.partners : (a+1)*r.partners] }
func (c *call) bidsBy(d time.Duration) bool { return c.price > 0 && c.latency <= d }

// nature of a partner.
type nature struct {
	median, sigma, bid, price float64
}

func lognormal(r *rand.Rand, median, sigma float64) float64 {
	return median * math.Exp(r.NormFloat64()*sigma)
}

// generate makes a record; prices, if there are any, are what base prices are
// drawn from.
func generate(seed uint64, partners, auctions int, prices []float64) *record {
	r := rand.New(rand.NewPCG(seed, 0x77616974))
	who := make([]nature, partners)
	for i := range who {
		who[i] = nature{
			median: 12 * math.Exp(r.Float64()*math.Log(60.0/12)), sigma: 0.25 + 0.2*r.Float64(),
			bid: 0.05 + 0.4*r.Float64(), price: 0.5 * math.Exp(r.Float64()*math.Log(6)),
		}
	}
	rec := &record{partners: partners, calls: make([]call, 0, partners*auctions)}
	for a := range auctions {
		if a == auctions/2 {
			who[0].median *= 2
			who[1%partners].bid /= 2
		}
		user := lognormal(r, 1, 0.5)
		for i := range who {
			rec.calls = append(rec.calls, who[i].call(r, user, prices))
		}
	}
	return rec
}

func (n *nature) call(r *rand.Rand, user float64, prices []float64) call {
	took := lognormal(r, n.median, n.sigma)
	c := call{}
	if r.Float64() < n.bid {
		base := lognormal(r, 1, 0.6)
		if len(prices) > 0 {
			base = prices[r.IntN(len(prices))]
		}
		c.price = unit.CPMMicros(base * n.price * user * 1e6)
		took *= 1.25
	}
	switch luck := r.Float64(); {
	case luck < 0.005:
		return call{latency: never}
	case luck < 0.025:
		took *= 3
	}
	c.latency = time.Duration(took * float64(time.Millisecond)).Round(time.Microsecond)
	return c
}

// corpusPrices are the prices of recorded bids, by their median: what they are
// of is not known.
func corpusPrices() ([]float64, error) {
	dir := corpus.Dir()
	if dir == "" {
		return nil, errors.New("there is no corpus beside the repository: leave -corpus out, or name its folder in $" + corpus.Env)
	}
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(corpus.Exchanges)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var prices []float64
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var x struct {
			Response struct {
				SeatBid []struct {
					Bid []struct {
						Price float64 `json:"price"`
					} `json:"bid"`
				} `json:"seatbid"`
			} `json:"response"`
		}
		if json.Unmarshal(lines.Bytes(), &x) != nil {
			continue // recorded answers are not all what they should be
		}
		for _, s := range x.Response.SeatBid {
			for _, b := range s.Bid {
				if b.Price > 0 && b.Price < 1000 {
					prices = append(prices, b.Price)
				}
			}
		}
	}
	if len(prices) == 0 {
		return nil, errors.New(corpus.Exchanges + " has no prices")
	}
	sorted := slices.Sorted(slices.Values(prices))
	median := sorted[len(sorted)/2]
	for i := range prices {
		prices[i] /= median
	}
	return prices, lines.Err()
}

// write writes the record as lines of auction, partner, microseconds (-1 is
// never), CPM in micros (0 is no bid).
func (r *record) write(to io.Writer) error {
	w := bufio.NewWriter(to)
	for a := range r.auctions() {
		for p, c := range r.of(a) {
			micros := c.latency.Microseconds()
			if c.latency >= never {
				micros = -1
			}
			fmt.Fprintf(w, "%d,%d,%d,%d\n", a, p, micros, c.price)
		}
	}
	return w.Flush()
}

// recordMax bounds what a file can make of itself in memory.
const recordMax = 1 << 27

// read reads such lines, in any order; who is not named in an auction was never
// heard of.
func read(from io.Reader) (*record, error) {
	type line struct {
		auction, partner int
		call             call
	}
	var lines []line
	partners, auctions := 0, 0
	in := csv.NewReader(bufio.NewReader(from))
	in.FieldsPerRecord, in.ReuseRecord = 4, true
	for {
		fields, err := in.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		var n [4]int64
		for i, f := range fields {
			if n[i], err = strconv.ParseInt(f, 10, 64); err != nil {
				at, _ := in.FieldPos(i)
				return nil, fmt.Errorf("line %d: %q is no whole number; write auction,partner,microseconds,micros of CPM", at, f)
			}
		}
		if n[0] < 0 || n[1] < 0 || n[1] >= 64 || n[2] < -1 || n[2] > int64(never/time.Microsecond) || n[3] < 0 || n[3] > 1e12 {
			at, _ := in.FieldPos(0)
			return nil, fmt.Errorf("line %d: %v is out of range; partners are 0 to 63, prices in millionths of CPM", at, n)
		}
		c := call{latency: time.Duration(n[2]) * time.Microsecond, price: unit.CPMMicros(n[3])}
		if n[2] < 0 {
			c = call{latency: never}
		}
		lines = append(lines, line{int(n[0]), int(n[1]), c})
		partners, auctions = max(partners, int(n[1])+1), max(auctions, int(n[0])+1)
		if auctions*partners > recordMax {
			return nil, fmt.Errorf("more than %d calls; number auctions from 0 on, without gaps", recordMax)
		}
	}
	if len(lines) == 0 {
		return nil, errors.New("the record is empty")
	}
	r := &record{partners: partners, calls: make([]call, partners*auctions)}
	for i := range r.calls {
		r.calls[i].latency = never
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Or(a.auction-b.auction, a.partner-b.partner) })
	for _, l := range lines {
		r.calls[l.auction*partners+l.partner] = l.call
	}
	return r, nil
}
