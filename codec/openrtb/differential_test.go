package openrtb

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/prebid/openrtb/v20/openrtb2"

	"millrace/codec/corpus"
	"millrace/codec/unit"
)

// The differential tests compare every typed field of the view, and of what
// Details read of it, with what prebid/openrtb/v20 reads through
// encoding/json. Where the two may differ a rule says so (the numbers are
// those of the project's list of OpenRTB rules):
//
//   - 3: names are exact and unknown ones ignored; encoding/json also takes a
//     name in another case.
//   - 4: what lacks an id or an impression, has two impressions of one id, or
//     more than one of site, app and dooh, is refused.
//   - 5: of duplicate keys the last wins whole; encoding/json merges objects.
//   - 5: null in a list is absent; encoding/json makes it a zero element.
//   - 5: an object with a number that is none, or negative where it is a size,
//     or beyond 31 bits, is invalid and left out.
//   - 5: nesting, impressions and lists are capped.
//   - 9: a bidfloorcur that is no currency makes the impression or deal
//     invalid. Prices are micros, rounded half away from zero from the decimal
//     text: encoding/json's float may be a micro beside it.
//   - 20: gdpr, consent, us_privacy, gpp, gpp_sid, eids, schain and rwdd are
//     read from ext as well; the oracle is given them from there.

// rules counts by rule what was excused.
type rules map[string]int

// flags are numbers of which only "not 0" counts.
var flagNames = names("test allimps instl secure rwdd topframe private_auction guar coppa gdpr dnt lmt js geofetch mobile privacypolicy paid " +
	"livestream sourcerelationship embeddable boxingallowed stitched vcm clickbrowser hp")

// presence are those whose absence is something else than 0.
var presenceNames = names("startdelay nvol venuetypetax count gdpr lat lon js geofetch mobile privacypolicy paid livestream sourcerelationship " +
	"embeddable boxingallowed stitched vcm clickbrowser hp")

var priceNames = names("bidfloor mincpmpersec")

func names(s string) map[string]bool {
	m := map[string]bool{}
	for _, n := range strings.Fields(s) {
		m[n] = true
	}
	return m
}

func micros(f float64) int64 {
	c, _ := unit.CPMFromFloat(f)
	return int64(c)
}

func currencyOr(s string) string {
	if c, ok := unit.ParseCurrency(s); ok {
		return c.String()
	}
	return "USD"
}

// difference is the path of the first field in which two values differ, and
// both; "" if none does.
func difference(name string, a, b reflect.Value) (path string, x, y any) {
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() && b.IsNil() {
			return "", nil, nil
		}
		if a.IsNil() || b.IsNil() {
			if presenceNames[name] {
				return name, a.Interface(), b.Interface()
			}
			zero := reflect.New(a.Type().Elem())
			if a.IsNil() {
				a = zero
			} else {
				b = zero
			}
		}
		return difference(name, a.Elem(), b.Elem())
	case reflect.Struct:
		t := a.Type()
		for i := range t.NumField() {
			tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if path, x, y = difference(tag, a.Field(i), b.Field(i)); path != "" {
				return name + "." + path, x, y
			}
		}
		return "", nil, nil
	case reflect.Slice:
		if raw, ok := a.Interface().(json.RawMessage); ok {
			other := b.Interface().(json.RawMessage)
			if !bytes.Equal(notNull(raw), notNull(other)) {
				return name, string(raw), string(other)
			}
			return "", nil, nil
		}
		if a.Len() != b.Len() {
			return name, a.Interface(), b.Interface()
		}
		for i := range a.Len() {
			if path, x, y = difference(name, a.Index(i), b.Index(i)); path != "" {
				return path, x, y
			}
		}
		return "", nil, nil
	}
	if same(name, a, b) {
		return "", nil, nil
	}
	return name, a.Interface(), b.Interface()
}

// same compares two values that hold no others.
func same(name string, a, b reflect.Value) bool {
	switch {
	case flagNames[name]:
		return a.IsZero() == b.IsZero()
	case priceNames[name]:
		return micros(a.Float()) == micros(b.Float())
	case name == "bidfloorcur":
		return currencyOr(a.String()) == currencyOr(b.String())
	}
	return a.Equal(b)
}

func notNull(ext json.RawMessage) json.RawMessage {
	if string(ext) == "null" {
		return nil
	}
	return ext
}

// apply20 reads the 2.5 places for the oracle; failed tells that one of them
// holds what encoding/json does not read into its type.
func apply20(o *openrtb2.BidRequest) (failed bool) {
	members := func(ext json.RawMessage) (m map[string]json.RawMessage) {
		_ = json.Unmarshal(ext, &m) // not an object: nothing in it
		return m
	}
	read := func(raw json.RawMessage, dst any) bool {
		err := json.Unmarshal(raw, dst)
		failed = failed || raw != nil && err != nil
		return err == nil
	}
	word := func(raw json.RawMessage) (s string) {
		_ = json.Unmarshal(raw, &s)
		return s
	}
	truth := func(raw json.RawMessage) bool {
		return string(raw) == "1" || string(raw) == "true" || string(raw) == `"1"`
	}
	for i := range o.Imp {
		m := &o.Imp[i]
		ext := members(m.Ext)
		last := ext["rwdd"]
		if truth(last) || truth(ext["is_rewarded_inventory"]) || truth(members(ext["prebid"])["is_rewarded_inventory"]) {
			m.Rwdd = 1
		}
		if v := m.Video; v != nil {
			if len(v.Protocols) == 0 && v.Protocol != 0 {
				v.Protocols = append(v.Protocols, v.Protocol)
			}
			v.Protocol = 0
		}
	}
	if u := o.User; u != nil {
		ext := members(u.Ext)
		if u.Consent == "" {
			u.Consent = word(ext["consent"])
		}
		if u.EIDs == nil && !read(ext["eids"], &u.EIDs) {
			u.EIDs = nil
		}
	}
	if g := o.Regs; g != nil {
		ext := members(g.Ext)
		if raw := notNull(ext["gdpr"]); g.GDPR == nil && raw != nil {
			v := flagBit(truth(raw))
			g.GDPR = &v
		}
		if g.USPrivacy == "" {
			g.USPrivacy = word(ext["us_privacy"])
		}
		if g.GPP == "" {
			g.GPP = word(ext["gpp"])
		}
		if len(g.GPPSID) == 0 && !read(ext["gpp_sid"], &g.GPPSID) {
			g.GPPSID = nil
		}
	}
	if s := o.Source; s != nil && s.SChain == nil {
		if raw := members(s.Ext)["schain"]; !read(raw, &s.SChain) {
			s.SChain = nil
		}
	}
	return failed
}

// exempt names the rule by which a body may be read in another way, if it has
// what that takes.
func exempt(body []byte) (rule string) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	found := func(r string) {
		if rule == "" {
			rule = r
		}
	}
	var walk func(key string) error
	walk = func(key string) error {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case json.Delim:
			seen := map[string]bool{}
			for dec.More() {
				k := "[]"
				if t == '{' {
					kt, err := dec.Token()
					if err != nil {
						return err
					}
					k = kt.(string)
					low := strings.ToLower(k)
					switch {
					case seen[k]:
						found("5: duplicate keys")
					case seen[low] || low != k || strings.ContainsFunc(k, func(r rune) bool { return r > 126 }):
						found("3: exact names")
					}
					seen[low] = true
				}
				if err := walk(k); err != nil {
					return err
				}
			}
			_, err = dec.Token()
			return err
		case nil:
			if key == "[]" {
				found("5: null in a list")
			}
		case json.Number:
			x, err := t.Float64()
			switch {
			case err != nil || math.Abs(x) > math.MaxInt32:
				found("5: numbers beyond 31 bits")
			case strings.HasPrefix(t.String(), "-"):
				found("5: negative sizes")
			case priceNames[key] && math.Abs(math.Mod(x*1e6, 1)-0.5) < 1e-3:
				found("9: half a micro")
			}
		case string:
			if _, ok := unit.ParseCurrency(t); key == "bidfloorcur" && t != "" && !ok {
				found("9: no currency")
			}
		}
		return nil
	}
	if err := walk(""); err != nil {
		return "1: not JSON"
	}
	return rule
}

// refusal names the rule for which what encoding/json reads is refused.
func refusalRule(c Code) string {
	switch c {
	case Missing, Duplicate, Conflict:
		return "4: " + c.String()
	case TooDeep, TooMany:
		return "5: " + c.String()
	case Invalid:
		return "5: tmax, at or test is no number"
	}
	return ""
}

// judge runs both parsers over a body.
type judge struct {
	t        translator
	view     BidRequest
	excused  rules
	compared int
	refused  int
}

func newJudge() *judge {
	j := &judge{excused: rules{}}
	j.t.r = &j.view
	return j
}

// compare is true if the fields were compared.
func (j *judge) compare(t testing.TB, body []byte) bool {
	t.Helper()
	e := Parse(body, &j.view)
	var o openrtb2.BidRequest
	err := json.Unmarshal(body, &o)
	if !e.OK() {
		j.refused++
		// Into a struct, encoding/json reads null as nothing; rule 4 wants an id.
		if err != nil || string(bytes.TrimSpace(body)) == "null" {
			return false
		}
		rule := refusalRule(e.Code)
		if rule == "" {
			rule = exempt(body)
		}
		if rule == "" {
			t.Errorf("refused (%v) what encoding/json reads: %s", e, body)
		}
		j.excused[rule]++
		return false
	}
	if err != nil {
		// A type that the rules forgive: see rule 5.
		return false
	}
	j.compared++
	j.t.d.Reset()
	loose := apply20(&o)
	path, got, want := difference("", reflect.ValueOf(j.t.request()).Elem(), reflect.ValueOf(&o).Elem())
	if path == "" {
		return true
	}
	rule := exempt(body)
	if rule == "" && loose {
		rule = "20: in ext nothing has to be of a type"
	}
	if rule == "" {
		t.Errorf("%s: %v, want %v\n%s", path, got, want, body)
	}
	j.excused[rule]++
	return true
}

// log tells what was excused.
func (j *judge) log(t testing.TB, n int) {
	t.Logf("of %d bodies: %d read by both and every field compared, %d refused", n, j.compared, j.refused)
	keys := make([]string, 0, len(j.excused))
	for k := range j.excused {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		t.Logf("  excused by rule %s: %d", k, j.excused[k])
	}
}

func TestDifferentialCorpus(t *testing.T) {
	j, lines := newJudge(), corpusRequests(t)
	for _, body := range lines {
		j.compare(t, body)
	}
	if j.log(t, len(lines)); j.compared < len(lines)*9/10 {
		t.Errorf("only %d of %d requests were compared", j.compared, len(lines))
	}
}

func TestDifferentialRich(t *testing.T) {
	j := newJudge()
	for _, body := range append(wholeRequests(t), richRequest) {
		if !j.compare(t, body) {
			t.Error("not compared")
		}
	}
	if j.log(t, 1); len(j.excused) > 0 {
		t.Error("something had to be excused")
	}
}

func TestDifferentialExchanges(t *testing.T) {
	j, lines := newJudge(), corpus.Lines(t, corpus.Exchanges)
	for _, line := range lines {
		var x struct{ Request json.RawMessage }
		if err := json.Unmarshal(line, &x); err != nil {
			t.Fatal(err)
		}
		j.compare(t, x.Request)
	}
	// Some bidders speak formats of their own.
	if j.log(t, len(lines)); j.compared < len(lines)/2 {
		t.Errorf("only %d of %d were compared", j.compared, len(lines))
	}
}
