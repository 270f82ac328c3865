package node

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

func quoteJSON(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic("node: a string that JSON cannot hold: " + err.Error()) // Marshal of a string does not fail
	}
	return string(b)
}

// text is the value in its text form; used to compare and to print.
func (f leaf) text() string { return fmt.Sprint(plain(f.value)) }

// plain turns a field into what YAML and JSON print readably: durations and
// sizes in their text form, secrets masked.
func plain(v reflect.Value) any {
	switch t := v.Interface().(type) {
	case time.Duration:
		return shortDuration(t)
	case fmt.Stringer:
		return t.String()
	case []int:
		if t == nil {
			return []int{}
		}
		return t
	case []string:
		if t == nil {
			return []string{}
		}
		return t
	case []TokenKey:
		keys := make([]any, len(t))
		for i, k := range t {
			keys[i] = map[string]any{"id": k.ID, "secret": k.Secret.String()}
		}
		return keys
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Int:
		return v.Int()
	case reflect.Bool:
		return v.Bool()
	}
	return v.Interface()
}

// shortDuration is "24h" where time.Duration says "24h0m0s".
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// View is the configuration as nested maps of plain values, secrets masked: for
// GET /config and `config print --json`.
func (c Config) View() map[string]any {
	root := map[string]any{}
	walk(reflect.ValueOf(c), "", func(path string, _ reflect.StructField, v reflect.Value) {
		m := root
		steps := strings.Split(path, ".")
		for _, s := range steps[:len(steps)-1] {
			next, ok := m[s].(map[string]any)
			if !ok {
				next = map[string]any{}
				m[s] = next
			}
			m = next
		}
		m[steps[len(steps)-1]] = plain(v)
	})
	return root
}

// PrintOptions chooses what WriteYAML says beside the values.
type PrintOptions struct {
	Help    bool    // each field's help above it
	Origins Origins // where each value came from, beside it; nil leaves it out
}

// WriteYAML writes the configuration as a file that Load reads back to the same
// values, masked secrets excepted.
func (c Config) WriteYAML(w io.Writer, o PrintOptions) error {
	root := mapping(reflect.ValueOf(c), "", o)
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return fmt.Errorf("config: cannot write YAML: %w", err)
	}
	return enc.Close()
}

func mapping(v reflect.Value, prefix string, o PrintOptions) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := f.Tag.Get("yaml")
		key := &yaml.Node{Kind: yaml.ScalarNode, Value: name}
		if o.Help {
			key.HeadComment = f.Tag.Get("help")
		}
		var value *yaml.Node
		if isGroup(f.Type) {
			value = mapping(v.Field(i), prefix+name+".", o)
		} else {
			value = &yaml.Node{}
			if err := value.Encode(plain(v.Field(i))); err != nil {
				panic("node: plain made a value that YAML cannot hold: " + err.Error())
			}
			if value.Kind == yaml.SequenceNode && (len(value.Content) == 0 || value.Content[0].Kind == yaml.ScalarNode) {
				value.Style = yaml.FlowStyle
			}
			if from := o.Origins[prefix+name]; from != "" {
				value.LineComment = from
			}
		}
		m.Content = append(m.Content, key, value)
	}
	return m
}
