package campaign

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	// Campaign time zones must work on machines without a zone database.
	_ "time/tzdata"

	"millrace/codec/creative"
	"millrace/codec/strict"
	"millrace/codec/unit"
	"millrace/state/pacing"
)

// Options of Compile.
type Options struct {
	// Version of the snapshot.
	Version uint64
}

// Compile turns a File into a Snapshot, or lists everything that is wrong with
// its meaning. Faults of the text are the caller's to look at: what could not
// be read is not judged a second time.
func Compile(f *File, options Options) (*Snapshot, strict.Faults) {
	c := newCompiler(f)
	c.snapshot.Version, c.snapshot.Hash = options.Version, f.hash
	for a := range f.Advertisers {
		c.advertiser(a)
	}
	if len(f.Advertisers) == 0 {
		c.fault(place{-1, -1, -1, -1}, "advertisers", "the catalog is empty", "write at least one advertiser with a campaign")
	}
	// Written order within a tier: the index is the tie order.
	slices.SortStableFunc(c.lines, func(x, y pendingLine) int { return int(x.item.Tier) - int(y.item.Tier) })
	for i := range c.lines {
		c.line(&c.lines[i])
	}
	if len(c.faults) > 0 {
		c.faults.Sort()
		return nil, c.faults
	}
	c.finish()
	return c.snapshot, nil
}

// place is where in the file the compiler is; −1 is "above".
type place struct{ advertiser, campaign, line, creative int }

func (p place) path(field string) string {
	var b strings.Builder
	for _, s := range [...]struct {
		list  string
		index int
	}{{"advertisers", p.advertiser}, {".campaigns", p.campaign}, {".line_items", p.line}, {".creatives", p.creative}} {
		if s.index < 0 {
			break
		}
		b.WriteString(s.list + "[" + strconv.Itoa(s.index) + "]")
	}
	if b.Len() > 0 && field != "" {
		b.WriteByte('.')
	}
	return b.String() + field
}

// pendingLine is a line item before the order by tier is known.
type pendingLine struct {
	at   place
	spec *LineSpec
	item LineItem
	open hours
}

type compiler struct {
	file     *File
	snapshot *Snapshot
	faults   strict.Faults
	blamed   map[string]bool
	lines    []pendingLine
	entries  [dimensionsMax][]indexEntry
	// named finds ids given twice, and hashes that collide: one entry an id.
	named      map[uint64]naming
	zones      map[string]*time.Location
	scheduleOf map[scheduleKey]uint32
	texts      map[string]string
	markup     creative.Compiler
	key        []byte
	// Of the line item at hand.
	ruleScratch []rule
}

// naming is who has a hash. The name is looked up in the file when it matters.
type naming struct {
	at        place
	namespace string
}

type scheduleKey struct {
	zone string
	open hours
}

func newCompiler(f *File) *compiler {
	c := &compiler{
		file: f, blamed: f.blamed(), named: make(map[uint64]naming, 4*f.lines()),
		zones: map[string]*time.Location{}, scheduleOf: map[scheduleKey]uint32{}, texts: map[string]string{},
	}
	s := &Snapshot{
		schedules:    []schedule{{zone: time.UTC, open: always}},
		lineByID:     make(map[unit.LineID]LineIndex, f.lines()),
		campaignByID: map[unit.CampaignID]CampaignIndex{},
		creativeByID: map[unit.CreativeID]CreativeIndex{},
		accountByID:  map[unit.AccountID]AccountIndex{},
		blocks:       blockIndex{dictionary: newDictionary(1), kinds: []byte{0}},
	}
	s.index.sizes = map[Size]uint32{}
	for d := range s.index.dictionaries {
		s.index.dictionaries[d] = newDictionary(1)
	}
	c.snapshot = s
	return c
}

// fault notes a fault of a field below p, unless the text is already at fault
// there.
func (c *compiler) fault(p place, field, problem, remedy string) {
	path := p.path(field)
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

// keepSharedMax: longer texts are not worth looking for an equal one.
const keepSharedMax = 24

// keep is a copy of the text that does not hold the file in memory; equal short
// texts share one.
func (c *compiler) keep(text string) string {
	if len(text) > keepSharedMax || len(text) == 0 {
		return strings.Clone(text)
	}
	if kept, ok := c.texts[text]; ok {
		return kept
	}
	kept := strings.Clone(text)
	c.texts[kept] = kept
	return kept
}

// id checks an id and hashes it in its namespace.
func (c *compiler) id(p place, namespace, id string) uint64 {
	noun := namespace
	if namespace == "line" {
		noun = "line item"
	}
	switch {
	case id == "":
		c.fault(p, "id", "missing", "give every "+noun+" an id that stays the same for ever")
		return 0
	case !validID(id):
		c.fault(p, "id", fmt.Sprintf("%q can't be an id", id), "write at most 128 letters, digits and . _ : -")
		return 0
	}
	hash := unit.HashID(namespace, id)
	first, taken := c.named[hash]
	switch other := c.nameOf(first); {
	case !taken:
		c.named[hash] = naming{p, namespace}
	case first.namespace == namespace && other == id:
		line, _ := c.file.source.At(first.at.path("id"))
		c.fault(p, "id", fmt.Sprintf("%q is already the id of the %s in line %d", id, noun, line), "give each its own id; ids are unique in the whole file")
	default:
		c.fault(p, "id", fmt.Sprintf("%q has the same hash as the %s %q", id, first.namespace, other), "choose another id")
	}
	return hash
}

// nameOf is the id written at the place of a naming.
func (c *compiler) nameOf(n naming) string {
	if n.namespace == "" {
		return ""
	}
	a := &c.file.Advertisers[n.at.advertiser]
	switch p := n.at; n.namespace {
	case "advertiser":
		return a.ID
	case "campaign":
		return a.Campaigns[p.campaign].ID
	case "line":
		return a.Campaigns[p.campaign].LineItems[p.line].ID
	default:
		return a.Campaigns[p.campaign].LineItems[p.line].Creatives[p.creative].ID
	}
}

func validID(id string) bool {
	for i := range len(id) {
		c := id[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == ':' || c == '-') {
			return false
		}
	}
	return len(id) <= 128
}

// choice finds text among the names; fallback is for no text.
func (c *compiler) choice(p place, field, text string, names []string, fallback int) int {
	if text == "" {
		return fallback
	}
	if i := slices.Index(names, text); i >= 0 {
		return i
	}
	c.fault(p, field, fmt.Sprintf("%q is not known", text), strict.Remedy(text, names))
	return fallback
}

var statusNames = []string{"active", "paused"}

func (c *compiler) advertiser(a int) {
	p, spec, s := place{a, -1, -1, -1}, &c.file.Advertisers[a], c.snapshot
	s.Advertisers = append(s.Advertisers, Advertiser{
		ID:   unit.AdvertiserID(c.id(p, "advertiser", spec.ID)),
		Name: strings.Clone(spec.ID), Title: c.keep(spec.Name), Domain: c.keep(strings.ToLower(spec.Domain)),
	})
	if spec.Domain != "" && !validDomain(spec.Domain) {
		c.fault(p, "domain", fmt.Sprintf("%q is not a domain", spec.Domain), "write it without scheme and path: shop.example.com")
	}
	c.categories(p, spec.Categories)
	for i := range spec.Campaigns {
		c.campaign(place{a, i, -1, -1}, &spec.Campaigns[i])
	}
}

func (c *compiler) campaign(p place, spec *CampaignSpec) {
	s := c.snapshot
	index := CampaignIndex(len(s.Campaigns))
	m := Campaign{
		ID:   unit.CampaignID(c.id(p, "campaign", spec.ID)),
		Name: strings.Clone(spec.ID), Title: c.keep(spec.Name),
		Advertiser: AdvertiserIndex(p.advertiser), Account: NoAccount, Currency: spec.Currency,
		Zone: c.zone(p, spec.TimeZone), Paused: c.choice(p, "status", spec.Status, statusNames, 0) == 1,
	}
	if m.Currency == (unit.Currency{}) {
		m.Currency = unit.USD
	}
	m.Start, m.End = c.dates(p, spec.Start, spec.End, m.Zone)
	open := c.hours(p, "dayparts", spec.Dayparts)
	budget := c.budget(p, &spec.Budget)
	for i := range spec.LineItems {
		l := pendingLine{at: place{p.advertiser, p.campaign, i, -1}, spec: &spec.LineItems[i], open: open}
		l.item.Campaign, l.item.Start, l.item.End = index, m.Start, m.End
		l.item.Paused, l.item.Currency = m.Paused, m.Currency
		c.lineHead(&l)
		if l.item.Kind != House && m.Account == NoAccount {
			m.Account = c.account("campaign/", spec.ID, &m, budget)
		}
		if l.item.Account = m.Account; l.item.Kind == House {
			l.item.Account = NoAccount
		}
		l.item.LineAccount = NoAccount
		if b := l.spec.Budget; b != nil {
			budget := c.budget(l.at, b)
			if l.item.Kind == House {
				c.fault(l.at, "budget", "a house line item costs nothing", "remove the budget")
			} else {
				l.item.LineAccount = c.account("line/", l.spec.ID, &m, budget)
			}
		}
		c.lines = append(c.lines, l)
	}
	s.Campaigns = append(s.Campaigns, m)
	s.campaignByID[m.ID] = index
}

func (c *compiler) account(prefix, name string, m *Campaign, b budget) AccountIndex {
	s := c.snapshot
	a := Account{
		Name: prefix + name, Campaign: m.ID, Daily: b.daily, Total: b.total, Pacing: b.pacing, Currency: m.Currency, Zone: m.Zone,
		Start: Never,
	}
	a.ID = unit.AccountID(unit.HashID("account", a.Name))
	if other, collides := s.accountByID[a.ID]; collides && s.Accounts[other].Name != a.Name {
		c.fault(place{int(m.Advertiser), -1, -1, -1}, "", fmt.Sprintf("the account %s has the same hash as %s", a.Name, s.Accounts[other].Name), "choose another id")
	}
	index := AccountIndex(len(s.Accounts))
	s.Accounts = append(s.Accounts, a)
	s.accountByID[a.ID] = index
	return index
}

// budget is a BudgetSpec that was looked through.
type budget struct {
	daily, total unit.Nanos
	pacing       pacing.Mode
}

func (c *compiler) budget(p place, b *BudgetSpec) budget {
	amount := func(field string, n *unit.Nanos) unit.Nanos {
		if n == nil {
			return 0
		}
		if *n <= 0 {
			c.fault(p, field, n.String()+" is not a budget", "write an amount above 0, or remove it for no bound")
		}
		return *n
	}
	daily, total := amount("budget.daily", b.Daily), amount("budget.total", b.Total)
	if total > 0 && daily > total {
		c.fault(p, "budget.daily", "the daily budget "+daily.String()+" is above the total "+total.String(), "lower it, or raise budget.total")
	}
	return budget{daily, total, pacing.Mode(c.choice(p, "budget.pacing", b.Pacing, pacing.ModeNames(), int(pacing.Even)))}
}

// lineHead reads what decides order and account: kind, tier, status. Ids are
// looked at here too, while the order is still the file's.
func (c *compiler) lineHead(l *pendingLine) {
	spec, item := l.spec, &l.item
	item.ID = unit.LineID(c.id(l.at, "line", spec.ID))
	for i := range spec.Creatives {
		c.id(place{l.at.advertiser, l.at.campaign, l.at.line, i}, "creative", spec.Creatives[i].ID)
	}
	item.Kind = Kind(c.choice(l.at, "kind", spec.Kind, kindNames, int(Direct)))
	item.Paused = c.choice(l.at, "status", spec.Status, statusNames, 0) == 1 || item.Paused
	low, high := uint8(0), uint8(TierGuaranteedLast)
	switch item.Kind {
	case ProgrammaticGuaranteed:
		item.Tier = TierProgrammaticGuaranteed
	case Guaranteed:
		item.Tier = TierGuaranteed
	case Direct:
		item.Tier, low, high = TierDirect, TierGuaranteedLast+1, TierDirectLast
	case House:
		item.Tier, low, high = TierHouse, TierHouse, TierHouse
	}
	if spec.Tier == nil || spec.Kind != "" && item.Kind.String() != spec.Kind {
		return
	}
	if *spec.Tier < low || *spec.Tier > high {
		c.fault(l.at, "tier", fmt.Sprintf("a %s line item can't be in tier %d", item.Kind, *spec.Tier),
			fmt.Sprintf("write %d to %d, or remove it for %d", low, high, item.Tier))
		return
	}
	item.Tier = *spec.Tier
}

// line compiles a line item into its place in the snapshot.
func (c *compiler) line(l *pendingLine) {
	s, spec, item := c.snapshot, l.spec, &l.item
	index := LineIndex(len(s.Lines))
	item.Name = strings.Clone(spec.ID)
	c.price(l)
	c.lineDates(l)
	c.frequencyCap(l)
	item.firstDeal = uint32(len(s.deals))
	for i, deal := range spec.Deals {
		if deal == "" {
			c.fault(l.at, "deals["+strconv.Itoa(i)+"]", "an empty deal id", "write the id that the exchange sends")
		}
		s.deals = append(s.deals, c.keep(deal))
	}
	item.endDeal = uint32(len(s.deals))
	if item.Kind == ProgrammaticGuaranteed && len(spec.Deals) == 0 {
		c.fault(l.at, "deals", "a programmatic_guaranteed line item without a deal", "write the deal ids it serves in")
	}
	c.ruleScratch = c.ruleScratch[:0]
	c.targeting(l)
	c.creatives(l, index)
	c.rules(l, index)
	s.Lines = append(s.Lines, *item)
	s.lineByID[item.ID] = index
}

func (c *compiler) price(l *pendingLine) {
	spec, item := l.spec, &l.item
	item.Pricing = Pricing(c.choice(l.at, "pricing", spec.Pricing, pricingNames, int(CPM)))
	if spec.Price != nil {
		item.Price = *spec.Price
	}
	switch {
	case item.Kind == House:
		if item.Price != 0 || item.Pricing != CPM {
			c.fault(l.at, "price", "a house line item costs nothing", "remove price and pricing")
		}
		return
	case spec.Price == nil:
		c.fault(l.at, "price", "missing", "write what is paid for: a thousand impressions (cpm), a click (cpc) or a conversion (cpa)")
		return
	case item.Price <= 0:
		c.fault(l.at, "price", item.Price.String()+" is not a price", "write an amount above 0")
		return
	}
	if item.Pricing == CPM {
		if item.Price%1000 != 0 {
			c.fault(l.at, "price", "a thousandth of "+item.Price.String()+" is not exact", "write a CPM with at most 6 decimals")
		}
		item.Price /= 1000
	}
	for _, a := range [...]AccountIndex{item.Account, item.LineAccount} {
		if a == NoAccount {
			continue
		}
		if daily := c.snapshot.Accounts[a].Daily; daily > 0 && item.Price > daily {
			c.fault(l.at, "price", "one event costs "+item.Price.String()+", more than the daily budget "+daily.String(), "lower the price or raise the budget")
		}
	}
}

func (c *compiler) lineDates(l *pendingLine) {
	zone := c.snapshot.Campaigns[l.item.Campaign].Zone
	start, end := c.dates(l.at, l.spec.Start, l.spec.End, zone)
	l.item.Start, l.item.End = max(l.item.Start, start), min(l.item.End, end)
	if l.item.Start >= l.item.End {
		c.fault(l.at, "start", "its dates lie outside those of the campaign", "let the two overlap")
	}
	t := &l.spec.Targeting
	open := l.open
	open.intersect(c.hours(l.at, "dayparts", l.spec.Dayparts))
	open.intersect(c.hours(l.at, "targeting.include.hour", t.Include.Hour))
	if len(t.Exclude.Hour) > 0 {
		open.subtract(c.hours(l.at, "targeting.exclude.hour", t.Exclude.Hour))
	}
	if open == (hours{}) {
		c.fault(l.at, "dayparts", "no hour of the week is left", "let dayparts and targeting by hour overlap")
	}
	l.item.schedule = c.schedule(zone, open)
	for _, i := range l.item.Accounts() {
		if i >= 0 {
			a := &c.snapshot.Accounts[i]
			a.Start, a.End = min(a.Start, l.item.Start), max(a.End, l.item.End)
			a.open.unite(open)
		}
	}
}

func (c *compiler) schedule(zone *time.Location, open hours) uint32 {
	if open == always {
		return 0
	}
	key := scheduleKey{zone.String(), open}
	if i, ok := c.scheduleOf[key]; ok {
		return i
	}
	i := uint32(len(c.snapshot.schedules))
	c.snapshot.schedules = append(c.snapshot.schedules, schedule{zone, open})
	c.scheduleOf[key] = i
	return i
}

// frequencyWindowMax bounds the window: a profile forgets what is older.
const frequencyWindowMax = 31 * 24 * time.Hour

func (c *compiler) frequencyCap(l *pendingLine) {
	f := l.spec.FrequencyCap
	if f == nil {
		return
	}
	if f.Impressions == 0 {
		c.fault(l.at, "frequency_cap.impressions", "missing or 0", "write how many impressions a user may get, or remove frequency_cap")
	}
	if f.Per < time.Second || f.Per > frequencyWindowMax {
		c.fault(l.at, "frequency_cap.per", "missing, or not between 1s and 31d", "write the time it counts over: 24h, 7d")
	}
	l.item.FrequencyCap = FrequencyCap{Impressions: f.Impressions, Window: f.Per}
}

// finish builds the index once every line item has its place.
func (c *compiler) finish() {
	s := c.snapshot
	s.timeLines()
	s.deals, s.rules = slices.Clip(s.deals), slices.Clip(s.rules)
	for d := range dimensionsMax {
		values := s.index.dictionaries[d].next
		switch d {
		case dimSlot:
			values = slotFirstSize + uint32(len(s.index.sizes))
		case dimCountry:
			values = uint32(countriesMax)
		case dimDevice:
			values = deviceTypeLast + 1
		case dimOS:
			values = osLast + 1
		}
		switch d {
		case dimCountry, dimRegion, dimCity, dimDevice, dimOS, dimLanguage:
			s.index.dimensions[d].single = true
		}
		s.index.dimensions[d].build(c.entries[d], values, len(s.Lines), true)
		c.entries[d] = nil
	}
}
