package dspfleet

import (
	"fmt"
	"strings"
)

// DemandFile is the demand file with which a node calls the fleet: each bidder
// a partner of its name. ca is the file of the fleet's certificate; it is only
// named where a bidder has TLS.
func (f *Fleet) DemandFile(ca string) []byte {
	var b strings.Builder
	b.WriteString("# The mock bidders of millrace dsp.\n")
	foreign := map[string]bool{}
	for _, d := range f.dsps {
		if cur := d.behaviour.Load().Currency.String(); cur != "USD" {
			foreign[cur] = true
		}
	}
	if len(foreign) > 0 {
		b.WriteString("# Their bids are in other currencies too: without a table of rates those are not taken.\n")
	}
	b.WriteString("partners:\n")
	for i, d := range f.dsps {
		protocol := "http1"
		if d.cfg.Protocol.HTTP2() {
			protocol = "http2"
		}
		fmt.Fprintf(&b, "  - id: %s\n", d.cfg.Name)
		if cur := d.behaviour.Load().Currency.String(); cur != "USD" {
			fmt.Fprintf(&b, "    currency: %s\n", cur)
		}
		if d.behaviour.Load().Notices {
			b.WriteString("    loss_notices: true\n")
		}
		fmt.Fprintf(&b, "    endpoints:\n      - url: %s\n        protocol: %s\n", f.URL(i), protocol)
		if d.cfg.Protocol.TLS() {
			fmt.Fprintf(&b, "        tls: {ca: %q}\n", ca)
		}
	}
	return []byte(b.String())
}
