package unit

import (
	"errors"
	"math"
	"strconv"
)

// Nanos is an amount of money in 1e-9 of a currency unit. The currency travels
// beside it. The range is ±9.2 billion units.
type Nanos int64

// CPMMicros is a price per thousand impressions in 1e-6 of a currency unit.
type CPMMicros int64

const (
	// NanosPerUnit is one whole unit (a dollar, a euro) in nanos.
	NanosPerUnit Nanos = 1_000_000_000
	// MicrosPerUnit is one whole unit of CPM in micros.
	MicrosPerUnit CPMMicros = 1_000_000
)

// PerImpression is the exact price of one impression: 1e-6 a thousand is 1e-9
// a piece.
func (c CPMMicros) PerImpression() Nanos { return Nanos(c) }

// CPM is the price per thousand at which one impression costs n.
func (n Nanos) CPM() CPMMicros { return CPMMicros(n) }

// Float is the amount in whole units, for the codec and for display only.
func (n Nanos) Float() float64 { return float64(n) / float64(NanosPerUnit) }

// Float is the CPM in whole units, for the codec and for display only.
func (c CPMMicros) Float() float64 { return float64(c) / float64(MicrosPerUnit) }

// Append appends the amount as a plain decimal without trailing zeros: "1.5".
func (n Nanos) Append(dst []byte) []byte { return appendDecimal(dst, int64(n), 9) }

// String is the amount as a plain decimal: "1.5".
func (n Nanos) String() string { return string(n.Append(nil)) }

// Append appends the CPM as a plain decimal without trailing zeros: "1.5".
func (c CPMMicros) Append(dst []byte) []byte { return appendDecimal(dst, int64(c), 6) }

// String is the CPM as a plain decimal: "1.5".
func (c CPMMicros) String() string { return string(c.Append(nil)) }

// ErrAmount is returned for text that is not an exact plain decimal.
var ErrAmount = errors.New("not a plain decimal amount with at most the allowed decimals")

// ParseNanos reads a plain decimal ("12", "12.50", "-0.000000001") exactly.
// More than nine decimals, exponents and overflow are ErrAmount.
func ParseNanos(s string) (Nanos, error) {
	v, err := parseDecimal(s, 9)
	return Nanos(v), err
}

// ParseCPM reads a CPM in whole units with at most six decimals, exactly.
func ParseCPM(s string) (CPMMicros, error) {
	v, err := parseDecimal(s, 6)
	return CPMMicros(v), err
}

// CPMFromFloat converts a CPM in whole units as OpenRTB carries it (a JSON
// number) to micros, rounding half away from zero. ok is false for NaN,
// infinities and amounts outside the range of Nanos.
func CPMFromFloat(f float64) (c CPMMicros, ok bool) {
	v := math.Round(f * float64(MicrosPerUnit))
	if !(v > -9.2e18 && v < 9.2e18) {
		return 0, false
	}
	return CPMMicros(v), true
}

func appendDecimal(dst []byte, v int64, decimals int) []byte {
	u := uint64(v)
	if v < 0 {
		dst = append(dst, '-')
		u = -u
	}
	scale := uint64(1)
	for range decimals {
		scale *= 10
	}
	dst = strconv.AppendUint(dst, u/scale, 10)
	frac := u % scale
	if frac == 0 {
		return dst
	}
	dst = append(dst, '.')
	for scale /= 10; frac > 0; scale /= 10 {
		dst = append(dst, byte('0'+frac/scale))
		frac %= scale
	}
	return dst
}

func parseDecimal(s string, decimals int) (int64, error) {
	neg := false
	if s != "" && (s[0] == '-' || s[0] == '+') {
		neg, s = s[0] == '-', s[1:]
	}
	var v uint64
	digits, fraction := 0, -1
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '.' && fraction < 0:
			fraction = 0
			continue
		case c < '0' || c > '9':
			return 0, ErrAmount
		}
		digits++
		if fraction >= 0 {
			if fraction == decimals {
				if c != '0' {
					return 0, ErrAmount
				}
				continue
			}
			fraction++
		}
		if v > (math.MaxInt64-uint64(c-'0'))/10 {
			return 0, ErrAmount
		}
		v = v*10 + uint64(c-'0')
	}
	if digits == 0 {
		return 0, ErrAmount
	}
	for f := max(fraction, 0); f < decimals; f++ {
		if v > math.MaxInt64/10 {
			return 0, ErrAmount
		}
		v *= 10
	}
	if neg {
		return -int64(v), nil
	}
	return int64(v), nil
}

// Currency is an ISO 4217 code in upper case. The zero value is "not given".
type Currency [3]byte

// USD is OpenRTB's default currency.
var USD = Currency{'U', 'S', 'D'}

// ParseCurrency reads a three-letter code in any case.
func ParseCurrency[T string | []byte](s T) (c Currency, ok bool) {
	if len(s) != 3 {
		return c, false
	}
	for i := range 3 {
		b := s[i] &^ 0x20
		if b < 'A' || b > 'Z' {
			return Currency{}, false
		}
		c[i] = b
	}
	return c, true
}

// String is the code, or "" where none was given.
func (c Currency) String() string {
	if c == (Currency{}) {
		return ""
	}
	return string(c[:])
}
