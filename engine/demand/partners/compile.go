package partners

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"millrace/codec/openrtb"
	"millrace/codec/strict"
	"millrace/codec/unit"
	"millrace/engine/demand/breaker"
)

// Options of Compile.
type Options struct {
	// Version of the book.
	Version uint64
	// Region of the node; empty = all endpoints are near.
	Region string
	// Now tells whether the currency table is still good.
	Now unit.WallTime
	// Previous book of the process, for partners to keep their places; may be nil.
	Previous *Book
}

// Parse reads the text of a demand file, YAML or JSON. The faults are those of
// the text; Compile finds those of the meaning.
func Parse(file string, data []byte) (*File, strict.Faults) {
	f := &File{hash: xxhash.Sum64(data)}
	f.defaults()
	f.source, f.faults = strict.Decode(file, data, f)
	return f, f.faults
}

// Load reads and parses a demand file. A file that can't be read is a fault.
func Load(path string) (*File, strict.Faults) {
	data, err := os.ReadFile(path)
	if err != nil {
		faults := strict.Faults{{File: path, Problem: "cannot be read: " + err.Error(), Remedy: "check the path and its permissions"}}
		return &File{faults: faults}, faults
	}
	return Parse(path, data)
}

// Hash is of the file's bytes.
func (f *File) Hash() uint64 { return f.hash }

// Check parses and compiles a demand file's text and lists every fault of both,
// in the order of the file's lines.
func Check(file string, data []byte, options Options) (*Book, strict.Faults) {
	f, faults := Parse(file, data)
	return f.check(faults, options)
}

func (f *File) check(faults strict.Faults, options Options) (*Book, strict.Faults) {
	if f.source == nil || len(f.Partners) == 0 && len(faults) > 0 {
		return nil, faults
	}
	b, more := Compile(f, options)
	faults = append(faults[:len(faults):len(faults)], more...)
	faults.Sort()
	if len(faults) > 0 {
		return nil, faults
	}
	return b, nil
}

// defaults are written into a File before its text is read.
func (f *File) defaults() {
	gain := unit.CPMMicros(1000)
	f.Currency = unit.USD
	f.Deadlines = DeadlinesSpec{
		Hard: 120 * time.Millisecond, Answer: 5 * time.Millisecond, Least: 10 * time.Millisecond, TMax: 150 * time.Millisecond, Margin: 1.25, Gain: &gain,
	}
	f.Budget = BudgetSpec{Fanout: FanoutMax}
	f.Health = HealthSpec{Healthy: 0.25, Fast: 20 * time.Millisecond, Slow: 120 * time.Millisecond}
	f.Breaker = BreakerSpec{
		Errors: 0.5, Invalid: 0.5, P95: 115 * time.Millisecond, Window: 5 * time.Second, Calls: 20, Row: 5, OpenMin: time.Second, OpenMax: time.Minute, Probes: 10,
	}
	f.Stage = StageSpec{Down: 105 * time.Millisecond, DownFor: time.Minute, Up: 95 * time.Millisecond, UpFor: 5 * time.Minute}
	f.Explore = ExploreSpec{Share: 0.02}
}

// softCuts are those of a file that names none.
var softCuts = []SoftCutSpec{{50 * time.Millisecond, 0.02}, {70 * time.Millisecond, 0.05}, {80 * time.Millisecond, 0.10}}

type compiler struct {
	file    *File
	book    *Book
	options Options
	faults  strict.Faults
	blamed  map[string]bool
	names   map[string]int // partners by id, to their place in the file
}

// Compile turns a File into a Book, or lists everything that is wrong with its
// meaning. What could not be read is not judged a second time.
func Compile(f *File, options Options) (*Book, strict.Faults) {
	c := &compiler{file: f, options: options, blamed: map[string]bool{}, names: map[string]int{}}
	for i := range f.faults {
		c.blamed[f.faults[i].Field] = true
	}
	c.book = &Book{Version: options.Version, Hash: f.hash, Currency: f.Currency}
	c.book.index.places = map[string]place{}
	c.settings()
	c.rates()
	c.chain()
	for i := range f.Partners {
		c.names[f.Partners[i].ID] = i
	}
	c.places()
	for i := range f.Partners {
		c.partner(i)
	}
	if len(f.Partners) == 0 {
		c.fault("partners", "there is no partner", "write at least one, with an id and an endpoint")
	}
	c.premium()
	c.publishers()
	c.compileFloors()
	if len(c.faults) > 0 {
		c.faults.Sort()
		return nil, c.faults
	}
	return c.book, nil
}

// fault notes a fault of a field, unless the text is already at fault there.
func (c *compiler) fault(path, problem, remedy string) {
	for at := path; ; {
		if c.blamed[at] {
			return
		}
		end := strings.LastIndexAny(at, ".[")
		if end < 0 {
			break
		}
		at = at[:end]
	}
	c.faults = append(c.faults, c.file.source.Fault(path, problem, remedy))
}

// settings checks the numbers.
func (c *compiler) settings() {
	f, s := c.file, &c.book.Settings
	d := &f.Deadlines
	if d.Soft == nil {
		d.Soft = softCuts
	}
	c.duration("deadlines.hard", d.Hard, time.Millisecond, 2*time.Second, "120ms")
	c.duration("deadlines.answer", d.Answer, 0, d.Hard, "5ms")
	c.duration("deadlines.least", d.Least, time.Millisecond, d.Hard, "10ms")
	c.duration("deadlines.tmax", d.TMax, time.Millisecond, time.Minute, "150ms")
	c.number("deadlines.margin", d.Margin, 1, 10, "1.25")
	*s = Settings{Hard: d.Hard, Answer: d.Answer, Least: d.Least, TMax: d.TMax, Margin: d.Margin}
	if len(d.Soft) > SoftMax {
		c.fault("deadlines.soft", fmt.Sprintf("%d cut-offs", len(d.Soft)), fmt.Sprintf("write at most %d", SoftMax))
	}
	for i, cut := range d.Soft {
		at := "deadlines.soft[" + strconv.Itoa(i) + "]"
		c.duration(at+".at", cut.At, time.Millisecond, d.Hard, "50ms")
		c.number(at+".gain", cut.Gain, 0, 10, "0.02")
		if i > 0 && cut.At <= d.Soft[i-1].At {
			c.fault(at+".at", "not after the one before", "write the cut-offs in the order of their times")
		}
		s.Soft = append(s.Soft, SoftCut(cut))
	}
	if d.Gain != nil && *d.Gain >= 0 {
		s.GainMin = *d.Gain
	} else {
		c.fault("deadlines.gain_min", "missing or negative", "write the least expected gain that is worth waiting for, as a CPM: 0.001")
	}
	if f.Budget.Fanout < 1 || f.Budget.Fanout > FanoutMax {
		c.fault("budget.fanout", fmt.Sprintf("%d", f.Budget.Fanout), fmt.Sprintf("write 1 to %d", FanoutMax))
	}
	c.egress("budget.egress", f.Budget.Egress)
	s.Egress, s.Fanout = int64(f.Budget.Egress), f.Budget.Fanout
	c.number("health.healthy", f.Health.Healthy, 0, 1, "0.25")
	c.duration("health.fast", f.Health.Fast, 0, time.Minute, "20ms")
	if f.Health.Slow <= f.Health.Fast {
		c.fault("health.slow", fmt.Sprintf("%v is not above fast, %v", f.Health.Slow, f.Health.Fast), "write how long an answer takes that scores nothing: 120ms")
	}
	s.Healthy, s.Fast, s.Slow = f.Health.Healthy, f.Health.Fast, f.Health.Slow
	c.number("explore.share", f.Explore.Share, 0, 0.5, "0.02")
	s.Explore = f.Explore.Share
	c.breaker()
	c.stage()
}

// FanoutMax is how many partners one request goes to at most; SoftMax how many
// soft cut-offs there are.
const (
	FanoutMax = 64
	SoftMax   = 8
)

func (c *compiler) breaker() {
	b := &c.file.Breaker
	c.number("breaker.errors", b.Errors, 0.01, 1, "0.5")
	c.number("breaker.invalid", b.Invalid, 0.01, 1, "0.5")
	c.duration("breaker.p95", b.P95, time.Millisecond, time.Minute, "115ms")
	c.duration("breaker.window", b.Window, 100*time.Millisecond, time.Hour, "5s")
	c.duration("breaker.open_min", b.OpenMin, 100*time.Millisecond, time.Hour, "1s")
	c.duration("breaker.open_max", b.OpenMax, b.OpenMin, 24*time.Hour, "1m")
	if b.Row < 2 || b.Row > 1<<20 {
		c.fault("breaker.row", strconv.FormatUint(uint64(b.Row), 10)+" is not between 2 and 1048576", "write how many failures in a row are no bad luck: 5")
	}
	if b.Calls == 0 || b.Probes == 0 || b.Probes > 1<<16 || b.Calls > 1<<20 {
		c.fault("breaker", "calls and probes have to be 1 or more, and not above 1048576 and 65536", "leave them out for 20 and 10")
	}
	c.book.Settings.Breaker = breaker.Config{
		Errors: b.Errors, Invalid: b.Invalid, P95: b.P95, Window: b.Window, Calls: b.Calls, Row: b.Row, OpenMin: b.OpenMin, OpenMax: b.OpenMax, Probes: b.Probes,
	}
}

func (c *compiler) stage() {
	s := &c.file.Stage
	if s.Top == nil {
		s.Top = []int{30, 10}
	}
	if len(s.Top) != 2 || s.Top[0] < s.Top[1] || s.Top[1] < 1 {
		c.fault("stage.top", fmt.Sprintf("%v", s.Top), "write two numbers of partners, the smaller last: [30, 10]")
		s.Top = []int{30, 10}
	}
	c.duration("stage.down", s.Down, time.Millisecond, time.Minute, "105ms")
	c.duration("stage.down_for", s.DownFor, time.Second, time.Hour, "60s")
	c.duration("stage.up", s.Up, time.Millisecond, s.Down, "95ms")
	c.duration("stage.up_for", s.UpFor, time.Second, 24*time.Hour, "300s")
	c.book.Settings.Stage = breaker.StageConfig{Down: s.Down, DownFor: s.DownFor, Up: s.Up, UpFor: s.UpFor, Top: s.Top[0], Few: s.Top[1]}
}

func (c *compiler) duration(path string, d, from, to time.Duration, example string) {
	if d < from || d > to {
		c.fault(path, fmt.Sprintf("%v is not between %v and %v", d, from, to), "write a time such as "+example)
	}
}

func (c *compiler) number(path string, x, from, to float64, example string) {
	if !(x >= from && x <= to) {
		c.fault(path, fmt.Sprintf("%v is not between %v and %v", x, from, to), "write a number such as "+example)
	}
}

// egressMax keeps the arithmetic of buckets within an int64.
const egressMax = 1 << 38

func (c *compiler) egress(path string, n strict.Bytes) {
	if n < 0 || n > egressMax || n > 0 && n < 1<<10 {
		c.fault(path, n.String()+" a second", "write 1KiB to 256GiB, or leave it out for no bound")
	}
}

// rates checks the currency table and its date.
func (c *compiler) rates() {
	r := c.file.Rates
	if r == nil {
		return
	}
	if r.Base == (unit.Currency{}) {
		c.fault("rates.base", "missing", "write the currency that all rates are against: USD")
	}
	if r.MaxAge == 0 {
		r.MaxAge = 72 * time.Hour
	}
	c.duration("rates.max_age", r.MaxAge, time.Hour, 366*24*time.Hour, "72h")
	day, err := time.ParseInLocation(time.DateOnly, r.Date, time.UTC)
	if err != nil {
		c.fault("rates.date", fmt.Sprintf("%q is no date", r.Date), "write the day the rates are of: 2026-03-31")
		return
	}
	end := unit.WallFromUnix(day.AddDate(0, 0, 1).Unix())
	c.book.ratesTill = end.Add(r.MaxAge)
	switch now := c.options.Now; {
	case now >= c.book.ratesTill:
		c.fault("rates.date", fmt.Sprintf("%s is too old: max_age %v after that day was over %v ago", r.Date, r.MaxAge, now.Sub(c.book.ratesTill).Round(time.Minute)),
			"write a current table; prices converted with old rates are wrong prices")
	case now != 0 && unit.WallFromUnix(day.Unix()) > now.Add(24*time.Hour):
		c.fault("rates.date", r.Date+" is in the future", "write the day the rates are of")
	}
	var list []openrtb.Rate
	for _, name := range sortedKeys(r.PerBase) {
		cur, ok := unit.ParseCurrency(name)
		at := "rates.per_base." + name
		switch per := r.PerBase[name]; {
		case !ok:
			c.fault(at, fmt.Sprintf("%q is not a currency", name), "write its ISO 4217 code: EUR")
		case per <= 0:
			c.fault(at, fmt.Sprintf("%v is not a rate", per), "write how much of it one unit of the base is, above 0")
		case cur == r.Base && per != unit.NanosPerUnit:
			c.fault(at, "the base's own rate is 1", "remove it")
		default:
			list = append(list, openrtb.Rate{Cur: cur, PerBase: per})
		}
	}
	c.book.rates = openrtb.NewRates(r.Base, list)
}

// convertible finds a fault of a currency that the table does not have.
func (c *compiler) convertible(path string, cur unit.Currency) {
	if _, ok := c.book.rates.Convert(1, cur, c.book.Currency); !ok {
		c.fault(path, fmt.Sprintf("%v can't be converted into %v", cur, c.book.Currency), "add both to rates.per_base, with the date of the rates")
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// places gives every partner its ID: the one it had in the previous book, or
// one that neither that book nor the one before knew.
func (c *compiler) places() {
	b, previous := c.book, c.options.Previous
	var taken Set
	ids := make([]ID, len(c.file.Partners))
	kept := make([]bool, len(c.file.Partners))
	if previous != nil {
		taken = previous.parting
		for _, p := range previous.Order {
			taken.Add(p)
			if i, stays := c.names[previous.Partners[p].Name]; stays {
				ids[i], kept[i] = p, true
			} else {
				b.parting.Add(p)
			}
		}
	}
	next, size := ID(0), 0
	for i := range ids {
		if !kept[i] {
			for next < Max && taken.Has(next) {
				next++
			}
			if next == Max {
				c.fault("partners", "there are no places left", fmt.Sprintf("a book has at most %d partners, those that just left counted; add the new ones in a later change", Max))
				ids = ids[:i]
				break
			}
			ids[i] = next
			taken.Add(next)
		}
		size = max(size, int(ids[i])+1)
	}
	b.Partners, b.Order = make([]Partner, size), ids
}
