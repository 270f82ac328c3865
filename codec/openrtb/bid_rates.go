package openrtb

import (
	"cmp"
	"math"
	"math/bits"
	"slices"

	"millrace/codec/unit"
)

// Rate is what one unit of the table's base is in a currency, in billionths.
type Rate struct {
	Cur     unit.Currency
	PerBase unit.Nanos
}

// Rates convert between currencies, exactly as the table says: in integers,
// rounded half away from zero. They are immutable and may be shared.
type Rates struct {
	rates []Rate // by currency
}

// NewRates makes a table; base is the currency all rates are against. Rates of
// 0 or less are left out.
func NewRates(base unit.Currency, rates []Rate) *Rates {
	t := &Rates{rates: []Rate{{base, unit.NanosPerUnit}}}
	for _, r := range rates {
		if r.PerBase > 0 && r.Cur != base {
			t.rates = append(t.rates, r)
		}
	}
	slices.SortStableFunc(t.rates, func(a, b Rate) int { return cmp.Compare(code(a.Cur), code(b.Cur)) })
	return t
}

func code(c unit.Currency) uint32 { return uint32(c[0])<<16 | uint32(c[1])<<8 | uint32(c[2]) }

// per is the rate of a currency, 0 if the table has none.
func (t *Rates) per(c unit.Currency) uint64 {
	lo, hi := 0, len(t.rates)
	for lo < hi {
		switch mid := (lo + hi) / 2; {
		case t.rates[mid].Cur == c:
			return uint64(t.rates[mid].PerBase)
		case code(t.rates[mid].Cur) < code(c):
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return 0
}

// Convert is the price in another currency; ok is false if a rate is missing
// or the result too large. A nil table knows that a currency is itself.
func (t *Rates) Convert(price unit.CPMMicros, from, to unit.Currency) (converted unit.CPMMicros, ok bool) {
	if from == to {
		return price, true
	}
	a, b := t.pair(from, to)
	amount := uint64(price)
	if price < 0 {
		amount = -amount
	}
	n, ok := scaled(amount, b, a, a/2)
	if price < 0 {
		n = -n
	}
	return n, ok
}

// ConvertUp is a floor in another currency, rounded up: whoever bids it bids,
// converted back, no less than the floor. ok as for Convert, and false for
// negative floors.
func (t *Rates) ConvertUp(floor unit.CPMMicros, from, to unit.Currency) (converted unit.CPMMicros, ok bool) {
	if from == to {
		return floor, floor >= 0
	}
	a, b := t.pair(from, to)
	if floor < 0 || a == 0 {
		return 0, false
	}
	return scaled(uint64(floor), b, a, a-1)
}

// pair are the rates of two currencies, both 0 if one is missing.
func (t *Rates) pair(from, to unit.Currency) (a, b uint64) {
	if t == nil {
		return 0, 0
	}
	if a, b = t.per(from), t.per(to); a == 0 || b == 0 {
		return 0, 0
	}
	return a, b
}

// scaled is (amount × b + more) / a, if a is not 0 and it is an int64.
func scaled(amount, b, a, more uint64) (unit.CPMMicros, bool) {
	hi, lo := bits.Mul64(amount, b)
	lo, carry := bits.Add64(lo, more, 0)
	if hi += carry; hi >= a { // also if a is 0
		return 0, false
	}
	n, _ := bits.Div64(hi, lo, a)
	if n > math.MaxInt64 {
		return 0, false
	}
	return unit.CPMMicros(n), true
}
