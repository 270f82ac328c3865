package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"millrace/codec/unit"
	"millrace/engine/selection"
	"millrace/engine/serve"
	"millrace/models/bundle"
	"millrace/models/bundle/demo"
	"millrace/models/feature"
	"millrace/models/rollout"
	"millrace/shards"
	"millrace/state/campaign"
)

// rolloutEvery is how often matured figures of a trial are looked at.
const rolloutEvery = 5 * time.Second

// models loads bundles and brings them into force. What shards predict with is
// made ready off to the side, for the catalog that they have, and handed over in
// their turns; whoever changes one of the two holds mu.
type models struct {
	node *Node
	keys []ed25519.PublicKey

	mu       sync.Mutex
	snapshot *campaign.Snapshot // that the shards have
	machine  *rollout.Machine
	bundles  [2]*bundle.Bundle   // by rollout.Arm
	ready    [2]*selection.Model // for the snapshot
	seen     os.FileInfo
	status   loadStatus

	stop func()
	done chan struct{}
}

// loadStatus is how loading went.
type loadStatus struct {
	loads   uint64
	refused [bundle.Reasons]uint64
	other   uint64 // files that could not be read, versions that may not serve
	last    string // why the last file was refused; empty when it was not
	at      time.Time
	change  string // the rollout's last step
}

// demoBundle is the name of the bundle that comes with the binary: to see how
// models are served. It was trained on a synthetic world, and knows nothing of
// anybody's ads.
const demoBundle = "demo"

// newModels loads the configured bundle; what is wrong with it is the error.
func (n *Node) newModels() error {
	m := &models{node: n}
	n.models = m
	for _, text := range n.cfg.Model.Keys {
		k, err := bundle.ParsePublicKey(text)
		if err != nil {
			return fmt.Errorf("model.keys: %w", err)
		}
		m.keys = append(m.keys, k)
	}
	if n.cfg.Model.Bundle == demoBundle {
		m.keys = demo.Keys()
		n.log.Warn("predictions are the demo model's, which was trained on a synthetic world", "model.bundle", demoBundle)
	}
	var err error
	// Epochs of another life begin elsewhere: its tokens count for no trial here.
	if m.machine, err = rollout.NewMachine(rollout.Default(), 0, uint16(n.journal.Epoch())<<6); err != nil {
		return err
	}
	m.metrics()
	if n.cfg.Model.Bundle == "" {
		return nil
	}
	b, err := m.load()
	if err != nil {
		return fmt.Errorf("model.bundle: %w", err)
	}
	return m.offer(b)
}

func (m *models) metrics() {
	r := m.node.registry
	locked := func(f func() float64) func() float64 {
		return func() float64 {
			m.mu.Lock()
			defer m.mu.Unlock()
			return f()
		}
	}
	r.CounterFunc(shards.Desc{Name: "millrace_model_loads", Help: "Model bundles accepted."}, locked(func() float64 { return float64(m.status.loads) }))
	for i := range m.status.refused {
		r.CounterFunc(shards.Desc{Name: "millrace_model_refused", Help: "Model bundles refused, by reason; the one in force stayed.",
			Labels: []shards.Label{{Name: "reason", Value: bundle.Reason(i).String()}}}, locked(func() float64 { return float64(m.status.refused[i]) }))
	}
	r.GaugeFunc(shards.Desc{Name: "millrace_model_version", Help: "Version of the model that serves; 0 without one."},
		locked(func() float64 { return float64(m.machine.Assignment().Stable) }))
}

// read is the bundle's text.
func (m *models) read() ([]byte, error) {
	path := m.node.cfg.Model.Bundle
	if path == demoBundle {
		return demo.File(), nil
	}
	m.seen, _ = os.Stat(path) // before it is read: a later change is seen as one
	return bundle.ReadFile(path)
}

// load opens the file. The caller holds mu, or nobody else has m yet. A bundle
// of the newest version known is no news: nil.
func (m *models) load() (*bundle.Bundle, error) {
	text, err := m.read()
	if err == nil {
		var b *bundle.Bundle
		newest := max(m.machine.Assignment().Stable, m.machine.Assignment().Challenger)
		// The one in force is opened again with the rest: its version is looked at
		// here, where equal is no fault.
		b, err = bundle.Open(text, m.keys, feature.Default(), bundle.Options{InForce: newest, AllowDowngrade: true})
		switch {
		case err != nil:
		case b.Version() == newest:
			m.status.last = ""
			return nil, nil
		case b.Version() < newest && !m.node.cfg.Model.AllowDowngrade:
			err = &bundle.Refusal{Reason: bundle.Downgraded, Detail: fmt.Sprintf(
				"it is version %d of %s and version %d is in force; train it again, or set model.allow_downgrade", b.Version(), b.Manifest.Name, newest)}
		default:
			m.status.loads++
			m.status.last, m.status.at = "", time.Now()
			m.node.log.Info("model accepted", "name", b.Manifest.Name, "version", b.Version(), "signed_by", b.Key.String())
			return b, nil
		}
	}
	m.refuse(err)
	return nil, err
}

func (m *models) refuse(err error) {
	var r *bundle.Refusal
	if errors.As(err, &r) {
		m.status.refused[r.Reason]++
	} else {
		m.status.other++
	}
	m.status.last = err.Error()
	m.node.log.Error("model refused, the one in force stays", "in_force", m.machine.Assignment().Stable, "reason", err.Error())
}

// offer brings a bundle into force: on trial where one serves already and
// model.rollout says so, at once otherwise.
func (m *models) offer(b *bundle.Bundle) error {
	now := m.node.clock.Mono()
	change, err := m.machine.Offer(b.Version(), now)
	if err != nil {
		m.refuse(err)
		return err
	}
	if m.bundles[rollout.Stable] == nil {
		m.bundles[rollout.Stable] = b
	} else {
		m.bundles[rollout.Challenger], m.ready[rollout.Challenger] = b, nil
		if !m.node.cfg.Model.Rollout {
			if change, err = m.machine.Promote(true, now); err != nil {
				return err
			}
		}
	}
	m.step(change)
	return nil
}

// step follows the rollout: a challenger for everybody is the stable one, and
// one that was rolled back is gone.
func (m *models) step(c rollout.Change) {
	if c.Event == rollout.Nothing {
		return
	}
	m.status.change = fmt.Sprintf("%s: version %d: %s", c.Event, c.Version, c.Reason)
	m.node.log.Info("model rollout", "event", c.Event.String(), "version", c.Version, "reason", c.Reason)
	if a := c.Assignment; a.Trial() || m.bundles[rollout.Challenger] == nil {
		return
	}
	if c.Assignment.Stable == m.bundles[rollout.Challenger].Version() {
		m.bundles[rollout.Stable], m.ready[rollout.Stable] = m.bundles[rollout.Challenger], m.ready[rollout.Challenger]
	}
	m.bundles[rollout.Challenger], m.ready[rollout.Challenger] = nil, nil
}

// prepare makes the bundles ready for a snapshot, each from what it was before,
// and gives every shard its own.
func (m *models) prepare(s *campaign.Snapshot, totals map[unit.CreativeID]selection.Counts) ([]*serve.ModelSwap, error) {
	var ready [2]*selection.Model
	for i, b := range m.bundles {
		if b == nil {
			continue
		}
		var err error
		if ready[i], err = selection.PrepareModel(b, s, totals, m.node.clock.Wall(), m.ready[i]); err != nil {
			return nil, err
		}
	}
	m.ready = ready
	swaps := make([]*serve.ModelSwap, len(m.node.cores))
	for i := range swaps {
		swaps[i] = &serve.ModelSwap{Assignment: m.machine.Assignment(), Plan: m.machine.Plan()}
		for arm, model := range ready {
			if model != nil {
				swaps[i].Arms[arm] = selection.NewArm(model)
			}
		}
	}
	return swaps, nil
}

// distribute hands what serves now to every shard. The caller holds mu.
func (m *models) distribute(ctx context.Context) error {
	if m.snapshot == nil {
		return nil // with the first catalog
	}
	totals, err := m.totals(ctx)
	if err != nil {
		return err
	}
	swaps, err := m.prepare(m.snapshot, totals)
	if err != nil {
		return err
	}
	for i, core := range m.node.cores {
		err := m.node.group.Invoke(ctx, unit.ShardID(i), func(*shards.Shard[serve.Message]) { core.SetModels(swaps[i]) })
		if err != nil {
			return fmt.Errorf("model to shard %d: %w", i, err)
		}
	}
	return nil
}

// totals are the creatives' events, as the first shard knows them: every shard
// is told of all.
func (m *models) totals(ctx context.Context) (totals map[unit.CreativeID]selection.Counts, err error) {
	if m.bundles[rollout.Stable] == nil {
		return nil, nil
	}
	core := m.node.cores[0]
	err = m.node.group.Invoke(ctx, 0, func(*shards.Shard[serve.Message]) { totals = core.Creatives() })
	return totals, err
}

// reload looks at the file again. A refused bundle changes nothing and is the
// error.
func (m *models) reload(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.load()
	if b == nil || err != nil {
		return err
	}
	if err := m.offer(b); err != nil {
		return err
	}
	return m.distribute(ctx)
}

// operate is an operator's step of the rollout.
func (m *models) operate(ctx context.Context, step func(*rollout.Machine, unit.MonoTime) (rollout.Change, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := step(m.machine, m.node.clock.Mono())
	if err != nil {
		return err
	}
	m.step(c)
	return m.distribute(ctx)
}

// start watches the file, the trial, and the age of what is known of ads.
func (m *models) start(ctx context.Context) {
	if m.node.cfg.Model.Bundle == "" {
		return
	}
	ctx, m.stop = context.WithCancel(ctx)
	m.done = make(chan struct{})
	go m.run(ctx)
}

func (m *models) close() {
	if m.stop != nil {
		m.stop()
		<-m.done
	}
}

func (m *models) run(ctx context.Context) {
	defer close(m.done)
	c := m.node.cfg.Model
	poll, refresh, trial := ticker(c.Poll), ticker(c.Refresh), ticker(rolloutEvery)
	defer poll.Stop()
	defer refresh.Stop()
	defer trial.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
			if m.changed() {
				_ = m.reload(ctx) // logged, and in the status
			}
		case <-refresh.C:
			m.mu.Lock()
			err = m.distribute(ctx)
			m.mu.Unlock()
		case <-trial.C:
			err = m.tick(ctx)
		}
		if err != nil && ctx.Err() == nil {
			m.node.log.Error("the models did not reach every shard", "error", err)
		}
	}
}

// ticker never ticks for 0.
func ticker(d time.Duration) *time.Ticker {
	if d > 0 {
		return time.NewTicker(d)
	}
	t := time.NewTicker(time.Hour)
	t.Stop()
	return t
}

// changed compares the file with the one that was last read.
func (m *models) changed() bool {
	if m.node.cfg.Model.Bundle == demoBundle {
		return false
	}
	now, err := os.Stat(m.node.cfg.Model.Bundle)
	m.mu.Lock()
	defer m.mu.Unlock()
	return err == nil && (m.seen == nil || now.Size() != m.seen.Size() || !now.ModTime().Equal(m.seen.ModTime()) || !os.SameFile(now, m.seen))
}

// tick shows the rollout what has matured.
func (m *models) tick(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.machine.Assignment(); !a.Trial() {
		return nil
	}
	list, err := m.shards(ctx)
	if err != nil {
		return err
	}
	total := sum(list)
	change := m.machine.Tick(&total, m.node.clock.Mono())
	if change.Event == rollout.Nothing {
		return nil
	}
	m.step(change)
	return m.distribute(ctx)
}

// shards asks every shard.
func (m *models) shards(ctx context.Context) ([]serve.ModelStatus, error) {
	list := make([]serve.ModelStatus, len(m.node.cores))
	for i, core := range m.node.cores {
		err := m.node.group.Invoke(ctx, unit.ShardID(i), func(*shards.Shard[serve.Message]) { list[i] = core.ModelStatus() })
		if err != nil {
			return nil, fmt.Errorf("shard %d: %w", i, err)
		}
	}
	return list, nil
}

func sum(list []serve.ModelStatus) (total rollout.Totals) {
	total.Epoch = list[0].Totals.Epoch
	for i := range list {
		total.Add(&list[i].Totals)
	}
	return total
}
