package gbdt

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// jsonDocument is a document over JSON text. It takes what XGBoost writes beyond
// the standard: NaN, Infinity and -Infinity.
type jsonDocument struct {
	b     []byte
	at    int
	depth int
	fresh [maxNesting + 1]bool // nothing was taken from the container at this depth
}

func (d *jsonDocument) fail(format string, args ...any) error {
	return fmt.Errorf("at byte %d: %w", d.at, fmt.Errorf(format, args...))
}

// peek is the first byte of the next token, 0 at the end.
func (d *jsonDocument) peek() byte {
	for ; d.at < len(d.b); d.at++ {
		switch c := d.b[d.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

func (d *jsonDocument) expect(c byte) error {
	if got := d.peek(); got == 0 {
		return d.fail("%w", errCut)
	} else if got != c {
		return d.fail("%q where %q should be", got, c)
	}
	d.at++
	return nil
}

func (d *jsonDocument) kind() (kind, error) {
	switch d.peek() {
	case 0:
		return 0, d.fail("%w", errCut)
	case '{':
		return kindObject, nil
	case '[':
		return kindArray, nil
	case '"':
		return kindText, nil
	}
	return kindOther, nil
}

func (d *jsonDocument) open(c byte) error {
	if err := d.expect(c); err != nil {
		return err
	}
	if d.depth == maxNesting {
		return d.fail("%w", errNesting)
	}
	d.depth++
	d.fresh[d.depth] = true
	return nil
}

// more leaves the container at its closing byte, or takes the comma.
func (d *jsonDocument) more(closing byte) (bool, error) {
	if d.peek() == closing {
		d.at++
		d.depth--
		return false, nil
	}
	if d.fresh[d.depth] {
		d.fresh[d.depth] = false
		return true, nil
	}
	return true, d.expect(',')
}

func (d *jsonDocument) openObject() error          { return d.open('{') }
func (d *jsonDocument) openArray() error           { return d.open('[') }
func (d *jsonDocument) nextElement() (bool, error) { return d.more(']') }

func (d *jsonDocument) nextKey() (string, bool, error) {
	ok, err := d.more('}')
	if err != nil || !ok {
		return "", false, err
	}
	key, err := d.text()
	if err != nil {
		return "", false, err
	}
	return key, true, d.expect(':')
}

func (d *jsonDocument) text() (string, error) {
	if err := d.expect('"'); err != nil {
		return "", err
	}
	start, plain := d.at, true
	for ; d.at < len(d.b); d.at++ {
		switch c := d.b[d.at]; {
		case c == '\\':
			plain = false
			d.at++
		case c == '"':
			d.at++
			if plain {
				return string(d.b[start : d.at-1]), nil
			}
			var s string
			if err := json.Unmarshal(d.b[start-1:d.at], &s); err != nil {
				return "", d.fail("a string: %w", err)
			}
			return s, nil
		}
	}
	d.at = len(d.b)
	return "", d.fail("%w", errCut)
}

// word is the bytes of a number or literal.
func (d *jsonDocument) word() ([]byte, error) {
	if d.peek() == 0 {
		return nil, d.fail("%w", errCut)
	}
	start := d.at
	for ; d.at < len(d.b); d.at++ {
		c := d.b[d.at]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '+' || c == '.') {
			break
		}
	}
	if d.at == start {
		return nil, d.fail("%q where a value should be", d.b[start])
	}
	return d.b[start:d.at], nil
}

func (d *jsonDocument) number() (float32, error) {
	w, err := d.word()
	if err != nil {
		return 0, err
	}
	// Straight to a float32, as XGBoost reads it: by way of a float64 it could
	// be rounded twice. Beyond the range is ±Inf, which the caller judges.
	v, err := strconv.ParseFloat(string(w), 32)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, d.fail("%.20q is not a number", w)
	}
	return float32(v), nil
}

func (d *jsonDocument) integer() (int64, error) {
	w, err := d.word()
	if err != nil {
		return 0, err
	}
	switch string(w) {
	case "true":
		return 1, nil
	case "false":
		return 0, nil
	}
	v, err := strconv.ParseInt(string(w), 10, 64)
	if err != nil {
		return 0, d.fail("%.20q is not an integer", w)
	}
	return v, nil
}

func (d *jsonDocument) skip() error {
	k, err := d.kind()
	if err != nil {
		return err
	}
	switch k {
	case kindObject:
		return object(d, func(string) error { return d.skip() })
	case kindArray:
		return array(d, func(int) error { return d.skip() })
	case kindText:
		_, err = d.text()
	default:
		_, err = d.word()
	}
	return err
}

func (d *jsonDocument) end() error {
	if d.peek() != 0 || d.at < len(d.b) {
		return d.fail("%q after the model's end", d.b[d.at])
	}
	return nil
}
