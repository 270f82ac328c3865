package partners

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentationIsWhole: docs/demand.md and the example name every key, and
// what the page shows as YAML is good.
func TestDocumentationIsWhole(t *testing.T) {
	page, err := os.ReadFile("../../../docs/demand.md")
	if err != nil {
		t.Fatal(err)
	}
	example := string(exampleText(t))
	seen := map[string]bool{}
	var walk func(reflect.Type)
	walk = func(x reflect.Type) {
		for x.Kind() == reflect.Pointer || x.Kind() == reflect.Slice {
			x = x.Elem()
		}
		if x.Kind() != reflect.Struct {
			return
		}
		for i := range x.NumField() {
			key, inline, _ := strings.Cut(x.Field(i).Tag.Get("yaml"), ",")
			if key != "" && !seen[key] {
				seen[key] = true
				if !strings.Contains(string(page), "`"+key+"`") && !regexp.MustCompile(`[{ ]`+key+`:`).Match(page) {
					t.Errorf("docs/demand.md does not name %s", key)
				}
				if !regexp.MustCompile(`(?m)(^|[{ ])` + key + `:`).MatchString(example) {
					t.Errorf("the example does not show %s", key)
				}
			}
			if key != "" || inline != "" {
				walk(x.Field(i).Type)
			}
		}
	}
	walk(reflect.TypeFor[File]())
	if len(seen) < 60 {
		t.Errorf("only %d keys: the test shows nothing", len(seen))
	}
	const one = "\npartners: [{id: a, endpoints: [{url: https://a.example.com/}]}]\n"
	rates := "rates: {base: USD, date: 2026-05-31, per_base: {EUR: 0.92}}\n"
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(page, -1) {
		text := string(m[1])
		if !strings.Contains(text, "partners:") {
			text += one
		}
		if strings.Contains(text, "EUR") && !strings.Contains(text, "rates:") {
			text = rates + text
		}
		check(t, text, Options{})
	}
}
