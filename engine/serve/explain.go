package serve

import (
	"github.com/bytedance/sonic"

	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/auction"
	"millrace/engine/selection"
	"millrace/models/ladder"
	"millrace/state/campaign"
)

// explainedMax bounds the line items an explanation lists one by one; the
// others are counted by reason.
const explainedMax = 200

// trace notes the bids that were tried, for an explanation. Off the hot path.
type trace struct{ bids []triedBid }

type triedBid struct {
	imp    int
	bid    auction.Bid
	reason selection.Reason
}

func (t *trace) reset() { t.bids = t.bids[:0] }

func (t *trace) tried(imp int, b *auction.Bid, r selection.Reason) {
	t.bids = append(t.bids, triedBid{imp, *b, r})
}

// Explanation is ext.millrace of a response to X-Millrace-Debug: 1.
type Explanation struct {
	Catalog  uint64           `json:"catalog_version"`
	Model    uint64           `json:"model_version,omitempty"`
	Arm      string           `json:"arm,omitempty"`
	Rung     string           `json:"predicted_by,omitempty"`
	Shard    int              `json:"shard"`
	User     string           `json:"user"`
	Imps     []ImpExplanation `json:"imps"`
	Overflow bool             `json:"targeting_overflow,omitempty"`
	// Bidders that were asked, in the order of what was expected of them.
	Bidders []ExplainedCall `json:"bidders,omitempty"`
}

// ExplainedCall is what became of one bidder's call.
type ExplainedCall struct {
	Bidder  string           `json:"bidder"`
	Outcome string           `json:"outcome"`
	Millis  float64          `json:"latency_ms"`
	Bids    []ExplainedOffer `json:"bids,omitempty"`
}

// ExplainedOffer is a bidder's bid.
type ExplainedOffer struct {
	ID    string `json:"id"`
	ImpID string `json:"impid"`
	Price string `json:"price"` // in the bidder's currency
	Worth string `json:"worth"` // adjusted, in the auction's
	// Reason is the first rule it breaks, "accepted" if none; Code why it lost, 0
	// for a bid that won.
	Reason string `json:"reason"`
	Code   int    `json:"loss_reason"`
}

// ImpExplanation says what became of every line item at one impression.
type ImpExplanation struct {
	ID         string          `json:"id"`
	Candidates []ExplainedBid  `json:"candidates"`
	Excluded   []ExplainedLine `json:"excluded,omitempty"`
	Reasons    map[string]int  `json:"excluded_by_reason,omitempty"`
	Unlisted   int             `json:"unlisted,omitempty"`
	// Tier of evidence by which click rates are scaled where no model predicts.
	Tier *ExplainedTier `json:"tier,omitempty"`
}

// ExplainedTier says whose clicks scale the rates, and by how much.
type ExplainedTier struct {
	Speaks string  `json:"speaks"`
	Scale  float64 `json:"scale"`
}

// ExplainedBid is a creative of a candidate line.
type ExplainedBid struct {
	Line     string  `json:"line_item"`
	Creative string  `json:"creative"`
	Tier     uint8   `json:"tier"`
	Pricing  string  `json:"pricing"`
	CPM      string  `json:"ecpm"`
	CTR      float64 `json:"predicted_ctr"`
	CVR      float64 `json:"predicted_cvr,omitempty"`
	Quality  float32 `json:"quality"`
	Rank     string  `json:"rank"` // the eCPM, weighed by quality and format
	Result   string  `json:"result"`
	Code     int     `json:"loss_reason"`
	// Policy of a win that a model or chance had a part in.
	Policy *ExplainedPolicy `json:"policy,omitempty"`
	// Why the model predicts what it does, for the first few candidates.
	Why *selection.Why `json:"why,omitempty"`
}

// ExplainedPolicy is what the win's tokens say of how it was chosen.
type ExplainedPolicy struct {
	Explored   bool    `json:"explored"`
	Propensity float64 `json:"propensity"`
	CTR        float64 `json:"ctr"`
	CVR        float64 `json:"cvr,omitempty"`
}

// ExplainedLine is a line item that targeting or its budget left out.
type ExplainedLine struct {
	Line   string `json:"line_item"`
	Reason string `json:"reason"`
}

// explain walks the whole catalog by the slow, independent rules (no index) and
// says of every line item why it did or did not compete. It allocates.
func (c *Core) explain(x *Context) []byte {
	snap := c.sel.Catalog().Snapshot
	e := Explanation{Catalog: snap.Version, Shard: int(c.shard.ID()), User: "unknown"}
	if x.User.Known {
		e.User = "known"
	}
	if by := c.decision.by; c.modelled {
		e.Model, e.Arm, e.Rung = c.assignment.Version(by.Arm), by.Arm.String(), by.Rung.String()
	}
	for i := range x.Request.Imp {
		e.Imps = append(e.Imps, c.explainImp(x, i))
		e.Overflow = e.Overflow || c.sel.Overflow()
	}
	e.Bidders = c.explainCalls()
	text, err := sonic.Marshal(map[string]Explanation{"millrace": e})
	if err != nil {
		return nil
	}
	return text
}

func (c *Core) explainImp(x *Context, i int) ImpExplanation {
	imp := &x.Request.Imp[i]
	e := ImpExplanation{ID: imp.ID.String(), Candidates: []ExplainedBid{}, Reasons: map[string]int{}}
	if imp.Media == 0 {
		e.Reasons["no valid media object"] = len(c.sel.Catalog().Snapshot.Lines)
		return e
	}
	c.sel.BeginImp(imp)
	if tier, by, ok := c.sel.Speaks(); ok {
		e.Tier = &ExplainedTier{tier.String(), by}
	}
	snap := c.sel.Catalog().Snapshot
	for l := range snap.Lines {
		line := campaign.LineIndex(l)
		why, funded := c.sel.Explain(line, c.shard.Wall())
		switch {
		case why == campaign.NotExcluded && funded && c.sel.Paced(line) && !c.traced(i, line):
			e.exclude(snap.Lines[l].Name, "pacing: sits this request out, to spread its budget over the day")
		case why == campaign.NotExcluded && (funded || c.traced(i, line)):
			c.explainBids(&e, i, line)
			continue
		case why == campaign.NotExcluded:
			e.exclude(snap.Lines[l].Name, "budget: no funds now")
		default:
			e.exclude(snap.Lines[l].Name, "targeting: "+why.String())
		}
	}
	return e
}

// explainCalls lists what bidders answered, where they were asked.
func (c *Core) explainCalls() (list []ExplainedCall) {
	a := c.decision.offers.of
	if !c.decision.offers.on || a == nil {
		return nil
	}
	for _, k := range a.calls {
		e := ExplainedCall{Bidder: k.partner.Name, Outcome: k.outcome.String(), Millis: float64(c.latency(k, k.outcome).Microseconds()) / 1e3}
		for i := range k.verdicts {
			b, v := &k.view.Bids[i], &k.verdicts[i]
			o := ExplainedOffer{ID: b.ID.String(), ImpID: b.ImpID.String(), Price: b.Price.String(), Reason: v.Reason.String(), Code: int(k.lost[i])}
			if v.Reason == openrtb.Accepted {
				o.Worth = k.worth(v).String()
			}
			e.Bids = append(e.Bids, o)
		}
		list = append(list, e)
	}
	return list
}

func (e *ImpExplanation) exclude(line, reason string) {
	e.Reasons[reason]++
	if len(e.Excluded) == explainedMax {
		e.Unlisted++
		return
	}
	e.Excluded = append(e.Excluded, ExplainedLine{line, reason})
}

func (c *Core) traced(imp int, line campaign.LineIndex) bool {
	for _, t := range c.decision.trace.bids {
		if t.imp == imp && t.bid.Line == uint32(line) {
			return true
		}
	}
	return false
}

func (c *Core) explainBids(e *ImpExplanation, imp int, line campaign.LineIndex) {
	snap := c.sel.Catalog().Snapshot
	l := &snap.Lines[line]
	for cr := l.FirstCreative; cr < l.EndCreative; cr++ {
		if len(e.Candidates) == explainedMax {
			e.Unlisted++
			continue
		}
		e.Candidates = append(e.Candidates, c.explainBid(imp, line, cr, len(e.Candidates) < whyMax))
	}
}

// whyMax bounds how many candidates of an impression get a model's reasons: each
// takes a walk through all trees.
const whyMax = 20

func (c *Core) explainBid(imp int, line campaign.LineIndex, cr campaign.CreativeIndex, why bool) ExplainedBid {
	snap := c.sel.Catalog().Snapshot
	l := &snap.Lines[line]
	worth := c.sel.WorthHere(cr)
	ctr, cvr := c.sel.Predicted(cr)
	b := ExplainedBid{Line: l.Name, Creative: snap.Creatives[cr].Name, Tier: l.Tier, Pricing: l.Pricing.String()}
	if w, ok := c.sel.Why(cr); ok && c.decision.by.Rung == ladder.Full {
		ctr, cvr = w.CTR, w.CVR
		worth = c.sel.WorthAt(cr, ctr, cvr)
		if why {
			b.Why = &w
		}
	}
	reason := c.sel.Reject(cr)
	if reason == selection.Won {
		// Never tried: something before it won, or it had no hope.
		bid := auction.Bid{Price: worth, Line: uint32(line), Creative: uint32(cr), Tier: l.Tier}
		if _, reason = c.sel.Admit(&bid); reason == selection.Won {
			reason = selection.LostToHigherBid
		}
	}
	for _, t := range c.decision.trace.bids {
		if t.imp == imp && t.bid.Creative == uint32(cr) {
			reason, worth = t.reason, t.bid.Price
		}
	}
	var weight float32
	b.Quality, weight = c.sel.Quality(cr)
	b.CPM, b.Rank = worth.CPM().String(), unit.Nanos(float64(worth)*float64(weight)).CPM().String()
	b.CTR, b.Result, b.Code = ctr, reason.String(), int(reason.Code())
	if l.Pricing == campaign.CPA {
		b.CVR = cvr
	}
	for i := range c.decision.winners {
		if w := &c.decision.winners[i]; w.imp == imp && w.bid.Creative == uint32(cr) && w.policy != (event.Policy{}) {
			b.Policy = &ExplainedPolicy{
				Explored: w.policy.Explored, Propensity: w.policy.Propensity.Float(), CTR: w.policy.Click.Float(), CVR: w.policy.Conversion.Float(),
			}
		}
	}
	return b
}
