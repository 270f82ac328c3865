package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"millrace/bench/dspfleet"
)

// dspFlags are the flags of millrace dsp.
type dspFlags struct {
	cfg       dspfleet.Config
	dsps      int
	protocols []string
	defaults  []string // settings of all
	sets      []string
	schedule  []string
	demand    string
	howLong   time.Duration
	asJSON    bool
}

func dspCommand() *cobra.Command {
	f := dspFlags{cfg: dspfleet.Default(1)}
	c := &cobra.Command{
		Use:   "dsp [KEY=VALUE...]",
		Short: "Run mock bidders on real sockets",
		Long: `Runs a fleet of mock DSPs in one process, each on a port of its own: they speak
HTTP/1.1, HTTP/2 with prior knowledge (h2c) or HTTP/2 and HTTP/1.1 over TLS, take
their time by a distribution, bid by a model, and misbehave when told to. They
count what they are asked, what is cancelled, and the notices they get, and hold
those against what they bid.

What a bidder answers depends on --seed, its name's place and the request's id
alone: two runs see the same bids, whatever else differs.

KEY=VALUE sets all bidders, --set some of them ("dsp-03,dsp-1* faults=hang:0.2"),
--at some of them later ("30s dsp-03 faults=hang", "60s dsp-03 reset"). While it
runs the admin port takes the same:
  curl -X POST 'http://ADMIN/dsp-03?faults=html:0.5&latency=300ms'
  curl -X POST 'http://ADMIN/dsp-03?reset'
  curl 'http://ADMIN/?text'

Settings:
  ` + strings.Join(dspfleet.Settings(), "\n  ") + `

With --demand a demand file with all of them is written, ready for
millrace serve --demand. Notices of bidders on this machine need
--set demand.notices.private=true there. It ends at Ctrl-C or after --for, with a summary.`,
		Example: `  millrace dsp --dsps 20 --demand demand.yaml       # then: millrace serve --demand demand.yaml
  millrace dsp --dsps 5 latency=lognormal:30ms,0.5 bids=0.3 price=lognormal:1.8,0.6
  millrace dsp --dsps 4 --protocol http1,h2c,https1,h2 --port 9100
  millrace dsp --dsps 10 --set 'dsp-01,dsp-02 faults=hang' --at '30s dsp-0[12] reset' --for 1m --json`,
		RunE: func(c *cobra.Command, args []string) error {
			f.defaults = args
			return f.run(c)
		},
	}
	flags := c.Flags()
	flags.IntVar(&f.dsps, "dsps", 5, "how many")
	flags.StringSliceVar(&f.protocols, "protocol", []string{"h2c"}, "what they speak, in turn: http1, h2c, https1, h2")
	flags.StringVar(&f.cfg.Host, "host", f.cfg.Host, "address they listen on")
	flags.IntVar(&f.cfg.Port, "port", 0, "port of the first, the others follow (0: any free ones)")
	flags.StringVar(&f.cfg.Admin, "admin", "127.0.0.1:0", "host:port to look at and to change them; empty: none")
	flags.IntVar(&f.cfg.Workers, "workers", f.cfg.Workers, "threads")
	flags.Uint64Var(&f.cfg.Seed, "seed", f.cfg.Seed, "seed of bids, latencies and faults")
	flags.Uint32Var(&f.cfg.Streams, "streams", f.cfg.Streams, "open requests a HTTP/2 connection may have")
	flags.StringArrayVar(&f.sets, "set", nil, "\"NAMES KEY=VALUE...\": settings of some; may be given several times")
	flags.StringArrayVar(&f.schedule, "at", nil, "\"TIME NAMES KEY=VALUE...\": settings from a time on; reset takes them back")
	flags.StringVar(&f.demand, "demand", "", "demand file to write; beside it NAME.pem, the certificate, where TLS is spoken")
	flags.DurationVar(&f.howLong, "for", 0, "end after this time (0: at Ctrl-C)")
	flags.BoolVar(&f.asJSON, "json", false, "the summary as JSON")
	return c
}

// configure turns the flags' texts into the fleet's configuration.
func (f *dspFlags) configure() error {
	if f.dsps < 1 || f.dsps > dspfleet.DSPsMax {
		return fmt.Errorf("--dsps %d is out of range; use 1 to %d", f.dsps, dspfleet.DSPsMax)
	}
	f.cfg.DSPs = dspfleet.Default(f.dsps).DSPs
	all, err := dspfleet.DefaultBehaviour().With(f.defaults...)
	if err != nil {
		return err
	}
	for i := range f.cfg.DSPs {
		d := &f.cfg.DSPs[i]
		d.Behaviour = all
		if d.Protocol, err = dspfleet.ParseProtocol(f.protocols[i%len(f.protocols)]); err != nil {
			return fmt.Errorf("--protocol: %w", err)
		}
	}
	for _, text := range f.sets {
		s, err := dspfleet.ParseStep("0s " + text)
		if err == nil {
			err = f.cfg.Apply(s)
		}
		if err != nil {
			return fmt.Errorf("--set %q: %w", text, err)
		}
	}
	for _, text := range f.schedule {
		s, err := dspfleet.ParseStep(text)
		if err != nil {
			return fmt.Errorf("--at: %w", err)
		}
		f.cfg.Schedule = append(f.cfg.Schedule, s)
	}
	if f.howLong < 0 {
		return fmt.Errorf("--for %v must not be negative", f.howLong)
	}
	return f.cfg.Validate()
}

func (f *dspFlags) run(c *cobra.Command) error {
	if err := f.configure(); err != nil {
		return usageError{err}
	}
	fleet, err := dspfleet.Start(f.cfg)
	if err != nil {
		return err
	}
	defer fleet.Close()
	// With --json stdout is the summary's.
	out := c.OutOrStdout()
	if f.asJSON {
		out = c.ErrOrStderr()
	}
	for i, d := range f.cfg.DSPs {
		fmt.Fprintf(out, "%s  %s  %v\n", d.Name, fleet.URL(i), d.Protocol)
	}
	if f.demand != "" {
		if err := writeDemand(fleet, f.demand); err != nil {
			return err
		}
		fmt.Fprintf(out, "demand file: %s\n", f.demand)
	}
	fmt.Fprintf(out, "notices on http://%s\n", fleet.NoticeAddress())
	if at := fleet.AdminAddress(); at != "" {
		fmt.Fprintf(out, "millrace: mock bidders ready, admin on http://%s\n", at)
	}
	ctx := c.Context()
	if f.howLong > 0 {
		var end context.CancelFunc
		ctx, end = context.WithTimeout(ctx, f.howLong)
		defer end()
	}
	<-ctx.Done()
	summary := fleet.Summary()
	if f.asJSON {
		return writeJSON(c, summary)
	}
	fmt.Fprintln(out)
	return summary.WriteText(out)
}

// writeDemand writes the fleet's demand file, and its certificate beside it.
func writeDemand(fleet *dspfleet.Fleet, name string) error {
	ca := ""
	if cert := fleet.CertificatePEM(); cert != nil {
		path, err := filepath.Abs(strings.TrimSuffix(name, filepath.Ext(name)) + ".pem")
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, cert, 0o644); err != nil {
			return fmt.Errorf("cannot write the certificate: %w", err)
		}
		ca = path
	}
	if err := os.WriteFile(name, fleet.DemandFile(ca), 0o644); err != nil {
		return fmt.Errorf("cannot write the demand file: %w", err)
	}
	return nil
}
