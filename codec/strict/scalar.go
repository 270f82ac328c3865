package strict

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"millrace/codec/unit"
)

// wanted names what a type wants, in a sentence.
func wanted(t reflect.Type) string {
	switch t {
	case typeDuration:
		return "a duration"
	case typeNanos, typeCPM:
		return "an amount of money"
	case typeCurrency:
		return "a currency"
	case typeBytes:
		return "a size in bytes"
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

// special is how the types with their own text form are read: the problem and
// its remedy, or "".
var special = map[reflect.Type]func(text string, v reflect.Value) (problem, remedy string){
	typeDuration: func(text string, v reflect.Value) (string, string) {
		t, ok := parseDuration(text)
		if !ok {
			return fmt.Sprintf("%q is not a duration", text), "write a number and a unit: 200ms, 90s, 36h, 7d"
		}
		v.SetInt(int64(t))
		return "", ""
	},
	typeNanos: func(text string, v reflect.Value) (string, string) {
		n, err := unit.ParseNanos(text)
		if err != nil {
			return fmt.Sprintf("%q is not an exact amount of money", text), "write a plain decimal with at most 9 decimals, without exponent or currency sign"
		}
		v.SetInt(int64(n))
		return "", ""
	},
	typeCPM: func(text string, v reflect.Value) (string, string) {
		n, err := unit.ParseCPM(text)
		if err != nil {
			return fmt.Sprintf("%q is not an exact CPM", text), "write a plain decimal with at most 6 decimals, without exponent or currency sign"
		}
		v.SetInt(int64(n))
		return "", ""
	},
	typeCurrency: func(text string, v reflect.Value) (string, string) {
		c, ok := unit.ParseCurrency(text)
		if !ok {
			return fmt.Sprintf("%q is not a currency", text), "write the three letters of ISO 4217: USD, EUR, JPY"
		}
		v.Set(reflect.ValueOf(c))
		return "", ""
	},
	typeBytes: func(text string, v reflect.Value) (string, string) {
		b, ok := parseBytes(text)
		if !ok {
			return fmt.Sprintf("%q is not a size in bytes", text), "write a whole number and a unit: 512B, 64KiB, 16MiB, 2GB"
		}
		v.SetInt(int64(b))
		return "", ""
	},
}

// parseDuration is time.ParseDuration with whole days and weeks, which is how
// people write frequency caps and retention.
func parseDuration(text string) (time.Duration, bool) {
	for _, u := range [...]struct {
		suffix string
		length time.Duration
	}{{"d", 24 * time.Hour}, {"w", 7 * 24 * time.Hour}} {
		if digits, ok := strings.CutSuffix(text, u.suffix); ok {
			n, err := strconv.ParseInt(digits, 10, 64)
			if err != nil || n > int64(math.MaxInt64/u.length) || n < int64(math.MinInt64/u.length) {
				return 0, false
			}
			return time.Duration(n) * u.length, true
		}
	}
	t, err := time.ParseDuration(text)
	return t, err == nil
}

func parseBytes(text string) (Bytes, bool) {
	digits := strings.TrimRight(text, "BKMGTkmgtib ")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return 0, false
	}
	var scale int64
	switch strings.ToLower(strings.TrimSpace(text[len(digits):])) {
	case "", "b":
		scale = 1
	case "kib":
		scale = 1 << 10
	case "mib":
		scale = 1 << 20
	case "gib":
		scale = 1 << 30
	case "tib":
		scale = 1 << 40
	case "kb":
		scale = 1e3
	case "mb":
		scale = 1e6
	case "gb":
		scale = 1e9
	case "tb":
		scale = 1e12
	default:
		return 0, false
	}
	if n > math.MaxInt64/scale {
		return 0, false
	}
	return Bytes(n * scale), true
}

// MarshalText writes the size with the largest unit that is exact.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// String is the size with the largest unit that is exact: "16MiB".
func (b Bytes) String() string {
	units := [...]string{"B", "KiB", "MiB", "GiB", "TiB"}
	u := 0
	for b != 0 && b%1024 == 0 && u+1 < len(units) {
		b /= 1024
		u++
	}
	return strconv.FormatInt(int64(b), 10) + units[u]
}

func (d *decoder) scalar(n *node, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		// Numbers and dates stand for their text: an id may well be 2026.
		if n.kind == nodeBool {
			d.fault(n, "want text, found "+n.kind.noun(), "put quotes around it: \""+n.text+"\"")
			return
		}
		v.SetString(n.text)
	case reflect.Bool:
		if n.kind != nodeBool {
			d.fault(n, fmt.Sprintf("%q is neither true nor false", n.text), "write true or false, without quotes")
			return
		}
		v.SetBool(strings.EqualFold(n.text, "true"))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		bits := v.Type().Bits()
		i, err := strconv.ParseInt(strings.ReplaceAll(n.text, "_", ""), 10, bits)
		if n.kind != nodeInt || err != nil {
			d.notInteger(n, -1<<(bits-1), 1<<(bits-1)-1)
			return
		}
		v.SetInt(i)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		bits := v.Type().Bits()
		u, err := strconv.ParseUint(strings.ReplaceAll(n.text, "_", ""), 10, bits)
		if n.kind != nodeInt || err != nil {
			d.notInteger(n, 0, math.MaxUint64>>(64-bits))
			return
		}
		v.SetUint(u)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(n.text, v.Type().Bits())
		if n.kind != nodeInt && n.kind != nodeFloat || err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			d.fault(n, fmt.Sprintf("%q is not a number", n.text), "write a finite number, without quotes")
			return
		}
		v.SetFloat(f)
	default:
		panic("strict: cannot decode into " + v.Type().String())
	}
}

func (d *decoder) notInteger(n *node, low int64, high uint64) {
	d.fault(n, fmt.Sprintf("%q is not a whole number in range", n.text),
		"write a whole number from "+strconv.FormatInt(low, 10)+" to "+strconv.FormatUint(high, 10)+", without quotes")
}
