package strict

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// depthMax bounds nesting, in files and through aliases.
const depthMax = 200

// jsonReader builds nodes from JSON text. It exists beside yaml.v3, which reads
// JSON too, because a generated catalog is JSON of tens of megabytes: see
// BenchmarkDecode.
type jsonReader struct {
	text      string
	at        int
	line      uint32
	lineStart int
	stack     []node
	nodes     int
	problem   string
}

func looksLikeJSON(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && (data[0] == '{' || data[0] == '[')
}

// readJSON is the tree of a JSON text, or where and why it is not one.
func readJSON(data []byte) (root node, nodes int, fault Fault, ok bool) {
	r := jsonReader{text: string(data), line: 1}
	root, ok = r.value(0)
	if ok {
		r.space()
		if r.at < len(r.text) {
			ok = r.fail("text after the end of the JSON value")
		}
	}
	if !ok {
		return node{}, 0, Fault{Line: int(r.line), Column: r.at - r.lineStart + 1, Problem: "not valid JSON: " + r.problem,
			Remedy: "fix the syntax here or just before"}, false
	}
	return root, r.nodes, Fault{}, true
}

func (r *jsonReader) fail(problem string) bool {
	r.problem = problem
	return false
}

func (r *jsonReader) space() {
	for ; r.at < len(r.text); r.at++ {
		switch r.text[r.at] {
		case '\n':
			r.line++
			r.lineStart = r.at + 1
		case ' ', '\t', '\r':
		default:
			return
		}
	}
}

func (r *jsonReader) value(depth int) (n node, ok bool) {
	r.space()
	if r.at == len(r.text) {
		return n, r.fail("it ends too early")
	}
	if depth > depthMax {
		return n, r.fail("nested more than " + strconv.Itoa(depthMax) + " deep")
	}
	r.nodes++
	n.line, n.column = r.line, uint32(r.at-r.lineStart+1)
	switch c := r.text[r.at]; {
	case c == '{' || c == '[':
		return n, r.container(&n, depth)
	case c == '"':
		n.kind = nodeString
		n.text, ok = r.str()
		return n, ok
	case c == '-' || '0' <= c && c <= '9':
		return n, r.number(&n)
	default:
		return n, r.word(&n)
	}
}

// container reads a list or a map: the children gather on the reader's stack,
// so that each node's slice is allocated once, at its size.
func (r *jsonReader) container(n *node, depth int) bool {
	closing := byte(']')
	n.kind = nodeList
	if r.text[r.at] == '{' {
		closing, n.kind = '}', nodeMap
	}
	r.at++
	base := len(r.stack)
	for r.space(); ; r.space() {
		if r.at == len(r.text) {
			return r.fail("it ends too early")
		}
		if r.text[r.at] == closing && len(r.stack) == base {
			break
		}
		if n.kind == nodeMap && !r.key() {
			return false
		}
		child, ok := r.value(depth + 1)
		if !ok {
			return false
		}
		r.stack = append(r.stack, child)
		r.space()
		if r.at == len(r.text) {
			return r.fail("it ends too early")
		}
		if r.text[r.at] == closing {
			break
		}
		if r.text[r.at] != ',' {
			return r.fail("want a comma or the closing bracket")
		}
		r.at++
	}
	r.at++
	if len(r.stack) > base {
		n.children = append(make([]node, 0, len(r.stack)-base), r.stack[base:]...)
		clear(r.stack[base:])
		r.stack = r.stack[:base]
	}
	return true
}

func (r *jsonReader) key() bool {
	if r.text[r.at] != '"' {
		return r.fail("want a key in double quotes")
	}
	k := node{kind: nodeString, line: r.line, column: uint32(r.at - r.lineStart + 1)}
	var ok bool
	if k.text, ok = r.str(); !ok {
		return false
	}
	r.stack = append(r.stack, k)
	r.space()
	if r.at == len(r.text) || r.text[r.at] != ':' {
		return r.fail("want a colon after the key")
	}
	r.at++
	return true
}

func (r *jsonReader) str() (string, bool) {
	start := r.at
	escaped := false
	for r.at++; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; {
		case c == '"':
			r.at++
			raw := r.text[start+1 : r.at-1]
			if !escaped && utf8.ValidString(raw) {
				return raw, true
			}
			var s string
			if json.Unmarshal([]byte(r.text[start:r.at]), &s) != nil {
				r.at = start
				return "", r.fail("a string with a wrong escape")
			}
			return s, true
		case c == '\\':
			escaped = true
			r.at++
		case c < 0x20:
			return "", r.fail("a control character inside a string")
		}
	}
	r.at = len(r.text)
	return "", r.fail("a string without its closing quote")
}

func (r *jsonReader) number(n *node) bool {
	start := r.at
	digits := func() bool {
		from := r.at
		for r.at < len(r.text) && '0' <= r.text[r.at] && r.text[r.at] <= '9' {
			r.at++
		}
		return r.at > from
	}
	is := func(a, b byte) bool { return r.at < len(r.text) && (r.text[r.at] == a || r.text[r.at] == b) }
	if is('-', '-') {
		r.at++
	}
	first := r.at
	good := digits() && (r.text[first] != '0' || r.at == first+1)
	n.kind = nodeInt
	if good && is('.', '.') {
		n.kind = nodeFloat
		r.at++
		good = digits()
	}
	if good && is('e', 'E') {
		n.kind = nodeFloat
		r.at++
		if is('+', '-') {
			r.at++
		}
		good = digits()
	}
	if !good {
		return r.fail("not a JSON number")
	}
	n.text = r.text[start:r.at]
	return true
}

func (r *jsonReader) word(n *node) bool {
	for _, w := range [...]struct {
		text string
		kind nodeKind
	}{{"true", nodeBool}, {"false", nodeBool}, {"null", nodeNull}} {
		if len(r.text)-r.at >= len(w.text) && r.text[r.at:r.at+len(w.text)] == w.text {
			n.text, n.kind = w.text, w.kind
			r.at += len(w.text)
			return true
		}
	}
	return r.fail("want a value here")
}
