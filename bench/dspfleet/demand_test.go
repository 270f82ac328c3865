package dspfleet

import (
	"testing"
	"time"

	"millrace/codec/unit"
	"millrace/engine/demand/partners"
)

// The demand file of a fleet is one that a node takes, whatever its bidders
// speak and bid in.
func TestDemandFileIsGood(t *testing.T) {
	f := start(t, 4, func(c *Config) {
		c.DSPs[1].Protocol = HTTP2
		c.DSPs[2].Protocol = HTTP1
		for i, cur := range map[int]string{1: "EUR", 2: "JPY", 3: "EUR"} {
			c.DSPs[i].Behaviour, _ = c.DSPs[i].Behaviour.With("cur=" + cur)
		}
	})
	b, faults := partners.Check("demand.yaml", f.DemandFile("ca.pem"), partners.Options{Now: unit.WallTime(time.Now().UnixNano())})
	if b == nil {
		t.Fatal(faults.Error())
	}
	if p := b.Partner(2); len(b.Order) != 4 || p.Currency != (unit.Currency{'J', 'P', 'Y'}) || p.Endpoint.Protocol != partners.HTTP1 {
		t.Errorf("%+v", p)
	}
}
