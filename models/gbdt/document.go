package gbdt

import (
	"errors"
	"fmt"
)

// document reads JSON or UBJSON in one pass, in the order of the file, so that
// what is not needed is never built. Every method takes the next value; its
// errors say where in the file they are.
//
// Containers: after openObject, nextKey until it says false; after openArray,
// nextElement until it says false; between two of these calls exactly one value
// is taken.
type document interface {
	kind() (kind, error)
	openObject() error
	nextKey() (key string, ok bool, err error)
	openArray() error
	nextElement() (ok bool, err error)
	text() (string, error)
	number() (float32, error)
	integer() (int64, error) // also of a truth value, 0 or 1
	skip() error
	end() error // nothing but space may follow
}

// kind is what a value is, as far as a loader must know before it takes it.
type kind uint8

const (
	kindOther kind = iota
	kindObject
	kindArray
	kindText
)

// maxNesting is how deep containers may nest; XGBoost's own are 7 deep.
const maxNesting = 32

var errNesting = fmt.Errorf("more than %d containers within each other", maxNesting)

var errCut = errors.New("the file ends too early; copy it again")

// object calls member for each key; member takes the value.
func object(d document, member func(key string) error) error {
	if err := d.openObject(); err != nil {
		return err
	}
	for {
		key, ok, err := d.nextKey()
		if err != nil || !ok {
			return err
		}
		if err := member(key); err != nil {
			return fmt.Errorf("%.60s: %w", key, err)
		}
	}
}

// array calls element for each; element takes the value.
func array(d document, element func(i int) error) error {
	if err := d.openArray(); err != nil {
		return err
	}
	for i := 0; ; i++ {
		ok, err := d.nextElement()
		if err != nil || !ok {
			return err
		}
		if err := element(i); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
}

// numbers takes an array of at most limit numbers.
func numbers(d document, limit int, into *[]float32) error {
	*into = (*into)[:0]
	return array(d, func(i int) error {
		if i >= limit {
			return fmt.Errorf("more than %d numbers", limit)
		}
		v, err := d.number()
		*into = append(*into, v)
		return err
	})
}

// indices takes an array of at most limit integers from -2³¹ to 2³¹ - 1; what
// is above reads as 2³¹ - 1, which is no index either.
func indices(d document, limit int, into *[]int32) error {
	*into = (*into)[:0]
	return array(d, func(i int) error {
		if i >= limit {
			return fmt.Errorf("more than %d numbers", limit)
		}
		v, err := d.integer()
		*into = append(*into, int32(min(max(v, -1<<31), 1<<31-1)))
		return err
	})
}
