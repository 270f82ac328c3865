package strict

import (
	"reflect"
	"strings"
	"sync"
	"unicode"
)

// plan is how a struct type is decoded; built once a type.
type plan struct {
	byName map[string]int
	names  []string
	fields [][]int // index paths for FieldByIndex
}

var plans sync.Map // reflect.Type → *plan

func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := &plan{byName: map[string]int{}}
	p.add(t, nil)
	got, _ := plans.LoadOrStore(t, p)
	return got.(*plan)
}

func (p *plan) add(t reflect.Type, base []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		index := append(append([]int(nil), base...), i)
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
		case strings.Contains(options, "inline") && f.Type.Kind() == reflect.Struct:
			p.add(f.Type, index)
		default:
			if name == "" {
				name = snake(f.Name)
			}
			if _, twice := p.byName[name]; twice {
				panic("strict: two fields of " + t.String() + " are named " + name)
			}
			p.byName[name] = len(p.fields)
			p.names = append(p.names, name)
			p.fields = append(p.fields, index)
		}
	}
}

func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		lowerBefore := i > 0 && unicode.IsLower(runes[i-1])
		lowerAfter := i > 0 && i+1 < len(runes) && unicode.IsLower(runes[i+1])
		if unicode.IsUpper(r) && (lowerBefore || lowerAfter) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
