package selection

import (
	"millrace/engine/auction"
	"millrace/models/feature"
	"millrace/models/gbdt"
	"millrace/models/ladder"
	"millrace/models/rollout"
	"millrace/shards"
	"millrace/state/campaign"
	"millrace/state/profile"
)

// batch is how many candidates are scored at once: enough to fill the kernel's
// lanes for every tree, few enough that scoring ends soon after the winner is
// certain.
const batch = 64

// batchGrowth: each further batch of an impression is so many times larger.
const batchGrowth = 16

// bound is the most that rates can be.
type bound struct{ ctr, cvr float64 }

// scored is a bid with the rates that its worth was worked out with; 0 where
// none was needed.
type scored struct {
	auction.Bid
	ctr, cvr float32
}

// sound reports whether the predictions are rates.
func (b *scored) sound() bool { return b.ctr >= 0 && b.ctr <= 1 && b.cvr >= 0 && b.cvr <= 1 }

// Choice is by what a request is decided: which arm of a rollout, and how much
// work may go into it. It holds for the whole request.
type Choice struct {
	Arm  rollout.Arm
	Rung ladder.Rung
}

// Predictor predicts for one shard. Owned by the shard; it allocates when a
// model comes, and never for a request.
type Predictor struct {
	_       shards.Pad
	users   *profile.Users
	encoder *feature.Encoder
	inputs  *inputs
	arms    [2]*Arm

	userWidth, crossWidth int

	// Of the request.
	user        *profile.User
	userEncoded bool
	// Of the impression.
	width, height int32
	encoded       bool // request is whole
	begun         *Arm // whose scorers have the request
	full          bool // by the model of all features, not the context's
	converting    bool // the conversion model has begun
	failed        bool // a prediction was no rate

	request []float32
	ads     []uint32
	places  []int32 // in the batch, of the ads
	cross   []float32
	raw     []float64
	_       shards.Pad
}

// Arm is a model with one shard's scorers for it.
type Arm struct {
	_                 shards.Pad
	model             *Model
	ctr, cvr, context *gbdt.Scorer
	// cached is the rate of what each ad pays for, per impression, as last
	// predicted; 0 before the first.
	cached []float32
	_      shards.Pad
}

// NewArm makes one shard's scorers for a model: slow work, for the loader's
// goroutine.
func NewArm(m *Model) *Arm {
	b := m.bundle
	return &Arm{
		model: m, ctr: b.CTR.Compiled.NewScorer(), cvr: b.CVR.Compiled.NewScorer(), context: b.Context.Compiled.NewScorer(),
		cached: shards.AlignedSlice[float32](len(m.ads)),
	}
}

// Model is the arm's.
func (a *Arm) Model() *Model { return a.model }

// NewPredictor makes a shard's predictor for models of the schema. It predicts
// nothing until SetArms.
func NewPredictor(schema *feature.Schema, users *profile.Users) (*Predictor, error) {
	in, err := findInputs(schema)
	if err != nil {
		return nil, err
	}
	split := schema.Split()
	return &Predictor{
		users: users, encoder: schema.NewEncoder(), inputs: in,
		userWidth: schema.Width(feature.User), crossWidth: split.Cross,
		request: shards.AlignedSlice[float32](split.Request),
		ads:     shards.AlignedSlice[uint32](batch), places: shards.AlignedSlice[int32](batch),
		cross: shards.AlignedSlice[float32](batch * split.Cross), raw: shards.AlignedSlice[float64](batch),
	}, nil
}

// SetArms puts models into force, by rollout.Arm; nil predicts nothing.
func (p *Predictor) SetArms(arms [2]*Arm) { p.arms, p.begun = arms, nil }

// Features counts values that were missing or stale, by column.
func (p *Predictor) Features() feature.Counters { return p.encoder.Counters() }

// arm is the one of the choice, if it has a model of the selector's catalog.
func (p *Predictor) arm(s *Selector, of rollout.Arm) *Arm {
	if p == nil || of > rollout.Challenger {
		return nil
	}
	if a := p.arms[of]; a != nil && a.model.snapshot == s.catalog.Snapshot {
		return a
	}
	return nil
}

// beginRequest forgets the last request.
func (p *Predictor) beginRequest(s *Selector) {
	p.user, p.userEncoded, p.failed = nil, false, false
	if s.known {
		p.user = p.users.Find(s.user)
	}
}

// encode makes the request side of the row, once an impression; the user's part
// once a request.
func (p *Predictor) encode(s *Selector) {
	if p.encoded {
		return
	}
	n := p.userWidth
	if !p.userEncoded {
		p.encodeUser(s, p.user, p.request[:n])
		p.setRequest(s)
		p.userEncoded = true
	}
	p.encodeImp(s, s.imp, p.request[n:])
	p.encoded = true
}

// begin readies an arm for the impression and returns a bound of what it can
// predict: of this request, where it is worth the work to find. Of whom nothing can be remembered the context's model predicts: the
// other one was trained on users.
func (p *Predictor) begin(s *Selector, a *Arm, close bool) bound {
	p.encode(s)
	p.begun, p.converting, p.full = a, false, s.known
	scorer, f := a.ctr, &a.model.ctr
	if !p.full {
		scorer, f = a.context, &a.model.context
	}
	scorer.Begin(p.request)
	most := f.most
	if close {
		_, raw := scorer.Bounds()
		most = f.bound(raw)
	}
	// Rates are kept as float32s: so are their bounds, that rounding can't carry
	// a rate past its bound.
	return bound{float64(float32(most)), float64(float32(a.model.cvr.most))}
}

// score predicts click rates, and where a creative pays by conversion those of
// conversions, of up to batch bids whose lines are all priced by them.
func (p *Predictor) score(s *Selector, bids []scored) {
	m := p.begun.model
	scorer, masks, f := p.begun.ctr, m.ctrAds, &m.ctr
	if !p.full {
		scorer, masks, f = p.begun.context, m.contextAds, &m.context
	}
	width := p.crossWidth
	n, acts := 0, 0
	for i := range bids {
		slot := m.slots[bids[i].Creative]
		p.encodePair(s, campaign.CreativeIndex(bids[i].Creative), p.cross[n*width:(n+1)*width])
		p.ads[n] = slot
		n++
		if int(slot) < m.acts {
			acts++
		}
	}
	scorer.Score(masks, p.ads[:n], p.cross[:n*width], p.raw[:n])
	for i := range bids {
		bids[i].ctr = p.rate(f, i)
	}
	if acts > 0 {
		p.scoreActs(bids, width)
	}
}

// scoreActs predicts conversion rates of the bids that pay by them. Their pairs'
// columns are encoded already.
func (p *Predictor) scoreActs(bids []scored, width int) {
	a := p.begun
	m := a.model
	if !p.converting {
		a.cvr.Begin(p.request)
		p.converting = true
	}
	n := 0
	for i := range bids {
		if slot := p.ads[i]; int(slot) < m.acts {
			copy(p.cross[n*width:(n+1)*width], p.cross[i*width:(i+1)*width])
			p.ads[n], p.places[n] = slot, int32(i)
			n++
		}
	}
	a.cvr.Score(m.cvrAds, p.ads[:n], p.cross[:n*width], p.raw[:n])
	for i := range n {
		bids[p.places[i]].cvr = p.rate(&m.cvr, i)
	}
}

// rate is the calibrated rate of the batch's score i.
func (p *Predictor) rate(f *forest, i int) float32 {
	width := p.crossWidth
	return float32(f.rate(p.raw[i], p.request, p.begun.model.row(int(p.ads[i])), p.cross[i*width:(i+1)*width]))
}

// remember keeps what a bid's ad was predicted, for the rung below.
func (p *Predictor) remember(b *scored, l *campaign.LineItem) {
	rate := b.ctr
	if l.Pricing == campaign.CPA {
		rate *= b.cvr
	}
	p.begun.cached[p.begun.model.slots[b.Creative]] = rate
}

// Failed reports whether a score of the request was no rate.
func (p *Predictor) Failed() bool { return p.failed }

// Rates are what the bid that Next returned was predicted: clicks an impression
// and conversions a click; 0 where its worth needed none.
func (s *Selector) Rates() (ctr, cvr float64) { return float64(s.best.ctr), float64(s.best.cvr) }

// Other is the click rate that another arm predicts for the creative at the
// impression at hand, for the comparison of the two; false where it has none.
func (s *Selector) Other(arm rollout.Arm, creative uint32) (ctr float64, ok bool) {
	p := s.predictor
	a := p.arm(s, arm)
	if a == nil || a.model.slots[creative] == noAd {
		return 0, false
	}
	p.begin(s, a, false)
	s.batch[0] = scored{Bid: auction.Bid{Creative: creative}}
	p.score(s, s.batch[:1])
	return float64(s.batch[0].ctr), s.batch[0].sound()
}
