package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bytedance/sonic"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"millrace/bench/dspfleet"
	"millrace/bench/load"
	"millrace/engine/node"
	"millrace/netio/admin"
)

func demoCommand() *cobra.Command {
	var f configFlags
	var rate float64
	var howLong time.Duration
	var plain bool
	var dsps int
	c := &cobra.Command{
		Use:   "demo",
		Short: "Serve a lively catalog, drive it, show it live",
		Long: `Starts the server in this process on the bundled demo catalog, drives it with
the built-in load at a modest rate, and shows what happens: requests a second,
latency percentiles, wins by line item, spend against budget. Everything shown
comes from the same admin server that you can ask, and the URLs to try are
printed. Ctrl-C ends it.

With --dsps so many mock bidders are started too and asked for bids, as
millrace dsp runs them.

Where the default ports are taken, free ones are used. Without a terminal (or
with --plain) it prints plain lines, one every second.`,
		Example: `  millrace demo
  millrace demo --rate 5000
  millrace demo --dsps 10            # then: millrace demand status --watch
  millrace demo --for 10s --plain`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !(rate > 0 && rate <= 1e6) {
				return usageError{fmt.Errorf("--rate %v is out of range; use 1 to 1000000", rate)}
			}
			if howLong < 0 {
				return usageError{fmt.Errorf("--for %v must not be negative", howLong)}
			}
			cfg, origins, err := f.load(c)
			if err != nil {
				return err
			}
			freePorts(&cfg, origins)
			if dsps != 0 {
				end, err := demoBidders(&cfg, dsps)
				if err != nil {
					return err
				}
				defer end()
			}
			return demo(c, cfg, rate, howLong, plain)
		},
	}
	f.register(c.Flags())
	c.Flags().Float64Var(&rate, "rate", 500, "bid requests a second")
	c.Flags().DurationVar(&howLong, "for", 0, "end after this time (0: at Ctrl-C)")
	c.Flags().IntVar(&dsps, "dsps", 0, "mock bidders to ask beside the catalog's own campaigns")
	c.Flags().BoolVar(&plain, "plain", false, "plain lines even on a terminal")
	return c
}

// freePorts lets a newcomer's first command work beside whatever runs already;
// an address that was asked for is not changed.
func freePorts(cfg *node.Config, origins node.Origins) {
	for _, a := range []struct {
		field   string
		address *string
	}{{"listen", &cfg.Listen}, {"admin", &cfg.Admin}} {
		if origins[a.field] == "default" && portFree(*a.address) != nil {
			*a.address = "127.0.0.1:0"
		}
	}
}

// demoBidders starts a fleet and has the node ask it; the returned function ends
// it.
func demoBidders(cfg *node.Config, dsps int) (func(), error) {
	switch {
	case dsps < 0 || dsps > dspfleet.DSPsMax:
		return nil, usageError{fmt.Errorf("--dsps %d is out of range; use up to %d", dsps, dspfleet.DSPsMax)}
	case cfg.Demand.File != "":
		return nil, usageError{fmt.Errorf("--dsps and --demand exclude each other")}
	}
	folder, err := os.MkdirTemp("", "millrace-demo-*")
	if err != nil {
		return nil, err
	}
	fleet, err := dspfleet.Start(dspfleet.Default(dsps))
	if err == nil {
		cfg.Demand.File, cfg.Demand.Notices.Private = filepath.Join(folder, "demand.yaml"), true
		if err = writeDemand(fleet, cfg.Demand.File); err != nil {
			fleet.Close()
		}
	}
	end := func() { _ = os.RemoveAll(folder) } // a leftover in the temporary folder harms nobody
	if err != nil {
		end()
		return nil, err
	}
	return func() { fleet.Close(); end() }, nil
}

// demoForever stands for no --for; Ctrl-C comes first.
const demoForever = 10 * 365 * 24 * time.Hour

func demo(c *cobra.Command, cfg node.Config, rate float64, howLong time.Duration, plain bool) error {
	out := c.OutOrStdout()
	screen := terminalOf(out)
	if plain {
		screen = nil
	}
	// On a live screen log lines would tear the picture: the last one is shown
	// in its foot instead.
	foot := &lastLine{w: c.ErrOrStderr(), hold: screen != nil}
	level := &slog.LevelVar{}
	if cfg.LogLevel == node.Default().LogLevel {
		cfg.LogLevel = "warn"
	}
	log := slog.New(slog.NewTextHandler(foot, &slog.HandlerOptions{Level: level}))
	n, stop, err := startNode(c.Context(), cfg, log, level)
	if err != nil {
		return err
	}
	ads, adm := "http://"+n.Addr().String(), "http://"+n.AdminAddr().String()
	watch := newWatch(ads, adm, foot)
	if screen == nil {
		fmt.Fprintf(out, "millrace: serving ads on %s, admin on %s\n%s\n", ads, adm, watch.urls())
	}

	lc := load.Default()
	lc.Address, lc.Rate, lc.Poisson, lc.Duration = n.Addr().String(), rate, true, demoForever
	if howLong > 0 {
		lc.Duration = howLong
	}
	lc.Connections, lc.Clicks, lc.Conversions = 32, 0.03, 0.2
	lc.ProgressEvery = time.Second
	if screen != nil {
		lc.ProgressEvery = 500 * time.Millisecond
		fmt.Fprint(out, screenOn)
	}
	lc.Progress = func(p load.Progress) {
		watch.look(c.Context(), p)
		if screen == nil {
			watch.writeLine(out)
			return
		}
		width, height := screen.size()
		watch.writeScreen(out, width, height)
	}
	summary, runErr := load.Run(c.Context(), lc)
	if screen != nil {
		fmt.Fprint(out, screenOff)
		foot.release()
	}
	watch.lookCampaigns(context.WithoutCancel(c.Context()))
	if runErr == nil {
		watch.averageOver(summary.Seconds)
	}
	stopErr := stop()
	if runErr != nil {
		return runErr
	}
	fmt.Fprintln(out)
	watch.writeCampaigns(out, 100, 1000)
	fmt.Fprintln(out)
	if err := summary.WriteText(out); err != nil {
		return err
	}
	return stopErr
}

// Terminal control: the second screen buffer leaves the user's scrollback as it
// was.
const (
	screenOn   = "\x1b[?1049h\x1b[?25l"
	screenOff  = "\x1b[?25h\x1b[?1049l"
	screenHome = "\x1b[H"
	lineRest   = "\x1b[K\n"
	screenRest = "\x1b[J"
)

type terminal struct{ fd int }

// terminalOf is the terminal behind w, nil when there is none or it can't be
// controlled.
func terminalOf(w io.Writer) *terminal {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return &terminal{int(f.Fd())}
}

func (t *terminal) size() (width, height int) {
	width, height, err := term.GetSize(t.fd)
	if err != nil || width < 20 || height < 8 {
		return 80, 24
	}
	return width, height
}

// lastLine is where log lines go: through to w, or held while a screen is on.
type lastLine struct {
	mu   sync.Mutex
	w    io.Writer
	hold bool     // guarded by mu
	held []string // guarded by mu: the last few
}

func (l *lastLine) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.hold {
		return l.w.Write(b)
	}
	l.held = append(l.held, strings.TrimSpace(string(b)))
	if len(l.held) > 100 {
		l.held = slices.Delete(l.held, 0, len(l.held)-100)
	}
	return len(b), nil
}

func (l *lastLine) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.held) == 0 {
		return ""
	}
	return l.held[len(l.held)-1]
}

// release lets lines through again, those held first.
func (l *lastLine) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hold = false
	for _, line := range l.held {
		fmt.Fprintln(l.w, line)
	}
	l.held = nil
}

// watch is what the view knows: the load's progress, and what the admin server
// answers to anyone who asks.
type watch struct {
	ads, adm  string
	client    *http.Client
	foot      *lastLine
	progress  load.Progress
	sent      int64
	errors    int64
	rates     []float64 // the last minute, for the sparkline
	campaigns []admin.CampaignStatus
	wins      map[string]uint64 // by line id, one look ago
	winRate   map[string]float64
	looked    time.Time
	problem   string // why the admin server did not answer
	metrics   load.Metrics
}

func newWatch(ads, adm string, foot *lastLine) *watch {
	return &watch{ads: ads, adm: adm, foot: foot, client: &http.Client{Timeout: 2 * time.Second}, wins: map[string]uint64{}, winRate: map[string]float64{}}
}

// campaignsEvery spares the shards: the picture of spend need not be faster.
const campaignsEvery = time.Second

func (w *watch) look(ctx context.Context, p load.Progress) {
	w.progress = p
	w.sent += p.Sent
	w.errors += p.Errors
	w.rates = append(w.rates, p.Rate)
	if len(w.rates) > 60 {
		w.rates = slices.Delete(w.rates, 0, len(w.rates)-60)
	}
	if time.Since(w.looked) >= campaignsEvery-50*time.Millisecond {
		w.lookCampaigns(ctx)
	}
}

func (w *watch) lookCampaigns(ctx context.Context) {
	w.problem = ""
	b, err := w.get(ctx, "/campaigns")
	var list []admin.CampaignStatus
	if err == nil {
		err = sonic.ConfigStd.Unmarshal(b, &list)
	}
	if err != nil {
		w.problem = "GET /campaigns: " + err.Error()
		return
	}
	now := time.Now()
	seconds := now.Sub(w.looked).Seconds()
	for _, c := range list {
		for _, l := range c.Lines {
			if !w.looked.IsZero() && l.Wins >= w.wins[l.ID] && seconds > 0 {
				w.winRate[l.ID] = float64(l.Wins-w.wins[l.ID]) / seconds
			}
			w.wins[l.ID] = l.Wins
		}
	}
	w.campaigns, w.looked = list, now
	if b, err = w.get(ctx, "/metrics"); err == nil {
		w.metrics = load.ParseMetrics(b)
	}
}

// averageOver makes the win rates those of the whole run, for its last picture.
func (w *watch) averageOver(seconds float64) {
	for id, wins := range w.wins {
		w.winRate[id] = float64(wins) / max(seconds, 0.001)
	}
}

// answerMax bounds what is read of an admin answer.
const answerMax = 32 << 20

func (w *watch) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.adm+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, answerMax))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return b, err
}

// urls are things to try, in a form to paste.
func (w *watch) urls() string {
	return `try:  curl -s ` + w.ads + `/openrtb2/auction -H 'Content-Type: application/json' -H 'X-Millrace-Debug: 1' -d '{"id":"1","imp":[{"id":"1","banner":{"w":300,"h":250}}]}'
      curl -s ` + w.adm + `/campaigns
      curl -s ` + w.adm + `/metrics
      curl -s ` + w.adm + `/shards`
}
