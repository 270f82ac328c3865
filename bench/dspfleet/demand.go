package dspfleet

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// DemandFile is the demand file with which a node calls the fleet: each bidder
// a partner of its name. ca is the file of the fleet's certificate; it is only
// named where a bidder has TLS.
func (f *Fleet) DemandFile(ca string) []byte {
	var b strings.Builder
	b.WriteString("# The mock bidders of millrace dsp.\n")
	var foreign []string
	for _, d := range f.dsps {
		if cur := d.behaviour.Load().Currency.String(); cur != "USD" && !slices.Contains(foreign, cur) {
			foreign = append(foreign, cur)
		}
	}
	if len(foreign) > 0 {
		// Prices are drawn as numbers, in whatever currency: at these rates they
		// are worth the same. A table has to be of a day not long ago.
		fmt.Fprintf(&b, "rates:\n  base: USD\n  date: %s\n  per_base: {%s: 1}\n", time.Now().UTC().Format(time.DateOnly), strings.Join(foreign, ": 1, "))
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
