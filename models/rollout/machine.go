package rollout

import (
	"errors"
	"fmt"
	"slices"

	"millrace/codec/unit"
)

// Event is what a step of the Machine did.
type Event uint8

// Events.
const (
	Nothing Event = iota
	Started
	Advanced
	Promoted
	RolledBack
)

var eventNames = [...]string{"nothing", "started", "advanced", "promoted", "rolled back"}

func (e Event) String() string {
	if int(e) < len(eventNames) {
		return eventNames[e]
	}
	return "unknown"
}

// Change is the outcome of a step: with anything but Nothing there is a new
// Assignment to publish.
type Change struct {
	Event Event
	// Version that it is about, and in words why.
	Version    uint64
	Reason     string
	Assignment Assignment
}

// rejectedMax bounds the memory of versions that were rolled back.
const rejectedMax = 64

// Machine is one node's rollout. Owned by one goroutine.
type Machine struct {
	plan     Plan
	now      Assignment
	stage    int
	since    unit.MonoTime
	looks    int    // tests of revenue made in this stage
	nextLook uint64 // requests of the challenger at which the next is made
	rejected []uint64
}

// NewMachine serves a version to everybody. epoch is the first epoch: one that
// tokens of earlier lives of the node do not carry.
func NewMachine(p Plan, stable uint64, epoch uint16) (*Machine, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	p.Stages = slices.Clone(p.Stages)
	return &Machine{plan: p, now: Assignment{Epoch: epoch, Stable: stable}}, nil
}

// Plan that the machine follows. Read only.
func (m *Machine) Plan() *Plan { return &m.plan }

// Assignment in force.
func (m *Machine) Assignment() Assignment { return m.now }

// Stage is the number of the stage on trial, from 0, and how many there are.
func (m *Machine) Stage() (stage, of int) { return m.stage, len(m.plan.Stages) }

// Offer puts a version on trial. Without a stable version it serves at once.
// A trial that is under way ends.
func (m *Machine) Offer(version uint64, now unit.MonoTime) (Change, error) {
	switch {
	case version == 0:
		return Change{}, errors.New("version 0 names no model")
	case version == m.now.Stable || version == m.now.Challenger:
		return Change{}, fmt.Errorf("version %d is in force already", version)
	case slices.Contains(m.rejected, version):
		return Change{}, fmt.Errorf("version %d was rolled back; train a new one", version)
	}
	if m.now.Stable == 0 {
		m.enter(Assignment{Stable: version}, 0, now)
		return m.change(Promoted, version, "there was no version before it"), nil
	}
	m.enter(Assignment{Stable: m.now.Stable, Challenger: version, Permille: m.plan.Stages[0].Permille}, 0, now)
	return m.change(Started, version, fmt.Sprintf("stage 1 of %d, %s", len(m.plan.Stages), serves(m.now.Permille))), nil
}

func serves(permille uint32) string {
	if permille == 0 {
		return "in shadow"
	}
	return fmt.Sprintf("serving %.1f %% of users", float64(permille)/10)
}

// Tick looks at what has matured: t is the sum of all shards' totals.
func (m *Machine) Tick(t *Totals, now unit.MonoTime) Change {
	if !m.now.Trial() || t.Epoch != m.now.Epoch {
		return Change{Assignment: m.now}
	}
	if reason := m.plan.fault(&m.now, t, m.revenueAlarm(t)); reason != "" {
		return m.rollBack(reason, now)
	}
	if !m.plan.Automatic || !m.done(t, now) {
		return Change{Assignment: m.now}
	}
	return m.advance(fmt.Sprintf("stage %d ended well", m.stage+1), now)
}

// revenueAlarm is what the test of revenue may spend now: it is made when the
// challenger's requests have doubled since the last time, and the k-th time
// spends 6/(π²k²) of what the stage has; 0 when it is not made.
func (m *Machine) revenueAlarm(t *Totals) float64 {
	const requestsMin = 1000
	if m.now.Permille == 0 || t.Arms[Challenger].Requests < max(m.nextLook, requestsMin) {
		return 0
	}
	m.looks++
	m.nextLook = 2 * t.Arms[Challenger].Requests
	const basel = 6 / 9.8696044010893586 // 6/π²: the shares of all looks make one
	return m.plan.alarm() * basel / float64(m.looks*m.looks)
}

// done is whether the stage's time and count have passed. The time is that of
// bids that have matured.
func (m *Machine) done(t *Totals, now unit.MonoTime) bool {
	s := m.plan.Stages[m.stage]
	seen := t.Arms[Challenger].Impressions
	if s.Permille == 0 {
		seen += t.Arms[Stable].Impressions
	}
	return now.Sub(m.since) >= s.For+m.plan.Maturity && seen >= s.Impressions
}

// Promote is the operator's: the next stage or, after the last or with all,
// the challenger for everybody.
func (m *Machine) Promote(all bool, now unit.MonoTime) (Change, error) {
	if !m.now.Trial() {
		return Change{}, errors.New("no version is on trial; offer one first")
	}
	if all {
		m.stage = len(m.plan.Stages) - 1
	}
	return m.advance("by an operator", now), nil
}

// Rollback is the operator's.
func (m *Machine) Rollback(reason string, now unit.MonoTime) (Change, error) {
	if !m.now.Trial() {
		return Change{}, errors.New("no version is on trial")
	}
	return m.rollBack(reason, now), nil
}

func (m *Machine) rollBack(reason string, now unit.MonoTime) Change {
	version := m.now.Challenger
	if len(m.rejected) == rejectedMax {
		m.rejected = slices.Delete(m.rejected, 0, 1)
	}
	m.rejected = append(m.rejected, version)
	m.enter(Assignment{Stable: m.now.Stable}, 0, now)
	return m.change(RolledBack, version, reason)
}

func (m *Machine) advance(reason string, now unit.MonoTime) Change {
	version := m.now.Challenger
	if m.stage+1 == len(m.plan.Stages) {
		m.enter(Assignment{Stable: version}, 0, now)
		return m.change(Promoted, version, reason)
	}
	stage := m.stage + 1
	m.enter(Assignment{Stable: m.now.Stable, Challenger: version, Permille: m.plan.Stages[stage].Permille}, stage, now)
	return m.change(Advanced, version, fmt.Sprintf("%s: stage %d of %d, %s", reason, stage+1, len(m.plan.Stages), serves(m.now.Permille)))
}

func (m *Machine) enter(a Assignment, stage int, now unit.MonoTime) {
	a.Epoch = m.now.Epoch + 1
	m.now, m.stage, m.since, m.looks, m.nextLook = a, stage, now, 0, 0
}

func (m *Machine) change(e Event, version uint64, reason string) Change {
	return Change{Event: e, Version: version, Reason: reason, Assignment: m.now}
}
