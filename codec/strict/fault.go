package strict

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Fault is one thing wrong with a file.
type Fault struct {
	File string `json:"file"`
	// Line and Column count from 1; 0 is "not known".
	Line   int `json:"line"`
	Column int `json:"column"`
	// Field is the path of the value: "advertisers[0].campaigns[2].currency".
	Field string `json:"field"`
	// Problem says what is wrong, Remedy what to write instead.
	Problem string `json:"problem"`
	Remedy  string `json:"remedy,omitempty"`
}

// Error is "file:line:column: field: problem; remedy".
func (f Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		b.WriteString(":" + strconv.Itoa(f.Line))
		if f.Column > 0 {
			b.WriteString(":" + strconv.Itoa(f.Column))
		}
	}
	b.WriteString(": ")
	if f.Field != "" {
		b.WriteString(f.Field + ": ")
	}
	b.WriteString(f.Problem)
	if f.Remedy != "" {
		b.WriteString("; " + f.Remedy)
	}
	return b.String()
}

// Faults is everything wrong with a file, in the order of its lines once Sort
// was called.
type Faults []Fault

// faultsShown bounds the text of an error: a generated file can have the same
// mistake a hundred thousand times. The slice itself holds them all.
const faultsShown = 100

// Error lists the faults, one a line.
func (fs Faults) Error() string {
	var b strings.Builder
	for i, f := range fs {
		if i == faultsShown {
			b.WriteString("\n… and " + strconv.Itoa(len(fs)-i) + " more faults")
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(f.Error())
	}
	return b.String()
}

// Err is the faults as an error, nil where there are none. (A nil Faults in an
// error variable would not be a nil error.)
func (fs Faults) Err() error {
	if len(fs) == 0 {
		return nil
	}
	return fs
}

// FaultsOf finds the faults inside an error.
func FaultsOf(err error) (Faults, bool) {
	var fs Faults
	ok := errors.As(err, &fs)
	return fs, ok
}

// Sort orders the faults by file, line and column.
func (fs Faults) Sort() {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
