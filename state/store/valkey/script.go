package valkey

import (
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"strconv"

	client "github.com/valkey-io/valkey-go"

	"millrace/codec/unit"
	"millrace/state/store"
	"millrace/state/store/joint"
)

var (
	//go:embed amounts.lua
	amountsSource string
	//go:embed take.lua
	takeSource string
	//go:embed give.lua
	giveSource string
	//go:embed load.lua
	loadSource string
	//go:embed read.lua
	readSource string

	takeScript = newScript(amountsSource + takeSource)
	giveScript = newScript(amountsSource + giveSource)
	loadScript = newScript(loadSource)
	readScript = newScript(readSource)
)

// script is called by its hash; a server that does not know it, after a restart
// or a failover, is sent the text.
type script struct{ text, sha string }

func newScript(text string) *script {
	sum := sha1.Sum([]byte(text)) // Valkey's name for it
	return &script{text: text, sha: hex.EncodeToString(sum[:])}
}

// requestsMax is how many requests one run of a script takes: the server does
// nothing else meanwhile.
const requestsMax = 128

// subject is whose requests one run of a script carries: those of one campaign
// share a slot, those of one node its memory of outcomes.
type subject struct {
	campaign unit.CampaignID
	node     unit.NodeID
}

// run is one run of a script.
type run struct {
	subject
	keys, args []string
	accounts   map[unit.AccountID]string // index of its key, as the script counts
	from       []int                     // the requests' places in the batch
}

// known and text are the same run by hash and with the script's text. Both may
// be sent again by the client: the scripts tell a repeat.
func (r *run) known(b client.Builder, s *script) client.Completed {
	return b.Evalsha().Sha1(s.sha).Numkeys(int64(len(r.keys))).Key(r.keys...).Arg(r.args...).Build().ToRetryable()
}

func (r *run) text(b client.Builder, s *script) client.Completed {
	return b.Eval().Script(s.text).Numkeys(int64(len(r.keys))).Key(r.keys...).Arg(r.args...).Build().ToRetryable()
}

// key is the index of the account's key, added where it is missing.
func (r *run) key(a unit.AccountID) string {
	index, ok := r.accounts[a]
	if !ok {
		r.keys = append(r.keys, accountKey(r.campaign, a))
		index = strconv.Itoa(len(r.keys))
		r.accounts[a] = index
	}
	return index
}

// runs divides a batch by subject, in its order. begin makes a run's first keys
// and arguments.
type runs struct {
	list  []*run
	open  map[subject]*run
	begin func(r *run)
}

func newRuns(begin func(r *run)) *runs { return &runs{open: map[subject]*run{}, begin: begin} }

// of is the run that carries the request at that place of the batch.
func (rs *runs) of(s subject, place int) *run {
	r := rs.open[s]
	if r == nil || len(r.from) == requestsMax {
		r = &run{subject: s, accounts: map[unit.AccountID]string{}}
		rs.begin(r)
		rs.open[s] = r
		rs.list = append(rs.list, r)
	}
	r.from = append(r.from, place)
	return r
}

// tag makes all keys of a campaign share its slot.
func tag(c unit.CampaignID) string { return "millrace:{" + strconv.FormatUint(uint64(c), 16) + "}" }

func accountKey(c unit.CampaignID, a unit.AccountID) string {
	return tag(c) + ":a:" + strconv.FormatUint(uint64(a), 16)
}

// outcomeKeys are where the outcomes of a node's requests are: those of this
// period and of the one before.
func outcomeKeys(c unit.CampaignID, node unit.NodeID, period int64) []string {
	prefix := tag(c) + ":o:" + strconv.Itoa(int(node)) + ":"
	return []string{prefix + strconv.FormatInt(period, 10), prefix + strconv.FormatInt(period-1, 10)}
}

func identity(id store.OpID) string {
	return strconv.FormatUint(uint64(id.Epoch), 36) + "." + strconv.FormatUint(uint64(id.Shard), 36) + "." + strconv.FormatUint(id.Seq, 36)
}

// amount is decimal text; nothing that a script is told is negative.
func amount(n unit.Nanos) string { return strconv.FormatInt(max(int64(n), 0), 10) }

func day(d unit.Day) string { return strconv.FormatInt(int64(d), 10) }

func (c *Counter) takes(batch []store.GrantRequest) []*run {
	period, remember, holding := c.period(), milliseconds(2*c.cfg.Remember), milliseconds(c.cfg.Holding)
	rs := newRuns(func(r *run) {
		r.keys, r.args = outcomeKeys(r.campaign, r.node, period), []string{strconv.Itoa(int(r.node)), remember, holding}
	})
	for i := range batch {
		q := &batch[i]
		r := rs.of(subject{q.Campaign, q.ID.Node}, i)
		r.args = append(r.args, identity(q.ID), r.key(q.Account), day(q.Day), amount(q.Amount), amount(q.AtLeast), amount(q.Daily), amount(q.Total))
	}
	return rs.list
}

func (c *Counter) gives(batch []store.ReturnRequest) []*run {
	period, remember := c.period(), milliseconds(2*c.cfg.Remember)
	rs := newRuns(func(r *run) { r.keys, r.args = outcomeKeys(r.campaign, r.node, period), []string{remember} })
	for i := range batch {
		q := &batch[i]
		r := rs.of(subject{q.Campaign, q.ID.Node}, i)
		r.args = append(r.args, identity(q.ID), r.key(q.Account), day(q.Day), amount(q.Amount))
	}
	return rs.list
}

func (c *Counter) loads(batch []joint.Balance) []*run {
	keep := milliseconds(c.cfg.Keep)
	rs := newRuns(func(r *run) { r.args = []string{keep} })
	for i := range batch {
		q := &batch[i]
		r := rs.of(subject{campaign: q.Campaign}, i)
		r.keys = append(r.keys, accountKey(q.Campaign, q.Account))
		r.args = append(r.args, day(q.Day), amount(q.CommittedDay), amount(q.CommittedTotal))
	}
	return rs.list
}

func reads(keys []joint.AccountDay) []*run {
	rs := newRuns(func(*run) {})
	for i := range keys {
		k := &keys[i]
		r := rs.of(subject{campaign: k.Campaign}, i)
		r.keys, r.args = append(r.keys, accountKey(k.Campaign, k.Account)), append(r.args, day(k.Day))
	}
	return rs.list
}
