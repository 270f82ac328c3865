package node

import (
	"context"
	"encoding/json"
	"time"

	"millrace/codec/unit"
	"millrace/models/bundle"
	"millrace/models/feature"
	"millrace/models/ladder"
	"millrace/models/rollout"
)

// ModelsStatus is GET /models.
type ModelsStatus struct {
	Bundle   string     `json:"bundle"`
	LoadedAt *time.Time `json:"loaded_at,omitempty"`
	// Arms are the versions in force, the stable one first.
	Arms  []ModelArm    `json:"arms"`
	Trial *ModelTrial   `json:"trial,omitempty"`
	Shard []ModelLadder `json:"shards"`
	// LastChange is the rollout's last step; LastRefusal why the file as it is
	// now does not serve.
	LastChange  string            `json:"last_change,omitempty"`
	LastRefusal string            `json:"last_refusal,omitempty"`
	Loads       uint64            `json:"loads"`
	Refused     map[string]uint64 `json:"refused"`
	Features    []FeatureStatus   `json:"features_missing_or_stale"`
}

// ModelArm is one version in force.
type ModelArm struct {
	Arm      string          `json:"arm"`
	Name     string          `json:"name"`
	Version  uint64          `json:"version"`
	Created  time.Time       `json:"created"`
	SignedBy string          `json:"signed_by"`
	Ads      int             `json:"ads"`
	Bytes    int             `json:"bytes"`
	Trees    map[string]int  `json:"trees"`
	Metrics  json.RawMessage `json:"metrics,omitempty"`
}

// ModelTrial is how a challenger does.
type ModelTrial struct {
	Stage    int            `json:"stage"`
	Stages   int            `json:"stages"`
	Permille uint32         `json:"permille"`
	Report   rollout.Report `json:"report"`
}

// ModelLadder is how a shard predicts.
type ModelLadder struct {
	Shard int               `json:"shard"`
	Rung  string            `json:"rung"`
	Downs map[string]uint64 `json:"downs"`
	Ups   map[string]uint64 `json:"ups"`
}

// FeatureStatus counts a column's values that were missing or too old.
type FeatureStatus struct {
	Column  string `json:"column"`
	Missing uint64 `json:"missing"`
	Stale   uint64 `json:"stale"`
}

// Models is what predicts now, and how it does.
func (n *Node) Models(ctx context.Context) (ModelsStatus, error) { return n.models.view(ctx) }

// PromoteModel takes a trial a stage further; RollbackModel ends it.
func (n *Node) PromoteModel(ctx context.Context) error {
	return n.models.operate(ctx, func(m *rollout.Machine, now unit.MonoTime) (rollout.Change, error) { return m.Promote(false, now) })
}

// RollbackModel ends a trial.
func (n *Node) RollbackModel(ctx context.Context) error {
	return n.models.operate(ctx, func(m *rollout.Machine, now unit.MonoTime) (rollout.Change, error) {
		return m.Rollback("by an operator", now)
	})
}

func (m *models) view(ctx context.Context) (ModelsStatus, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := ModelsStatus{
		Bundle: m.node.cfg.Model.Bundle, Arms: []ModelArm{}, LastChange: m.status.change, LastRefusal: m.status.last,
		Loads: m.status.loads, Refused: map[string]uint64{}, Features: []FeatureStatus{},
	}
	if !m.status.at.IsZero() {
		s.LoadedAt = &m.status.at
	}
	for i, n := range m.status.refused {
		if n > 0 {
			s.Refused[bundle.Reason(i).String()] = n
		}
	}
	if m.status.other > 0 {
		s.Refused["not readable or not to serve"] = m.status.other
	}
	for i := range m.bundles {
		if m.bundles[i] != nil {
			s.Arms = append(s.Arms, m.arm(rollout.Arm(i)))
		}
	}
	list, err := m.shards(ctx)
	if err != nil {
		return s, err
	}
	for i := range list {
		l := ModelLadder{Shard: i, Rung: list[i].Rung.String(), Downs: map[string]uint64{}, Ups: map[string]uint64{}}
		for r := range ladder.Rung(ladder.Rungs) {
			l.Downs[r.String()], l.Ups[r.String()] = list[i].Downs[r], list[i].Ups[r]
		}
		s.Shard = append(s.Shard, l)
	}
	if a := m.machine.Assignment(); a.Trial() {
		total := sum(list)
		stage, of := m.machine.Stage()
		s.Trial = &ModelTrial{Stage: stage + 1, Stages: of, Permille: a.Permille, Report: rollout.Compare(&a, &total)}
	}
	for i, name := range feature.Default().Names() {
		f := FeatureStatus{Column: name}
		for k := range list {
			f.Missing += list[k].Missing[i]
			f.Stale += list[k].Stale[i]
		}
		if f.Missing+f.Stale > 0 {
			s.Features = append(s.Features, f)
		}
	}
	return s, nil
}

func (m *models) arm(of rollout.Arm) ModelArm {
	b := m.bundles[of]
	a := ModelArm{
		Arm: of.String(), Name: b.Manifest.Name, Version: b.Version(), Created: b.Manifest.Created, SignedBy: b.Key.String(),
		Trees: map[string]int{}, Metrics: b.Manifest.Metrics,
	}
	for _, part := range b.Models() {
		a.Trees[part.Name] = len(part.Model.Forest.Trees)
	}
	if r := m.ready[of]; r != nil {
		a.Ads, a.Bytes = r.Ads(), r.Bytes()
	}
	return a
}
