package market

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/prebid/openrtb/v20/openrtb2"

	"millrace/bench/sim"
	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/engine/demand/partners"
	"millrace/engine/serve"
	"millrace/netio/dsp"
	"millrace/state/campaign"
	"millrace/state/ledger"
)

// Config of one run.
type Config struct {
	Seed uint64
	// Requests of the run; 0 is the default.
	Requests int
	// Shards of the node; 0 lets the seed choose.
	Shards int
}

// RequestsDefault is how many requests a run has.
const RequestsDefault = 40

// Result is what became of a run.
type Result struct {
	Seed       uint64            `json:"seed"`
	Requests   int               `json:"requests"`
	Asked      int               `json:"asked"` // requests that went out
	Calls      int               `json:"calls"`
	Cancelled  int               `json:"cancelled"`
	Theirs     int               `json:"won_by_bidders"`
	Ours       int               `json:"won_by_lines"`
	Billed     int               `json:"billed"`
	Together   int               `json:"waiting_at_most"`
	Misdeeds   map[string]uint64 `json:"misdeeds"`
	Violations []string          `json:"violations,omitempty"`
}

// Failed reports whether the oracle disagreed.
func (r *Result) Failed() bool { return len(r.Violations) > 0 }

// world is one run.
type world struct {
	cfg     Config
	random  *rand.Rand // what the fleet does
	plan    *rand.Rand // requests and swaps
	sim     *sim.World
	market  *market
	lines   []line
	book    *partners.Book
	result  Result
	uid     int
	byCall  map[uint64]*callRecord
	byID    map[string]*asked
	waiting []*waiting
	billed  map[int]int64 // by bidder's number: what it owes
	told    map[string]int
}

type waiting struct {
	*asked
	x *serve.Context
}

// begins is when a world begins: a Tuesday morning.
var begins = unit.WallTime(time.Date(2026, 3, 17, 9, 0, 0, 0, time.UTC).UnixNano())

// Run is one run.
func Run(c Config) (*Result, error) {
	if c.Requests == 0 {
		c.Requests = RequestsDefault
	}
	w := &world{
		cfg: c, random: rand.New(rand.NewPCG(c.Seed, 1)), plan: rand.New(rand.NewPCG(c.Seed, 2)),
		byCall: map[uint64]*callRecord{}, byID: map[string]*asked{}, billed: map[int]int64{}, told: map[string]int{},
	}
	w.result = Result{Seed: c.Seed, Requests: c.Requests, Misdeeds: map[string]uint64{}}
	if err := w.begin(); err != nil {
		return nil, err
	}
	if err := w.traffic(); err != nil {
		return nil, err
	}
	w.end()
	return &w.result, nil
}

func (w *world) begin() error {
	w.market, w.lines = drawMarket(w.plan), drawLines(w.plan)
	snapshot, faults := campaign.Check("catalog.yaml", []byte(catalog(w.lines)))
	if len(faults) > 0 {
		return faults
	}
	if err := w.compile(); err != nil {
		return err
	}
	shards := w.cfg.Shards
	if n := 1 + w.plan.IntN(3); shards == 0 {
		shards = n
	}
	parked := 0
	if w.plan.IntN(4) == 0 {
		parked = 1 + w.plan.IntN(4)
	}
	var err error
	w.sim, err = sim.New(sim.Config{
		Seed: w.cfg.Seed, Shards: shards, Catalog: snapshot, Start: begins, Demand: w.book, Respond: w.respond, ParkedMax: parked, MailboxSlots: 1 << 10,
		Watch: sim.Watcher{Sent: w.sent, Returned: w.returned, Cancelled: w.cancelled},
	})
	return err
}

// compile makes the book of the market in force.
func (w *world) compile() error {
	b, faults := partners.Check("demand.yaml", []byte(w.market.yaml()), partners.Options{Now: begins, Version: uint64(w.market.version), Previous: w.book})
	if b == nil {
		return faults
	}
	w.book = b
	return nil
}

func (w *world) violated(format string, args ...any) {
	if len(w.result.Violations) < 20 {
		w.result.Violations = append(w.result.Violations, fmt.Sprintf(format, args...))
	}
}

// respond is what a bidder does.
func (w *world) respond(_ unit.ShardID, to dsp.EndpointID, body []byte) sim.Reply {
	var q openrtb2.BidRequest
	if err := json.Unmarshal(body, &q); err != nil {
		w.violated("a bidder was sent what is no request: %v: %s", err, body)
		return sim.Reply{Refused: dsp.RefusedBody}
	}
	return w.behave(w.partnerOf(to), &q)
}

func (w *world) partnerOf(to dsp.EndpointID) *partner {
	return w.market.partner(w.book.Partner(partners.ID(to)).Name)
}

func (w *world) sent(call uint64, to dsp.EndpointID, body []byte, r *sim.Reply) {
	c := &callRecord{partner: w.partnerOf(to), reply: *r}
	if err := json.Unmarshal(body, &c.sent); err != nil {
		return // told by respond
	}
	w.byCall[call] = c
	a := w.byID[c.sent.ID]
	if a == nil {
		w.violated("a bidder was asked for request %q, which is none", c.sent.ID)
		return
	}
	a.market = w.market
	a.calls = append(a.calls, c)
	w.result.Calls++
	w.checkSent(a, c)
}

// checkSent judges what a bidder is asked, as far as the rest does not.
func (w *world) checkSent(a *asked, c *callRecord) {
	if c.partner.paused {
		w.violated("%s: %s was asked, which is paused", a.id, c.partner.name)
	}
	if c.sent.AT != 1 || len(c.sent.Cur) != 1 || c.sent.Cur[0] != c.partner.cur {
		w.violated("%s: %s was told at %d and cur %v", a.id, c.partner.name, c.sent.AT, c.sent.Cur)
	}
	left := w.deadline(a) - int64(w.sim.Now())
	if c.sent.TMax < 1 || c.sent.TMax*1e6 > left {
		w.violated("%s: %s was given %d ms of %v", a.id, c.partner.name, c.sent.TMax, time.Duration(left))
	}
}

func (w *world) returned(call uint64) {
	if c := w.byCall[call]; c.returned || c.cancelled {
		w.violated("a call came back twice")
	} else {
		c.returned = true
	}
}

func (w *world) cancelled(call uint64) {
	c := w.byCall[call]
	if c.returned || c.cancelled {
		w.violated("a call was cancelled that had ended")
	}
	c.cancelled = true
	w.result.Cancelled++
}

// deadline is when the request has to be answered at the latest.
func (w *world) deadline(a *asked) int64 {
	m := a.market
	limit := tmax
	if a.received.TMax > 0 {
		limit = time.Duration(a.received.TMax) * time.Millisecond
	}
	return a.at + int64(min(m.hard, limit-m.answer))
}

// traffic plays all requests.
func (w *world) traffic() error {
	for n := range w.cfg.Requests {
		w.sim.Advance(time.Duration(w.plan.IntN(25_000)) * time.Microsecond)
		if err := w.swap(); err != nil {
			return err
		}
		w.ask(n)
		w.collect()
		if w.plan.IntN(8) == 0 {
			w.sim.Socket()
		}
	}
	if w.plan.IntN(3) == 0 {
		// The asking ends while auctions wait: all are decided at once.
		for _, x := range w.waiting {
			x.stopped = true
		}
		w.sim.StopDemand()
		w.collect()
		if len(w.waiting) > 0 {
			w.violated("%d requests still wait after the asking has ended", len(w.waiting))
		}
	}
	w.sim.Advance(time.Second)
	w.collect()
	return nil
}

// swap puts another catalog or demand file into force, now and then.
func (w *world) swap() error {
	switch w.plan.IntN(25) {
	case 0:
		w.market = w.market.change(w.plan)
		if err := w.compile(); err != nil {
			return err
		}
		w.sim.SetDemand(w.book)
	case 1:
		w.lines = drawLines(w.plan)
		s, faults := campaign.Check("catalog.yaml", []byte(catalog(w.lines)))
		if len(faults) > 0 {
			return faults
		}
		for n := -1; n != len(w.waiting); { // what is decided was so by the lines of before
			n = len(w.waiting)
			w.sim.Socket() // what has arrived counts before the swap
			w.sim.Settle()
			w.collect()
		}
		if err := w.sim.Load(s); err != nil {
			return err
		}
		w.sim.Settle()
		for _, x := range w.waiting {
			x.lines = w.lines
		}
	}
	return nil
}

func (w *world) ask(n int) {
	a := &asked{body: drawRequest(w.plan, n), market: w.market, lines: w.lines, at: int64(w.sim.Now())}
	if err := json.Unmarshal(a.body, &a.received); err != nil {
		w.violated("request %d: %v", n, err)
		return
	}
	a.id = a.received.ID
	w.byID[a.id] = a
	x, ok := w.sim.Ask(a.body)
	if !ok {
		w.violated("%s was refused", a.id)
		return
	}
	w.sim.Settle()
	w.waiting = append(w.waiting, &waiting{a, x})
	w.result.Together = max(w.result.Together, len(w.waiting))
}

// collect takes what has been answered.
func (w *world) collect() {
	rest := w.waiting[:0]
	for _, x := range w.waiting {
		answer, ok := w.sim.Answered(x.x)
		if !ok {
			rest = append(rest, x)
			continue
		}
		w.judge(x.asked, &answer)
	}
	clear(w.waiting[len(rest):])
	w.waiting = rest
}

// wheel is how late a timer may be.
const wheel = int64(300 * time.Microsecond)

// judge holds an answer against what the oracle expects.
func (w *world) judge(a *asked, answer *sim.Answer) {
	if len(a.calls) > 0 {
		w.result.Asked++
		if late := int64(answer.At) - w.deadline(a); late > wheel {
			w.violated("%s was answered %v after its time", a.id, time.Duration(late))
		}
	} else if int64(answer.At) > a.at+wheel {
		w.violated("%s went to nobody and waited", a.id)
	}
	for _, c := range a.calls {
		if !c.returned && !c.cancelled {
			w.violated("%s: the call of %s has no end", a.id, c.partner.name)
		}
	}
	want := a.expect()
	for uid, n := range want.told {
		w.told[uid] += n
	}
	got := w.read(a, answer)
	for i := range a.received.Imp {
		id := a.received.Imp[i].ID
		g, e := got[id], want.bids[id]
		if g.crid != e.crid || g.price != e.price {
			w.violated("%s, impression %s: %q at %s, expected %q at %s\n%s\nanswer %s%s", a.id, id, g.crid, decimal(g.price), e.crid, decimal(e.price), a.body, answer.Body, a.transcript())
			continue
		}
		switch {
		case e.theirs:
			w.result.Theirs++
			w.bill(a, g, e)
		case e.crid != "":
			w.result.Ours++
		}
	}
}

// transcript is what bidders answered.
func (a *asked) transcript() string {
	var b strings.Builder
	for _, c := range a.calls {
		fmt.Fprintf(&b, "\n%s (adjust %s, %v returned): %v %d %s", c.partner.name, decimal(c.partner.adjust), c.returned, c.reply.Outcome, c.reply.Status, c.reply.Body)
	}
	return b.String()
}

// given is a bid of an answer of ours.
type given struct {
	winner
	burl string
	adm  string
}

// read reads the answer.
func (w *world) read(a *asked, answer *sim.Answer) map[string]given {
	got := map[string]given{}
	if answer.Status == 204 && len(answer.Body) == 0 {
		return got
	}
	var res openrtb2.BidResponse
	if err := json.Unmarshal(answer.Body, &res); err != nil || answer.Status != 200 || res.ID != a.id {
		w.violated("%s: answer %d is no response to it: %v: %s", a.id, answer.Status, err, answer.Body)
		return got
	}
	if cur := "EUR"; len(a.received.Cur) == 1 && res.Cur != cur || len(a.received.Cur) != 1 && res.Cur != "USD" {
		w.violated("%s: answered in %s", a.id, res.Cur)
	}
	for _, s := range res.SeatBid {
		for _, b := range s.Bid {
			if _, twice := got[b.ImpID]; twice {
				w.violated("%s: two bids on impression %s: %s", a.id, b.ImpID, answer.Body)
			}
			got[b.ImpID] = given{winner{crid: b.CrID, price: micros(b.Price)}, b.BURL, b.AdM}
		}
	}
	return got
}

// bill lets the exchange report the impression, twice, and notes what is owed.
func (w *world) bill(a *asked, g given, e winner) {
	uid := 0
	if n, err := fmt.Sscanf(e.crid, "c%d", &uid); n != 1 || err != nil {
		w.violated("%s: the winner is called %q", a.id, e.crid)
		return
	}
	if want := fmt.Sprintf("<i>%d %s</i>", uid, trimmed(e.pays)); g.adm != want {
		w.violated("%s: markup %q, expected %q", a.id, g.adm, want)
	}
	if a.received.Test == 1 || w.plan.IntN(2) == 0 {
		return
	}
	_, token, ok := strings.Cut(g.burl, "/e/i?t=")
	token, _, _ = strings.Cut(token, "&")
	if !ok {
		w.violated("%s: no billing notice in the answer", a.id)
		return
	}
	w.billed[uid] = e.pays
	w.result.Billed++
	for range 2 {
		if answer := w.sim.Event(event.Impression, []byte(token)); answer.Status != 204 {
			w.violated("%s: billing notice: %d %s", a.id, answer.Status, answer.Body)
		}
	}
}

// trimmed writes millionths without what is not needed.
func trimmed(v int64) string {
	return strings.TrimSuffix(strings.TrimRight(decimal(v), "0"), ".")
}

// end judges what must hold of the whole run.
func (w *world) end() {
	if len(w.waiting) > 0 {
		w.violated("%d requests were not answered", len(w.waiting))
	}
	if err := w.sim.UnderWay(); err != nil {
		w.violated("%v", err)
	}
	told, burls := map[string]int{}, map[int]int{}
	for _, t := range w.sim.Told {
		switch t.Kind {
		case event.LostThere:
			uid, rest, _ := strings.Cut(strings.TrimPrefix(t.URL, "https://l.example/"), "?r=")
			told[uid]++
			if rest == "" || rest == "0" || strings.Contains(rest, "$") {
				w.violated("bidder %s was told of a loss with reason %q", uid, rest)
			}
		case event.Billed:
			uid := 0
			price := ""
			if n, _ := fmt.Sscanf(t.URL, "https://b.example/%d?p=%s", &uid, &price); n != 2 || price != trimmed(w.billed[uid]) {
				w.violated("billed %q, expected %s", t.URL, trimmed(w.billed[uid]))
			}
			burls[uid]++
		}
	}
	for uid, n := range w.told {
		if told[uid] != n {
			w.violated("bid %s: told %d times that it lost, expected %d", uid, told[uid], n)
		}
	}
	for uid := range told {
		if w.told[uid] == 0 {
			w.violated("bid %s: told that it lost", uid)
		}
	}
	w.judgeJournal(burls)
}

// judgeJournal: what is billed stands there once, with what is owed.
func (w *world) judgeJournal(burls map[int]int) {
	sold, sum, owed := 0, int64(0), int64(0)
	for i := range w.sim.History {
		if r := &w.sim.History[i]; r.Reason == ledger.Resold {
			sold++
			sum += int64(r.Amount)
			if r.Kind != ledger.Recorded || len(r.Name) == 0 || r.Sale.Bid < 0 {
				w.violated("record %+v", r)
			}
		}
	}
	for uid, pays := range w.billed {
		owed += pays
		if burls[uid] != 1 {
			w.violated("bid %d: billed %d times", uid, burls[uid])
		}
	}
	if sold != len(w.billed) || sum != owed {
		w.violated("%d sales of %d in the journal, expected %d of %d", sold, sum, len(w.billed), owed)
	}
}

// Shrink finds the shortest prefix of a failing run that fails.
func Shrink(c Config, failed *Result) (*Result, error) {
	low, high := 1, failed.Requests
	best := failed
	for low < high {
		c.Requests = (low + high) / 2
		r, err := Run(c)
		if err != nil {
			return nil, err
		}
		if r.Failed() {
			high, best = c.Requests, r
		} else {
			low = c.Requests + 1
		}
	}
	return best, nil
}
