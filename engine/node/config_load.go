package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"millrace/codec/strict"
)

// EnvPrefix starts the environment variables that set configuration fields:
// MILLRACE_LISTEN, MILLRACE_LIMITS_BODY_BYTES.
const EnvPrefix = "MILLRACE_"

// EnvFile names the configuration file where --config does not.
const EnvFile = EnvPrefix + "CONFIG"

// Override is one value given on the command line.
type Override struct {
	Field string // "limits.body_bytes"
	Value string // in the text form of the file
	From  string // what the user typed, for faults: "--listen"
}

// Origins says where each field's value came from: "default", "file", the name
// of an environment variable, or a flag.
type Origins map[string]string

// Load reads the effective configuration: defaults, then the file (if file is
// not ""), then the environment ("KEY=value" as os.Environ gives it), then the
// overrides. Every fault of all four is listed at once; the configuration is
// usable only when there are none. Unknown keys are faults and name the nearest
// known one; for unknown variables see UnknownVariables.
func Load(file string, environ []string, overrides []Override) (Config, Origins, strict.Faults) {
	c := Default()
	fields := leaves(reflect.ValueOf(&c).Elem())
	origins := Origins{}
	for _, f := range fields {
		origins[f.path] = "default"
	}
	var faults strict.Faults
	var source *strict.Source
	if file == "" {
		file = fileFromEnv(environ)
	}
	if file != "" {
		source, faults = loadFile(file, &c, fields, origins)
	}
	faults = append(faults, loadEnv(environ, fields, origins)...)
	for _, o := range overrides {
		i := slices.IndexFunc(fields, func(f leaf) bool { return f.path == o.Field })
		if i < 0 {
			faults = append(faults, strict.Fault{File: o.From, Field: o.Field, Problem: "unknown field", Remedy: strict.Remedy(o.Field, paths(fields))})
			continue
		}
		if err := fields[i].set(o.Value); err != nil {
			faults = append(faults, strict.Fault{File: o.From, Problem: err.Error()})
			continue
		}
		origins[o.Field] = o.From
	}
	broken := map[string]bool{}
	for _, f := range faults {
		broken[f.Field] = true
	}
	for _, f := range c.Validate() {
		// A value that could not be read keeps its default; a second fault
		// about the default would only confuse.
		if !broken[f.Field] {
			faults = append(faults, place(f, source, origins))
		}
	}
	return c, origins, faults
}

func fileFromEnv(environ []string) string {
	for _, kv := range environ {
		if v, ok := strings.CutPrefix(kv, EnvFile+"="); ok {
			return v
		}
	}
	return ""
}

func loadFile(file string, c *Config, fields []leaf, origins Origins) (*strict.Source, strict.Faults) {
	data, err := os.ReadFile(file)
	if err != nil {
		remedy := "check its permissions"
		if errors.Is(err, fs.ErrNotExist) {
			remedy = "check the path; millrace config print > FILE writes one to start from"
		}
		return nil, strict.Faults{{File: file, Problem: "cannot read the configuration: " + reason(err), Remedy: remedy}}
	}
	before := make([]string, len(fields))
	for i, f := range fields {
		before[i] = f.text()
	}
	source, faults := strict.Decode(file, data, c)
	for i, f := range fields {
		if f.text() != before[i] || written(source, f.path) {
			origins[f.path] = "file"
		}
	}
	return source, faults
}

// written reports whether the path itself, not just an ancestor, stands in the
// file: its place differs from its parent's.
func written(source *strict.Source, path string) bool {
	line, column := source.At(path)
	parent := ""
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		parent = path[:i]
	}
	l, col := source.At(parent)
	return line != l || column != col
}

func reason(err error) string {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

func loadEnv(environ []string, fields []leaf, origins Origins) (faults strict.Faults) {
	known := map[string]int{}
	for i, f := range fields {
		known[f.env()] = i
	}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		i, ok := known[name]
		if !ok {
			continue
		}
		if err := fields[i].set(value); err != nil {
			faults = append(faults, strict.Fault{File: "environment", Field: name, Problem: err.Error()})
			continue
		}
		origins[fields[i].path] = name
	}
	return faults
}

// UnknownVariables lists the MILLRACE_ variables that set nothing, each with
// the nearest known name. They are told, not refused: an environment is shared,
// and an orchestrator that names a service "millrace" puts MILLRACE_PORT and
// MILLRACE_SERVICE_HOST into it.
func UnknownVariables(environ []string) (unknown strict.Faults) {
	var c Config
	names := []string{EnvFile}
	for _, f := range leaves(reflect.ValueOf(&c).Elem()) {
		names = append(names, f.env())
	}
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, EnvPrefix) && !slices.Contains(names, name) {
			unknown = append(unknown, strict.Fault{File: "environment", Field: name, Problem: "sets nothing", Remedy: remedyFor(name, names)})
		}
	}
	return unknown
}

// remedyFor compares without the prefix, which all names share.
func remedyFor(name string, names []string) string {
	short := make([]string, len(names))
	for i, n := range names {
		short[i] = strings.TrimPrefix(n, EnvPrefix)
	}
	if near := strict.Nearest(strings.TrimPrefix(name, EnvPrefix), short); near != "" {
		return "did you mean " + EnvPrefix + near + "?"
	}
	return ""
}

// place adds to a fault of Validate where its value was written.
func place(f strict.Fault, source *strict.Source, origins Origins) strict.Fault {
	path := f.Field
	if i := strings.IndexByte(path, '['); i >= 0 {
		path = path[:i]
	}
	switch from := origins[path]; from {
	case "default", "file", "":
		if source != nil {
			return source.Fault(f.Field, f.Problem, f.Remedy)
		}
		f.File = "configuration"
	default:
		f.File = from
	}
	return f
}

// leaf is one settable field of a Config.
type leaf struct {
	path  string // "limits.body_bytes"
	help  string
	value reflect.Value
}

// leaves lists the fields in the order they are written, groups opened up.
// Keys of tokens are one leaf.
func leaves(v reflect.Value) []leaf {
	var list []leaf
	walk(v, "", func(path string, field reflect.StructField, v reflect.Value) {
		list = append(list, leaf{path: path, help: field.Tag.Get("help"), value: v})
	})
	return list
}

func walk(v reflect.Value, prefix string, visit func(path string, f reflect.StructField, v reflect.Value)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		path := prefix + f.Tag.Get("yaml")
		if isGroup(f.Type) {
			walk(v.Field(i), path+".", visit)
			continue
		}
		visit(path, f, v.Field(i))
	}
}

// isGroup tells a group of fields from one of them.
func isGroup(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[Secret]()
}

func paths(fields []leaf) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.path
	}
	return names
}

func (f leaf) env() string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(f.path, ".", "_"))
}

// set reads the text form, the same as in the file; lists as ParseCPUs and
// parseKeys have them. The error names what to write.
func (f leaf) set(text string) error {
	switch p := f.value.Addr().Interface().(type) {
	case *[]int:
		cpus, err := ParseCPUs(text)
		if err == nil {
			*p = cpus
		}
		return err
	case *[]string:
		*p = nil
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				*p = append(*p, part)
			}
		}
	case *[]TokenKey:
		keys, err := parseKeys(text)
		if err == nil {
			*p = keys
		}
		return err
	case *time.Duration:
		var v struct{ V time.Duration }
		if err := decodeText(text, &v); err != nil {
			return err
		}
		*p = v.V
	case *strict.Bytes:
		var v struct{ V strict.Bytes }
		if err := decodeText(text, &v); err != nil {
			return err
		}
		*p = v.V
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		*p = n
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		*p = b
	case *Secret:
		*p = NewSecret(text)
	default: // text and types of text
		f.value.SetString(text)
	}
	return nil
}

// decodeText reads one value through the file's own decoder, so that a variable
// takes exactly what the file takes.
func decodeText(text string, into any) error {
	_, faults := strict.Decode("value.json", []byte(`{"v":`+quoteJSON(text)+`}`), into)
	if len(faults) == 0 {
		return nil
	}
	if faults[0].Remedy == "" {
		return errors.New(faults[0].Problem)
	}
	return errors.New(faults[0].Problem + "; " + faults[0].Remedy)
}
