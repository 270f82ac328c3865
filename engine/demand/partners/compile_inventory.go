package partners

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"millrace/codec/openrtb"
	"millrace/codec/strict"
	"millrace/codec/unit"
	"millrace/state/campaign"
)

// inventory visits the places that a list names.
func (c *compiler) inventory(path string, spec *InventorySpec, visit func(*place)) {
	if path != "" {
		path += "."
	}
	for _, kind := range []struct {
		key   byte
		name  string
		texts []string
	}{{publisherKey, "publisher", spec.Publisher}, {domainKey, "domain", spec.Domain}, {bundleKey, "bundle", spec.Bundle}} {
		for i, t := range kind.texts {
			if t == "" || kind.key == domainKey && strings.ContainsAny(t, " /:") {
				c.fault(path+kind.name+"["+strconv.Itoa(i)+"]", fmt.Sprintf("%q names no place", t), "write publisher.id, a domain without scheme and path, or a bundle")
				continue
			}
			key := string(kind.key) + lower(t)
			p, ok := c.book.index.places[key]
			if !ok {
				p.publisher = -1
			}
			visit(&p)
			c.book.index.places[key] = p
		}
	}
}

// lower is as Str.AppendLower spells it.
func lower(t string) string {
	b := []byte(t)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

func (c *compiler) premium() {
	spec := &c.file.Premium
	c.inventory("premium", &spec.InventorySpec, func(p *place) { p.premium = true })
	c.book.premium = premium{formats: c.formats("premium.formats", spec.Formats), deals: spec.Deals}
	if f := spec.Floor; f != nil {
		if c.book.premium.floor = *f; *f <= 0 {
			c.fault("premium.floor", f.String()+" is not a floor", "write the floor from which on an impression is premium")
		}
	}
}

// chain makes the edit that all requests have in common: a first-price auction
// has to say so, and our node ends the supply chain.
func (c *compiler) chain() {
	e := &c.book.common
	e.At = openrtb.FirstPrice
	s := c.file.SChain
	if s == nil {
		return
	}
	if s.ASI == "" || s.SID == "" {
		c.fault("schain", "asi and sid are required", "write the domain under which this seller is known, and its account there")
	}
	hp := 1
	if s.HP != nil {
		hp = *s.HP
	}
	node := append([]byte(`{"asi":"`), openrtb.AppendEscaped(nil, s.ASI)...)
	node = append(append(node, `","sid":"`...), openrtb.AppendEscaped(nil, s.SID)...)
	node = append(strconv.AppendInt(append(node, `","hp":`...), int64(hp), 10), ""...)
	for _, m := range [...]struct{ name, text string }{{"name", s.Name}, {"domain", s.Domain}} {
		if m.text != "" {
			node = append(openrtb.AppendEscaped(append(node, `,"`+m.name+`":"`...), m.text), '"')
		}
	}
	e.SChainNode = append(node, '}')
	// A request that comes without a chain may have passed others before us.
	e.SChainComplete = false
}

// blocks makes the sets that bids are screened by.
func (c *compiler) blocks(path string, spec *ListSpec) (l blocklist) {
	set := func(name string, texts []string, clean func(string) string) map[string]struct{} {
		c.texts(path+"."+name, texts)
		m := make(map[string]struct{}, len(texts))
		for _, t := range texts {
			m[clean(t)] = struct{}{}
		}
		return m
	}
	l.domains = set("badv", spec.BAdv, func(t string) string { return string(host([]byte(lower(t)))) })
	l.categories = set("bcat", spec.BCat, lower)
	l.apps = set("bapp", spec.BApp, lower)
	l.seats = set("bseat", spec.BSeat, lower)
	return l
}

func (c *compiler) publishers() {
	for i := range c.file.Publishers {
		spec, at := &c.file.Publishers[i], "publishers["+strconv.Itoa(i)+"]"
		x := publisher{common: c.book.common}
		for k, name := range spec.Block {
			p, ok := c.book.Find(name)
			if !ok {
				c.fault(at+".block_partners["+strconv.Itoa(k)+"]", fmt.Sprintf("%q is not a partner", name), strict.Remedy(name, sortedKeys(c.names)))
				continue
			}
			x.block.Add(p)
		}
		x.lists = c.blocks(at, &spec.ListSpec)
		x.common.BAdv, x.common.BCat, x.common.BApp = spec.BAdv, spec.BCat, spec.BApp
		if spec.ID == "" {
			c.fault(at+".id", "missing", "write publisher.id as exchanges send it")
			continue
		}
		c.inventory("", &InventorySpec{Publisher: []string{spec.ID}}, func(p *place) {
			if p.publisher >= 0 {
				c.fault(at+".id", fmt.Sprintf("%q is written twice", spec.ID), "put all of a publisher's lists into one entry")
			}
			p.publisher = int32(len(c.book.byPublisher))
		})
		c.book.byPublisher = append(c.book.byPublisher, x)
	}
}

// floorRule is a floor before the order is known.
type floorRule struct {
	spec  *FloorSpec
	at    string
	named uint // bit d: dimension d, the more telling the higher
	price unit.CPMMicros
}

func (c *compiler) compileFloors() {
	specs := c.file.Floors
	if len(specs) > floorsMax {
		c.fault("floors", fmt.Sprintf("%d floors", len(specs)), fmt.Sprintf("write at most %d", floorsMax))
		return
	}
	rules := make([]floorRule, len(specs))
	for i := range specs {
		rules[i] = c.floorRule(&specs[i], "floors["+strconv.Itoa(i)+"]")
	}
	slices.SortStableFunc(rules, func(a, b floorRule) int {
		return cmp.Or(bits.OnesCount(b.named)-bits.OnesCount(a.named), int(b.named)-int(a.named))
	})
	f := &c.book.floors
	f.words = (len(rules) + 63) / 64
	f.segments = map[string][]uint64{}
	f.places = make([][]uint64, 1)
	for d := range f.any {
		f.any[d] = make([]uint64, f.words)
	}
	for i := range rules {
		for d := range f.any {
			if rules[i].named>>(floorDimensions-1-d)&1 == 0 {
				f.any[d][i/64] |= 1 << (i % 64)
			}
		}
		f.prices = append(f.prices, rules[i].price)
	}
	single(f.country[:], f.any[byCountry])
	single(f.device[:], f.any[byDevice])
	single(f.hour[:], f.any[byHour])
	for i := range f.format {
		f.format[i] = make([]uint64, f.words)
	}
	for i := range rules {
		c.enter(&rules[i], i)
	}
}

// single begins the bitmaps of a dimension of which a request has one value.
func single(table [][]uint64, any []uint64) {
	for i := range table {
		table[i] = any
	}
}

func (c *compiler) floorRule(spec *FloorSpec, at string) floorRule {
	r := floorRule{spec: spec, at: at}
	for d, named := range [floorDimensions]bool{
		len(spec.Publisher)+len(spec.Domain)+len(spec.Bundle) > 0, len(spec.Segment) > 0, len(spec.Format) > 0, len(spec.Country) > 0, len(spec.Device) > 0, len(spec.Hour) > 0,
	} {
		if named {
			r.named |= 1 << (floorDimensions - 1 - d)
		}
	}
	cur := spec.Currency
	if cur == (unit.Currency{}) {
		cur = c.book.Currency
	}
	switch {
	case spec.Floor == nil:
		c.fault(at+".floor", "missing", "write the floor as a CPM: 0.75")
	case *spec.Floor < 0:
		c.fault(at+".floor", spec.Floor.String()+" is negative", "write 0 or more")
	default:
		c.convertible(at+".currency", cur)
		r.price, _ = c.book.rates.ConvertUp(*spec.Floor, cur, c.book.Currency)
	}
	return r
}

// enter puts a floor into the bitmaps of the values it names.
func (c *compiler) enter(r *floorRule, i int) {
	f := &c.book.floors
	bit := func(words []uint64) { words[i/64] |= 1 << (i % 64) }
	// Values share the bitmap of those that name none until they need their own.
	own := func(table [][]uint64, n int, any []uint64) {
		if f.words > 0 && &table[n][0] == &any[0] {
			table[n] = slices.Clone(any)
		}
		bit(table[n])
	}
	for _, n := range c.readCountries(r.at+".country", r.spec.Country) {
		own(f.country[:], int(n), f.any[byCountry])
	}
	for _, n := range c.readDevices(r.at+".device", r.spec.Device) {
		own(f.device[:], int(n), f.any[byDevice])
	}
	var hours campaign.Hours
	for k, t := range r.spec.Hour {
		if !hours.Parse(t) {
			c.fault(r.at+".hour["+strconv.Itoa(k)+"]", fmt.Sprintf("%q is not a part of the week", t), "write days, hours or both, the last hour not included: mon-fri 8-20, sat,sun, 22-6; in UTC")
		}
	}
	for h := range weekHours {
		if hours.Has(h) {
			own(f.hour[:], h, f.any[byHour])
		}
	}
	for m, mask := openrtb.BannerMedia, c.formats(r.at+".format", r.spec.Format); m <= openrtb.NativeMedia; m++ {
		if mask.Has(m) {
			bit(f.format[m])
		}
	}
	for _, s := range r.spec.Segment {
		if f.segments[s] == nil {
			f.segments[s] = make([]uint64, f.words)
		}
		bit(f.segments[s])
	}
	c.texts(r.at+".segment", r.spec.Segment)
	c.inventory(r.at, &r.spec.InventorySpec, func(p *place) {
		if p.floor == 0 {
			p.floor = int32(len(f.places))
			f.places = append(f.places, make([]uint64, f.words))
		}
		bit(f.places[p.floor])
	})
}
