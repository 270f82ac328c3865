//go:build invariants

package shards

import (
	"strings"
	"testing"
	"time"
)

// In the invariants build every use of a shard outside its turn is caught, also
// while another goroutine has the turn.
func TestInvariantsCatchForeignUse(t *testing.T) {
	entered, leave := make(chan bool), make(chan bool)
	var held *letter
	g, recorders, _ := startGroup(t, testConfig(1, DispatchHop), func(r *recorder) {
		r.handle = func(r *recorder, m *letter) {
			held = m
			entered <- true
			<-leave
		}
	})
	g.Submit(0, &letter{number: 5})
	<-entered
	s := recorders[0].s
	for _, when := range []string{"held by another", "free"} {
		for what, use := range map[string]func(){
			"Send":       func() { s.Send(0, &letter{}) },
			"After":      func() { s.After(time.Second, 0, 0) },
			"Cancel":     func() { s.Cancel(1) },
			"AssertTurn": s.AssertTurn,
		} {
			func() {
				defer func() {
					if text, _ := recover().(string); !strings.Contains(text, what+" of shard 0 outside its turn") {
						t.Errorf("%s while the turn is %s: panic %q", what, when, text)
					}
				}()
				use()
			}()
		}
		if when == "held by another" {
			leave <- true
			stopGroup(t, g)
		}
	}
	if held.number != 0xDBDBDBDBDBDBDBDB {
		t.Errorf("a message kept beyond its call reads %+v", *held)
	}
}
