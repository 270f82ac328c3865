package strict

import (
	"strconv"
	"strings"
)

type nodeKind uint8

const (
	nodeNull nodeKind = iota
	nodeString
	nodeBool
	nodeInt
	nodeFloat
	nodeOther // a scalar of another tag: timestamp, binary, custom
	nodeList
	nodeMap
)

// noun is the kind in a sentence about what was found.
func (k nodeKind) noun() string {
	return [...]string{"nothing", "text", "a truth value", "a whole number", "a number", "a tagged value", "a list", "a set of keys"}[k]
}

// node is a value of a file. It is a third of a yaml.Node, and held by value in
// its parent: a catalog of 100,000 line items has millions of them. Keys and
// values alternate in the children of a map. The target of an alias is copied,
// which shares its children.
type node struct {
	text         string
	children     []node
	line, column uint32
	kind         nodeKind
}

func (n *node) scalar() bool { return n.kind < nodeList }

// value is the first value of key in a map: the one that was decoded.
func (n *node) value(key string) *node {
	if n.kind != nodeMap {
		return nil
	}
	for i := 0; i+1 < len(n.children); i += 2 {
		if n.children[i].text == key {
			return &n.children[i+1]
		}
	}
	return nil
}

// Source remembers where each value of a file stands.
type Source struct {
	file string
	root *node
}

// File is the name the source was decoded under.
func (s *Source) File() string { return s.file }

// At is the place of the value at path ("campaigns[3].line_items[0].price"),
// or of its nearest ancestor that is written in the file.
func (s *Source) At(path string) (line, column int) {
	if s == nil || s.root == nil {
		return 0, 0
	}
	n := s.root
	for path != "" {
		var step string
		step, path = cutStep(path)
		var next *node
		if i, ok := strings.CutPrefix(step, "["); ok {
			i, err := strconv.Atoi(strings.TrimSuffix(i, "]"))
			if err == nil && n.kind == nodeList && i >= 0 && i < len(n.children) {
				next = &n.children[i]
			}
		} else {
			next = n.value(step)
		}
		if next == nil {
			break
		}
		n = next
	}
	return int(n.line), int(n.column)
}

// Fault is a fault of the value at path.
func (s *Source) Fault(path, problem, remedy string) Fault {
	f := Fault{Field: path, Problem: problem, Remedy: remedy}
	if s != nil {
		f.File = s.file
		f.Line, f.Column = s.At(path)
	}
	return f
}

// cutStep splits "a.b[1]" into "a" and "b[1]", and "[1].c" into "[1]" and "c".
func cutStep(path string) (step, rest string) {
	end := strings.IndexAny(path[1:], ".[") + 1
	if path[0] == '[' {
		end = strings.IndexByte(path, ']') + 1
	}
	if end <= 0 || end >= len(path) {
		return path, ""
	}
	return path[:end], strings.TrimPrefix(path[end:], ".")
}
