package selection

import (
	"math"

	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/models/coldstart"
	"millrace/shards"
	"millrace/state/campaign"
)

// Config weighs priors against observations, and ranks against prices.
type Config struct {
	// ClickStrength is how many impressions a creative's prior click rate is
	// worth; ConversionStrength how many clicks its prior conversion rate is.
	ClickStrength, ConversionStrength float64
	// ScoredMax bounds how many creatives a model scores before an impression's
	// first bid: where more lines compete, those that look best by counts alone.
	// 0 is no bound.
	ScoredMax int
	// Format scales the rank of a banner, video, audio or native creative beside
	// creatives of other formats, by openrtb.MediaType.
	Format [openrtb.NativeMedia + 1]float64
	// Position scales the click rate of a creative that no model predicts by
	// where the impression is: OpenRTB's pos, 0 (unknown) to 7.
	Position [PositionMax + 1]float64
}

// PositionMax is the last of OpenRTB's positions.
const PositionMax = 7

// Default lets observations count as much as the prior after 1,000 impressions
// and 100 clicks, scores no more than 200 creatives at first, and treats all formats and positions alike.
func Default() Config {
	c := Config{ClickStrength: 1000, ConversionStrength: 100, ScoredMax: 200}
	for i := range c.Format {
		c.Format[i] = 1
	}
	for i := range c.Position {
		c.Position[i] = 1
	}
	return c
}

// Catalog is a snapshot with the columns that a shard changes: what each
// creative is worth now, and which lines have funds.
type Catalog struct {
	_        shards.Pad
	Snapshot *campaign.Snapshot
	cfg      Config
	values   []unit.Nanos // by creative: expected revenue of an impression
	bounds   []unit.Nanos // by line: the most of its creatives' values
	ranks    []unit.Nanos // by line: the most of its creatives' ranks
	trials   []uint32     // by creative: impressions known of
	cats     categories
	// weights turn a price into a rank: by creative, and the most by line.
	weights, lineWeights []float32
	// predicted are the lines whose worth depends on a prediction.
	predicted campaign.Bitmap
	// linesOf[first[a]:first[a+1]] are the lines that pay from account a.
	first   []uint32
	linesOf []campaign.LineIndex
	funded  campaign.Bitmap // lines all of whose accounts have money
	dry     []uint64        // accounts without, as funded reflects them
	_       shards.Pad
}

// Prepare builds a shard's catalog from a snapshot: with prior rates, and every
// account taken as funded. It is slow for a shard (a millisecond for 100,000
// lines) and meant for the loader's goroutine.
func Prepare(s *campaign.Snapshot, cfg Config) *Catalog {
	c := &Catalog{
		Snapshot: s, cfg: cfg,
		values: shards.AlignedSlice[unit.Nanos](len(s.Creatives)),
		bounds: shards.AlignedSlice[unit.Nanos](len(s.Lines)),
		ranks:  shards.AlignedSlice[unit.Nanos](len(s.Lines)),
		trials: shards.AlignedSlice[uint32](len(s.Creatives)),

		weights: shards.AlignedSlice[float32](len(s.Creatives)), lineWeights: shards.AlignedSlice[float32](len(s.Lines)),
		dry: shards.AlignedSlice[uint64]((len(s.Accounts) + 63) / 64),
	}
	c.funded.Resize(len(s.Lines))
	c.funded.Fill(len(s.Lines))
	c.predicted.Resize(len(s.Lines))
	var none Counts
	c.cats = newCategories(s)
	for i := range s.Lines {
		if s.Lines[i].Pricing != campaign.CPM {
			c.predicted.Set(campaign.LineIndex(i))
		}
		for cr := s.Lines[i].FirstCreative; cr < s.Lines[i].EndCreative; cr++ {
			c.weights[cr] = float32(float64(s.Creatives[cr].Quality) / campaign.QualityDefault * cfg.Format[s.Creatives[cr].Media])
			c.lineWeights[i] = max(c.lineWeights[i], c.weights[cr])
			c.values[cr] = c.worth(cr, &none)
		}
		c.rebound(campaign.LineIndex(i))
	}
	c.indexAccounts()
	return c
}

func (c *Catalog) indexAccounts() {
	lines := c.Snapshot.Lines
	c.first = make([]uint32, len(c.Snapshot.Accounts)+1)
	each := func(visit func(account int32, line campaign.LineIndex)) {
		for i := range lines {
			for _, a := range lines[i].Accounts() {
				if a >= 0 {
					visit(a, campaign.LineIndex(i))
				}
			}
		}
	}
	each(func(a int32, _ campaign.LineIndex) { c.first[a+1]++ })
	for a := 1; a < len(c.first); a++ {
		c.first[a] += c.first[a-1]
	}
	c.linesOf = make([]campaign.LineIndex, c.first[len(c.first)-1])
	next := append([]uint32(nil), c.first...)
	each(func(a int32, l campaign.LineIndex) {
		c.linesOf[next[a]] = l
		next[a]++
	})
}

// Worth is the expected revenue of an impression of the creative, by counts.
func (c *Catalog) Worth(cr campaign.CreativeIndex) unit.Nanos { return c.values[cr] }

// LinesOf are the lines that pay from an account. Immutable, like the snapshot.
func (c *Catalog) LinesOf(a campaign.AccountIndex) []campaign.LineIndex {
	return c.linesOf[c.first[a]:c.first[a+1]]
}

// rates are the smoothed click and conversion rates of a creative.
func (c *Catalog) rates(creative campaign.CreativeIndex, seen *Counts) (ctr, cvr float64) {
	cr := &c.Snapshot.Creatives[creative]
	clicks := seen.of(event.Click)
	ctr = coldstart.Prior{Mean: c.cats.prior(creative, cr), Strength: c.cfg.ClickStrength}.Rate(clicks, seen.of(event.Impression))
	cvr = coldstart.Prior{Mean: float64(cr.CVR), Strength: c.cfg.ConversionStrength}.Rate(seen.of(event.Conversion), clicks)
	return ctr, cvr
}

// worth is the expected revenue of one impression, rounded down to a nano.
func (c *Catalog) worth(creative campaign.CreativeIndex, seen *Counts) unit.Nanos {
	l := &c.Snapshot.Lines[c.Snapshot.Creatives[creative].Line]
	if l.Pricing == campaign.CPM {
		return l.Price
	}
	ctr, cvr := c.rates(creative, seen)
	return expected(l, ctr, cvr)
}

// expected is what an impression of a line that pays by click or conversion is
// worth, rounded down to a nano. It never falls when a rate rises: bounds of
// rates make bounds of worth.
func expected(l *campaign.LineItem, ctr, cvr float64) unit.Nanos {
	v := float64(l.Price) * ctr
	if l.Pricing == campaign.CPA {
		v *= cvr
	}
	return unit.Nanos(math.Floor(v))
}

// weigh is the rank of a price: it never falls when either rises, and is the
// price itself for a creative of the default quality.
func weigh(price unit.Nanos, weight float32) unit.Nanos {
	if weight == 1 {
		return price
	}
	return unit.Nanos(math.Floor(float64(price) * float64(weight)))
}

func (c *Catalog) rebound(line campaign.LineIndex) {
	l := &c.Snapshot.Lines[line]
	c.bounds[line], c.ranks[line] = 0, 0
	for cr := l.FirstCreative; cr < l.EndCreative; cr++ {
		c.bounds[line] = max(c.bounds[line], c.values[cr])
		c.ranks[line] = max(c.ranks[line], weigh(c.values[cr], c.weights[cr]))
	}
}

// reprice works a creative's worth out again after its counts changed.
func (c *Catalog) reprice(id unit.CreativeID, seen *Counts) {
	cr, ok := c.Snapshot.Creative(id)
	if !ok {
		return
	}
	c.values[cr] = c.worth(cr, seen)
	c.trials[cr] = uint32(min(seen.of(event.Impression), math.MaxUint32))
	c.rebound(c.Snapshot.Creatives[cr].Line)
}

// fund brings the set of funded lines up to date with the broker's dry accounts.
func (c *Catalog) fund(dry []uint64) {
	for w := range min(len(dry), len(c.dry)) {
		for changed := dry[w] ^ c.dry[w]; changed != 0; changed &= changed - 1 {
			a := w*64 + trailing(changed)
			c.dry[w] = dry[w]&(changed&-changed) | c.dry[w]&^(changed&-changed)
			if a+1 < len(c.first) {
				c.refund(a)
			}
		}
	}
}

func (c *Catalog) refund(account int) {
	for _, l := range c.LinesOf(campaign.AccountIndex(account)) {
		if c.paid(c.Snapshot.Lines[l].Account) && c.paid(c.Snapshot.Lines[l].LineAccount) {
			c.funded.Set(l)
		} else {
			c.funded.Clear(l)
		}
	}
}

func (c *Catalog) paid(a campaign.AccountIndex) bool {
	return a == campaign.NoAccount || c.dry[a/64]>>(a%64)&1 == 0
}
