package strict

import (
	"encoding"
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"millrace/codec/unit"
)

// Decode reads YAML or JSON text into the struct that into points to, and lists
// every fault: syntax, unknown and repeated keys, values of the wrong type or
// out of range. file names the text in faults; a name that ends in ".json"
// makes YAML unacceptable.
//
// Fields are named by the tag `yaml:"name"` (or their name in snake_case);
// "-" hides a field and ",inline" lifts the fields of an embedded struct.
// Supported are structs, pointers, slices, maps with text keys, text, truth
// values, integers, floats, time.Duration ("90s", "36h", "7d"), Bytes,
// unit.Nanos, unit.CPMMicros, unit.Currency and every encoding.TextUnmarshaler.
// A type outside these is a mistake of the program: Decode panics.
//
// The Source is never nil; after a syntax fault it knows no places.
func Decode(file string, data []byte, into any) (*Source, Faults) {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		panic("strict: Decode needs a pointer to a struct")
	}
	source := &Source{file: file}
	root, nodes, faults, ok := read(file, data)
	d := decoder{file: file, faults: faults, visitsLeft: 16*nodes + 100_000}
	if ok {
		source.root = &root
		if root.kind == nodeNull {
			root.kind = nodeMap // a file of comments
		}
		d.value(&root, target.Elem())
	}
	for i := range d.faults {
		d.faults[i].File = file
	}
	d.faults.Sort()
	return source, d.faults
}

func read(file string, data []byte) (root node, nodes int, faults Faults, ok bool) {
	isJSON := strings.EqualFold(filepath.Ext(file), ".json")
	if isJSON || looksLikeJSON(data) {
		root, nodes, fault, ok := readJSON(data)
		if ok || isJSON {
			if !ok {
				faults = Faults{fault}
			}
			return root, nodes, faults, ok
		}
		// YAML's flow style opens with the same bracket.
	}
	return readYAML(data)
}

// Bytes is a size in bytes, written "512", "64KiB", "16MiB", "2GB".
type Bytes int64

var (
	typeDuration = reflect.TypeFor[time.Duration]()
	typeNanos    = reflect.TypeFor[unit.Nanos]()
	typeCPM      = reflect.TypeFor[unit.CPMMicros]()
	typeCurrency = reflect.TypeFor[unit.Currency]()
	typeBytes    = reflect.TypeFor[Bytes]()
	typeText     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

type decoder struct {
	file   string
	faults Faults
	// path is the steps to the current value; joined only for a fault.
	path []step
	// visitsLeft ends a file whose aliases multiply ("billion laughs").
	visitsLeft int
}

type step struct {
	name  string
	index int // ≥ 0: an element of a list, name is empty
}

func (d *decoder) field() string {
	var b strings.Builder
	for _, s := range d.path {
		if s.name == "" {
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s.name)
	}
	return b.String()
}

func (d *decoder) fault(n *node, problem, remedy string) {
	d.faults = append(d.faults, Fault{Line: int(n.line), Column: int(n.column), Field: d.field(), Problem: problem, Remedy: remedy})
}

func (d *decoder) value(n *node, v reflect.Value) {
	if d.visitsLeft--; d.visitsLeft <= 0 {
		if d.visitsLeft == 0 {
			d.fault(n, "its aliases make the file too large", "write the values out")
		}
		return
	}
	if n.kind == nodeNull {
		return
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(n, v.Elem())
		return
	}
	if d.special(n, v) {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, v)
	case reflect.Slice:
		d.list(n, v)
	case reflect.Map:
		d.dictionary(n, v)
	default:
		if !n.scalar() {
			d.fault(n, "want "+wanted(v.Type())+", found "+n.kind.noun(), oneValue)
			return
		}
		d.scalar(n, v)
	}
}

// oneValue is the remedy where there are keys or a list.
const oneValue = "write one value"

// special decodes the types that have their own text form.
func (d *decoder) special(n *node, v reflect.Value) bool {
	var problem, remedy string
	t := v.Type()
	switch {
	case t == typeDuration || t == typeNanos || t == typeCPM || t == typeCurrency || t == typeBytes:
		if !n.scalar() {
			problem, remedy = "want "+wanted(t)+", found "+n.kind.noun(), oneValue
			break
		}
		problem, remedy = special[t](n.text, v)
	case v.CanAddr() && reflect.PointerTo(t).Implements(typeText):
		if !n.scalar() {
			problem, remedy = "want one value, found "+n.kind.noun(), oneValue
			break
		}
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text)); err != nil {
			problem = fmt.Sprintf("%q: %v", n.text, err)
			if r, ok := err.(interface{ Remedy() string }); ok {
				remedy = r.Remedy()
			}
		}
	default:
		return false
	}
	if problem != "" {
		d.fault(n, problem, remedy)
	}
	return true
}

func (d *decoder) list(n *node, v reflect.Value) {
	if n.kind != nodeList {
		d.fault(n, "want a list, found "+n.kind.noun(), "write [ … ] around it, or one \"- \" line for each")
		return
	}
	s := reflect.MakeSlice(v.Type(), len(n.children), len(n.children))
	d.path = append(d.path, step{})
	for i := range n.children {
		d.path[len(d.path)-1] = step{index: i}
		d.value(&n.children[i], s.Index(i))
	}
	d.path = d.path[:len(d.path)-1]
	v.Set(s)
}

func (d *decoder) dictionary(n *node, v reflect.Value) {
	if v.Type().Key().Kind() != reflect.String {
		panic("strict: cannot decode into " + v.Type().String())
	}
	if !d.keyed(n) {
		return
	}
	m := reflect.MakeMapWithSize(v.Type(), len(n.children)/2)
	seen := map[string]uint32{}
	for i := 0; i < len(n.children); i += 2 {
		key, value := &n.children[i], &n.children[i+1]
		d.path = append(d.path, step{name: key.text})
		if line, twice := seen[key.text]; twice {
			d.twice(key, line)
		}
		seen[key.text] = key.line
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(value, e)
		m.SetMapIndex(reflect.ValueOf(key.text).Convert(v.Type().Key()), e)
		d.path = d.path[:len(d.path)-1]
	}
	v.Set(m)
}

func (d *decoder) keyed(n *node) bool {
	if n.kind == nodeMap {
		return true
	}
	d.fault(n, "want \"key: value\" lines, found "+n.kind.noun(), "write the fields below it, indented")
	return false
}

func (d *decoder) twice(key *node, line uint32) {
	d.fault(key, "written twice, first in line "+strconv.Itoa(int(line)), "keep one of them")
}

func (d *decoder) structure(n *node, v reflect.Value) {
	if !d.keyed(n) {
		return
	}
	plan := planOf(v.Type())
	var seenBuffer [48]uint32
	seen := seenBuffer[:]
	if len(plan.fields) > len(seen) {
		seen = make([]uint32, len(plan.fields))
	}
	for i := 0; i < len(n.children); i += 2 {
		key, value := &n.children[i], &n.children[i+1]
		f, known := plan.byName[key.text]
		d.path = append(d.path, step{name: key.text})
		switch {
		case !known:
			d.fault(key, "unknown key", Remedy(key.text, plan.names))
		case seen[f] != 0:
			d.twice(key, seen[f])
		default:
			seen[f] = max(key.line, 1)
			d.value(value, v.FieldByIndex(plan.fields[f]))
		}
		d.path = d.path[:len(d.path)-1]
	}
}
