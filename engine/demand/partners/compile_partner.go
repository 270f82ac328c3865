package partners

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"millrace/codec/openrtb"
	"millrace/codec/strict"
	"millrace/codec/unit"
	"millrace/state/campaign"
)

// Words of the file.
var (
	statusNames   = []string{"active", "paused"}
	versionNames  = []string{"2.5", "2.6", "as_received"}
	protocolNames = []string{"auto", "http1", "http2"}
	userNames     = []string{"full", "anonymous", "none"}
	formatNames   = []string{"banner", "video", "audio", "native"}
)

// choice is the index of a word; the first stands for an absent one.
func (c *compiler) choice(path, text string, names []string) int {
	if text == "" {
		return 0
	}
	for i, n := range names {
		if n == text {
			return i
		}
	}
	c.fault(path, fmt.Sprintf("%q is not known", text), strict.Remedy(text, names))
	return 0
}

func (c *compiler) formats(path string, texts []string) (m openrtb.MediaMask) {
	for i, t := range texts {
		m |= openrtb.MediaType(1 + c.choice(path+"["+strconv.Itoa(i)+"]", strings.ToLower(t), formatNames)).Mask()
	}
	return m
}

const idMax = 128

func validID(id string) bool {
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == ':', c == '-':
		default:
			return false
		}
	}
	return len(id) > 0 && len(id) <= idMax
}

func (c *compiler) partner(i int) {
	if i >= len(c.book.Order) {
		return // said: no place
	}
	at, spec := "partners["+strconv.Itoa(i)+"]", &c.file.Partners[i]
	if !validID(spec.ID) {
		c.fault(at+".id", fmt.Sprintf("%q can't be an id", spec.ID), "write at most 128 letters, digits and . _ : -")
	} else if first := c.names[spec.ID]; first != i {
		// names has the last; blame it at the one that comes first.
		c.fault(at+".id", fmt.Sprintf("%q is also the id of partners[%d]", spec.ID, first), "give each its own id")
	}
	id := c.book.Order[i]
	p := &c.book.Partners[id]
	*p = Partner{ID: id, Name: spec.ID, present: true, Tier: 2, Currency: c.book.Currency, Adjust: unit.MicrosPerUnit, LossNotices: spec.LossNotices, WinNotices: true}
	if spec.Tier != 0 {
		p.Tier = uint8(min(max(spec.Tier, 1), 3))
	}
	if spec.Tier < 0 || spec.Tier > 3 {
		c.fault(at+".tier", strconv.Itoa(spec.Tier)+" is not a tier", "write 1 (always asked), 2 (near and healthy; the default) or 3 (premium inventory)")
	}
	p.Paused = c.choice(at+".status", spec.Status, statusNames) == 1
	if spec.WinNotices != nil {
		p.WinNotices = *spec.WinNotices
	}
	if spec.Currency != (unit.Currency{}) {
		p.Currency = spec.Currency
		c.convertible(at+".currency", p.Currency)
	}
	c.worth(at, spec, p)
	c.endpoint(at, spec, p)
	c.edits(at, spec, p)
	c.eligible(at, spec, p)
}

// worth reads limits and the adjustment.
func (c *compiler) worth(at string, spec *PartnerSpec, p *Partner) {
	if a := spec.Adjust; a != nil {
		if p.Adjust = *a; *a <= 0 || *a > 10*unit.MicrosPerUnit {
			c.fault(at+".adjust", a.String()+" is not above 0 and up to 10", "write what a unit of its price is worth: 0.85 keeps 15 %")
			p.Adjust = unit.MicrosPerUnit
		}
	}
	if q := spec.QPS; !(q == 0 || q >= 0.01 && q <= 1e6) {
		c.fault(at+".qps", fmt.Sprintf("%v calls a second", q), "write 0.01 to 1000000, or leave it out for no cap")
	}
	c.egress(at+".egress", spec.Egress)
	p.QPS, p.Egress = spec.QPS, int64(spec.Egress)
	p.TimeoutMin, p.TimeoutMax = spec.Timeout.Min, spec.Timeout.Max
	if p.TimeoutMin == 0 {
		p.TimeoutMin = min(20*time.Millisecond, c.file.Deadlines.Hard)
	}
	if p.TimeoutMax == 0 {
		p.TimeoutMax = c.file.Deadlines.Hard
	}
	c.duration(at+".timeout.min", p.TimeoutMin, time.Millisecond, c.file.Deadlines.Hard, "20ms")
	c.duration(at+".timeout.max", p.TimeoutMax, p.TimeoutMin, c.file.Deadlines.Hard, "100ms")
}

// endpoint takes that of the node's region, or the first.
func (c *compiler) endpoint(at string, spec *PartnerSpec, p *Partner) {
	if len(spec.Endpoints) == 0 {
		c.fault(at+".endpoints", "missing", "write at least one: [{url: https://bid.example.com/openrtb2}]")
		return
	}
	chosen := 0
	regions := map[string]int{}
	for i := range spec.Endpoints {
		e, path := &spec.Endpoints[i], at+".endpoints["+strconv.Itoa(i)+"]"
		if first, twice := regions[e.Region]; twice {
			c.fault(path+".region", fmt.Sprintf("%q is also the region of endpoints[%d]", e.Region, first), "write one endpoint a region")
			continue
		}
		regions[e.Region] = i
		got := c.readEndpoint(path, e)
		mine := e.Region == c.options.Region || e.Region == "" || c.options.Region == ""
		// One that names the region is better than one that serves all.
		if i == chosen || mine && (!p.Near || e.Region == c.options.Region) {
			chosen, p.Endpoint, p.Near = i, got, mine
		}
	}
}

// connsMax bounds the connections of a shard to one endpoint.
const connsMax = 1024

func (c *compiler) readEndpoint(path string, e *EndpointSpec) Endpoint {
	out := Endpoint{
		Region: e.Region, URL: e.URL, Protocol: Protocol(c.choice(path+".protocol", e.Protocol, protocolNames)), Gzip: e.Gzip,
		Network: e.Network, ConnsMin: max(e.Conns.Min, 1), ConnsMax: e.Conns.Max, TLS: e.TLS,
	}
	u, err := url.Parse(e.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || strings.ContainsAny(e.URL, " \r\n\t") {
		c.fault(path+".url", fmt.Sprintf("%q is not the URL of an endpoint", e.URL), "write it whole: https://bid.example.com/openrtb2")
	} else if u.Scheme == "http" && e.TLS != (TLSSpec{}) {
		c.fault(path+".tls", "the URL does not use TLS", "write https:// or remove tls")
	}
	if (e.TLS.Cert == "") != (e.TLS.Key == "") {
		c.fault(path+".tls", "cert and key belong together", "write both or neither")
	}
	c.duration(path+".network", e.Network, 0, c.file.Deadlines.Hard, "8ms")
	if out.ConnsMax == 0 {
		out.ConnsMax = max(16, out.ConnsMin)
	}
	if e.Conns.Min < 0 || out.ConnsMax < out.ConnsMin || out.ConnsMax > connsMax {
		c.fault(path+".conns", fmt.Sprintf("min %d, max %d", out.ConnsMin, out.ConnsMax), "write 1 ≤ min ≤ max ≤ "+strconv.Itoa(connsMax))
	}
	for _, name := range sortedKeys(e.Headers) {
		if problem := badHeader(name, e.Headers[name]); problem != "" {
			c.fault(path+".headers."+name, problem, "write headers that the client does not set itself, in plain ASCII")
			continue
		}
		out.Headers = append(out.Headers, Header{name, e.Headers[name]})
	}
	return out
}

// ownHeaders are the client's.
var ownHeaders = []string{
	"host", "content-length", "content-type", "content-encoding", "accept-encoding", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect",
}

func badHeader(name, value string) string {
	for _, own := range ownHeaders {
		if strings.EqualFold(name, own) {
			return "the client sets this one itself"
		}
	}
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return fmt.Sprintf("%q can't be the name of a header", name)
		}
	}
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return "the value has a character that no header may have"
		}
	}
	if name == "" || len(value) > 4096 {
		return "an empty name, or a value of more than 4096 bytes"
	}
	return ""
}

// edits reads what its requests differ in.
func (c *compiler) edits(at string, spec *PartnerSpec, p *Partner) {
	versions := [...]openrtb.Version{openrtb.V25, openrtb.V26, openrtb.AsReceived}
	e := &p.Edit
	e.Version = openrtb.V26
	if spec.Version != "" {
		e.Version = versions[c.choice(at+".openrtb", spec.Version, versionNames)]
	}
	e.Cur = []unit.Currency{p.Currency}
	p.Seats = spec.Seats
	e.WSeat = spec.Seats
	c.texts(at+".seats", spec.Seats)
	switch c.choice(at+".user", spec.User, userNames) {
	case 1:
		e.AnonymousUser = true
	case 2:
		e.User.Op = openrtb.Remove
	}
	e.Ext.Members = c.members(at+".ext", spec.Ext)
	p.ImpExt = c.members(at+".imp_ext", spec.ImpExt)
	if spec.Deals != nil {
		p.OnlyDeals, p.Deals = true, *spec.Deals
		c.texts(at+".deals", p.Deals)
	}
	p.lists = c.blocks(at+".block", &spec.Block)
	e.BAdv, e.BCat, e.BApp = spec.Block.BAdv, spec.Block.BCat, spec.Block.BApp
}

func (c *compiler) texts(path string, texts []string) {
	for i, t := range texts {
		if t == "" {
			c.fault(path+"["+strconv.Itoa(i)+"]", "an empty value", "write a value or remove it")
		}
	}
}

func (c *compiler) members(path string, spec map[string]string) (members []openrtb.MemberEdit) {
	for _, name := range sortedKeys(spec) {
		text := spec[name]
		switch {
		case !validID(name):
			c.fault(path+"."+name, "can't be the name of a member", "write letters, digits and . _ : -")
		case !openrtb.ValidJSON([]byte(text)):
			c.fault(path+"."+name, "is not JSON", `write a JSON value as text: '"abc"', '{"id": 7}', 'true'`)
		default:
			members = append(members, openrtb.MemberEdit{Name: name, JSON: []byte(text)})
		}
	}
	return members
}

// eligible enters a partner into the tables.
func (c *compiler) eligible(at string, spec *PartnerSpec, p *Partner) {
	b := c.book
	if !p.Paused {
		b.asked.Add(p.ID)
	}
	b.tiers[p.Tier].Add(p.ID)
	if p.Near {
		b.near.Add(p.ID)
	}
	if p.Currency != b.Currency {
		b.foreign.Add(p.ID)
	}
	p.Formats = c.formats(at+".formats", spec.Formats)
	for m := openrtb.BannerMedia; m <= openrtb.NativeMedia; m++ {
		if len(spec.Formats) == 0 {
			p.Formats |= m.Mask()
		}
		if p.Formats.Has(m) {
			b.index.format[m].Add(p.ID)
		}
	}
	c.countries(at+".country", &spec.Country, p)
	c.devices(at+".devices", spec.Devices, p)
	c.sizes(at+".sizes", spec.Sizes, p)
	if !p.OnlyDeals {
		b.index.asGiven.Add(p.ID)
	}
	for _, d := range p.Deals {
		if b.index.deals == nil {
			b.index.deals = map[string]Set{}
		}
		s := b.index.deals[d]
		s.Add(p.ID)
		b.index.deals[d] = s
	}
	c.inventory(at+".except", &spec.Except, func(x *place) { x.except.Add(p.ID) })
}

func (c *compiler) readCountries(path string, texts []string) (numbers []uint8) {
	for i, t := range texts {
		n, problem, remedy := campaign.ReadCountry(t)
		if problem != "" {
			c.fault(path+"["+strconv.Itoa(i)+"]", problem, remedy)
			continue
		}
		numbers = append(numbers, n)
	}
	return numbers
}

func (c *compiler) countries(path string, spec *AllowSpec, p *Partner) {
	table := &c.book.index.country
	for n := range table {
		if len(spec.Include) == 0 {
			table[n].Add(p.ID)
		}
	}
	for _, n := range c.readCountries(path+".include", spec.Include) {
		table[n].Add(p.ID)
	}
	for _, n := range c.readCountries(path+".exclude", spec.Exclude) {
		table[n].Remove(p.ID)
	}
}

func (c *compiler) readDevices(path string, texts []string) (numbers []uint32) {
	for i, t := range texts {
		n, problem, remedy := campaign.ReadDeviceTypes(t)
		if problem != "" {
			c.fault(path+"["+strconv.Itoa(i)+"]", problem, remedy)
			continue
		}
		numbers = append(numbers, n...)
	}
	return numbers
}

func (c *compiler) devices(path string, texts []string, p *Partner) {
	table := &c.book.index.device
	for n := range table {
		if len(texts) == 0 {
			table[n].Add(p.ID)
		}
	}
	for _, n := range c.readDevices(path, texts) {
		table[n].Add(p.ID)
	}
}

func (c *compiler) sizes(path string, texts []string, p *Partner) {
	x := &c.book.index
	if len(texts) == 0 {
		x.anySize.Add(p.ID)
	}
	for i, t := range texts {
		z, ok := campaign.ParseSize(t)
		if !ok {
			c.fault(path+"["+strconv.Itoa(i)+"]", fmt.Sprintf("%q is not a size", t), "write width x height: 300x250")
			continue
		}
		if x.size == nil {
			x.size = map[uint32]Set{}
		}
		s := x.size[sizeKey(int32(z.W), int32(z.H))]
		s.Add(p.ID)
		x.size[sizeKey(int32(z.W), int32(z.H))] = s
	}
}
