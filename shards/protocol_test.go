package shards

import "testing"

// The park and wake protocol, modelled: every interleaving of the owner with
// submitters and a scrape is walked, one atomic step at a time, and whenever all
// but the owner are done and the owner sleeps for good, no message may be left
// and its alarm must be set for the wheel's next timer. The model is written
// down apart from the code, after doc.go; it has no slots or threads, only the
// words that decide.
type protocol struct {
	messages uint8 // in the mailbox
	turn     bool  // held
	asleep   bool
	token    uint8 // in the wakeup channel
	timer    bool  // a timer is set in the wheel
	armed    bool  // ... and published
	alarm    bool  // the owner sleeps with its alarm set
	actors   [3]actor
}

// actor is a program counter, what kind of program it is, and its local words.
type actor struct {
	program byte // 'o' owner, 'h' submitter hop, 'i' submitter inline, 't' inline, setting a timer, 's' scrape
	pc      uint8
	took    bool
	local   bool
	budget  uint8
}

const ended = 255

// step lets one actor take its next atomic step. false means that it can't (it
// has ended, or sleeps).
func (p *protocol) step(i int, broken string) bool {
	a := &p.actors[i]
	switch a.program {
	case 'o':
		return p.stepOwner(a, broken)
	case 'h':
		return p.stepHop(a)
	case 's':
		return p.stepScrape(a)
	}
	return p.stepInline(a, broken)
}

// publish is what Shard.free does before it gives the turn back.
func (p *protocol) publish() (sooner bool) {
	sooner = p.timer && !p.armed
	p.armed = p.timer
	return sooner
}

func (p *protocol) stepOwner(a *actor, broken string) bool {
	switch a.pc {
	case 0: // take
		a.took = !p.turn
		a.pc = 4
		if a.took {
			p.turn = true
			a.pc = 1
		}
	case 1: // run: a batch, until nothing is left
		p.messages = 0
		a.pc = 2
	case 2: // armed.Store
		p.publish()
		a.pc = 3
	case 3: // turn.Store(free)
		p.turn = false
		a.pc = 4
	case 4: // asleep.Store
		if broken != "look before sleeping" {
			p.asleep = true
		}
		a.pc = 5
	case 5: // turn.Load
		a.local = !p.turn
		a.pc = 6
	case 6: // hasWork
		a.local = a.local && p.messages > 0
		a.pc = 7
		if a.local {
			a.pc = 9
		}
	case 7: // armed.Load, alarm.Reset
		p.asleep = p.asleep || broken == "look before sleeping"
		p.alarm = p.armed
		a.pc = 8
	case 8: // <-wakeup. The alarm itself never rings here: time stands still.
		if p.token == 0 {
			return false
		}
		p.token--
		p.alarm = false
		a.pc = 0
	case 9: // asleep.CompareAndSwap
		if p.asleep {
			p.asleep = false
			a.pc = 0
		} else {
			a.pc = 8
		}
	}
	return true
}

// wake is one step: the load before the CAS only saves the CAS.
func (p *protocol) wake() {
	if p.asleep {
		p.asleep = false
		p.token++
	}
}

func (p *protocol) stepHop(a *actor) bool {
	switch a.pc {
	case 0: // slot filled
		p.messages++
		a.pc = 1
	case 1:
		p.wake()
		a.pc = ended
	default:
		return false
	}
	return true
}

func (p *protocol) stepInline(a *actor, broken string) bool {
	switch a.pc {
	case 0:
		p.messages++
		a.pc = 1
	case 1: // for budget > 0 && hasWork()
		a.pc = 6
		if a.budget > 0 && p.messages > 0 {
			a.pc = 2
		}
	case 2: // && take()
		a.pc = 6
		if !p.turn {
			p.turn = true
			a.pc = 3
		}
	case 3: // run one batch
		a.budget--
		p.messages = 0
		p.timer = p.timer || a.program == 't'
		a.pc = 4
	case 4: // armed.Store
		a.local = p.publish()
		if broken == "keep timers to oneself" {
			p.armed, a.local = false, false
		}
		a.pc = 5
	case 5: // turn.Store(free)
		p.turn = false
		a.pc = 1
		if broken == "leave at once" {
			a.pc = ended
		}
		if a.local {
			a.pc = 7
		}
	case 6: // if budget <= 0 && hasWork()
		a.pc = ended
		if a.budget == 0 && p.messages > 0 {
			a.pc = 8
		}
	case 7: // wake for the nearer timer
		p.wake()
		a.pc = 1
	case 8: // wake for what is left
		p.wake()
		a.pc = ended
	default:
		return false
	}
	return true
}

func (p *protocol) stepScrape(a *actor) bool {
	switch a.pc {
	case 0: // take, or be served by the holder
		a.pc = ended
		if !p.turn {
			p.turn = true
			a.pc = 1
		}
	case 1: // armed.Store
		a.local = p.publish()
		a.pc = 2
	case 2: // turn.Store(free)
		p.turn = false
		a.pc = 3
	case 3: // if sooner || hasWork()
		a.pc = ended
		if a.local || p.messages > 0 {
			a.pc = 4
		}
	case 4:
		p.wake()
		a.pc = ended
	default:
		return false
	}
	return true
}

// explore walks all interleavings and returns the states seen and the faults.
func explore(programs string, broken string) (states, faults int) {
	start := protocol{}
	for i := range start.actors {
		start.actors[i] = actor{pc: ended}
		if i < len(programs) {
			start.actors[i] = actor{program: programs[i], budget: 1}
		}
	}
	seen := map[protocol]bool{start: true}
	todo := []protocol{start}
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		stuck := true
		for i := range p.actors {
			next := p
			if !next.step(i, broken) {
				continue
			}
			stuck = false
			if !seen[next] {
				seen[next] = true
				todo = append(todo, next)
			}
		}
		if p.token > 1 || stuck && (p.messages > 0 || p.turn || p.timer != p.alarm || !p.asleep) {
			faults++
		}
	}
	return len(seen), faults
}

func TestProtocolLosesNoWake(t *testing.T) {
	for _, programs := range []string{"o", "oh", "ohh", "oi", "oii", "oti", "ott", "ois", "ots", "ohs", "ohi"} {
		states, faults := explore(programs, "")
		if faults != 0 {
			t.Errorf("%s: %d of %d states are faults", programs, faults, states)
		}
		t.Logf("%s: %d states", programs, states)
	}
	// The model can fail: each way of breaking the protocol is found.
	for broken, programs := range map[string]string{
		"look before sleeping":   "oh",
		"leave at once":          "oii",
		"keep timers to oneself": "ot",
	} {
		if _, faults := explore(programs, broken); faults == 0 {
			t.Errorf("%s: the fault is not found", broken)
		}
	}
}
