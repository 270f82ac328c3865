package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

var yamlErrorLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// readYAML is the tree of the one YAML document in data. ok is false when the
// text is not YAML; an empty file is an empty map.
func readYAML(data []byte) (root node, nodes int, faults Faults, ok bool) {
	// yaml.v3 reports by panic inside and recovers what it knows; what it does
	// not know must not take the process down for a bad file.
	defer func() {
		if p := recover(); p != nil {
			faults, ok = Faults{{Problem: fmt.Sprintf("not valid YAML: %v", p), Remedy: "fix the syntax"}}, false
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return node{kind: nodeMap, line: 1, column: 1}, 1, nil, true
	case err != nil:
		return node{}, 0, Faults{yamlFault(err)}, false
	}
	c := yamlConverter{done: map[*yaml.Node]node{}}
	root = c.node(&doc, 0)
	var second yaml.Node
	if err := d.Decode(&second); err == nil {
		c.faults = append(c.faults, Fault{Line: second.Line, Column: second.Column, Problem: "a second document in one file",
			Remedy: "remove the \"---\" and what follows, or put it into its own file"})
	} else if !errors.Is(err, io.EOF) {
		c.faults = append(c.faults, yamlFault(err))
	}
	return root, c.nodes, c.faults, true
}

func yamlFault(err error) Fault {
	text := err.Error()
	f := Fault{Remedy: "fix the syntax here or just before"}
	if m := yamlErrorLine.FindStringSubmatch(text); m != nil {
		f.Line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	f.Problem = "not valid YAML: " + text
	return f
}

type yamlConverter struct {
	// done holds anchored nodes only.
	done   map[*yaml.Node]node
	faults Faults
	nodes  int
}

func (c *yamlConverter) fault(y *yaml.Node, problem, remedy string) {
	c.faults = append(c.faults, Fault{Line: y.Line, Column: y.Column, Problem: problem, Remedy: remedy})
}

func (c *yamlConverter) node(y *yaml.Node, depth int) (n node) {
	c.nodes++
	n.line, n.column = uint32(y.Line), uint32(y.Column)
	if depth > depthMax {
		c.fault(y, "nested more than "+strconv.Itoa(depthMax)+" deep", "flatten it")
		return n
	}
	switch y.Kind {
	case yaml.DocumentNode:
		if len(y.Content) == 0 {
			n.kind = nodeMap
			return n
		}
		return c.node(y.Content[0], depth)
	case yaml.AliasNode:
		target, known := c.done[y.Alias]
		if !known {
			c.fault(y, "the alias \"*"+y.Value+"\" stands inside its own anchor", "write the value out")
			return n
		}
		target.line, target.column = n.line, n.column
		return target
	case yaml.ScalarNode:
		n.text, n.kind = y.Value, scalarKind(y)
	case yaml.SequenceNode, yaml.MappingNode:
		n.kind = nodeList
		if y.Kind == yaml.MappingNode {
			n.kind = nodeMap
		}
		n.children = make([]node, len(y.Content))
		for i, child := range y.Content {
			if n.kind == nodeMap && i%2 == 0 {
				if child.Tag == "!!merge" {
					c.fault(child, "merge keys (\"<<\") are not supported", "write the keys out, or alias whole values")
				} else if child.Kind != yaml.ScalarNode {
					c.fault(child, "a key that is not plain text", "write the key as a word")
				}
			}
			n.children[i] = c.node(child, depth+1)
		}
	}
	if y.Anchor != "" {
		c.done[y] = n
	}
	return n
}

func scalarKind(y *yaml.Node) nodeKind {
	switch y.ShortTag() {
	case "!!str":
		return nodeString
	case "!!int":
		return nodeInt
	case "!!float":
		return nodeFloat
	case "!!bool":
		return nodeBool
	case "!!null":
		return nodeNull
	}
	if strings.HasPrefix(y.Tag, "!!timestamp") || y.Style&yaml.TaggedStyle == 0 {
		return nodeString // an unquoted date is the text of a date
	}
	return nodeOther
}
