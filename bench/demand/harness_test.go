package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"millrace/bench/dspfleet"
	"millrace/bench/load"
	"millrace/engine/node"
)

// world is a node in this process that asks a fleet over real sockets.
type world struct {
	t     *testing.T
	fleet *dspfleet.Fleet
	node  *node.Node
	http  *http.Client
}

// everyTime gives bidders all the time a busy machine takes: no call is given
// up, no circuit opens, everybody is asked.
const everyTime = "deadlines: {hard: 2s, tmax: 5s, margin: 10, soft: []}\nhealth: {healthy: 0}\nstage: {down: 10s}\nexplore: {share: 0}\n" +
	"breaker: {errors: 1, invalid: 1, p95: 1m, calls: 1000000, row: 1000000}\n"

// newWorld starts both. The node has a catalog of which nothing is eligible.
func newWorld(t *testing.T, c dspfleet.Config, demand string) *world {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the mock bidders need Linux")
	}
	fleet, err := dspfleet.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fleet.Close)
	folder := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cfg := node.Default()
	cfg.Listen, cfg.Admin, cfg.Data, cfg.CatalogPoll = "127.0.0.1:0", "127.0.0.1:0", filepath.Join(folder, "data"), 0
	cfg.Catalog = write("catalog.yaml", nobodys)
	cfg.Demand.File = write("demand.yaml", demand+string(fleet.DemandFile(write("ca.pem", string(fleet.CertificatePEM())))))
	cfg.Demand.Notices.Private = true
	cfg.Shards, cfg.Shard.FrequencySlots, cfg.Shard.UserSlots = 1, 4096, 4096
	n, err := node.Start(t.Context(), cfg, node.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Level: &slog.LevelVar{}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, fleet: fleet, node: n, http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}}
	t.Cleanup(func() {
		w.http.CloseIdleConnections()
		http.DefaultClient.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := n.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return w
}

// auction asks the node.
func (w *world) auction(body []byte) (int, []byte) {
	w.t.Helper()
	res, err := w.http.Post("http://"+w.node.Addr().String()+"/openrtb2/auction", "application/json", strings.NewReader(string(body)))
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, b
}

func (w *world) metrics() load.Metrics {
	w.t.Helper()
	m, err := load.Scrape(w.t.Context(), "http://"+w.node.AdminAddr().String()+"/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) status() node.DemandStatus {
	w.t.Helper()
	s, err := demandOf(w.t.Context(), w.node.AdminAddr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// until waits for what other threads will do.
func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	for end := time.Now().Add(60 * time.Second); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			w.report()
			w.t.Fatalf("not within a minute: %s", what)
		}
	}
}

// report tells how the bidders stand.
func (w *world) report() {
	for _, p := range w.status().Partners {
		w.t.Logf("%-14s %s, opened %d× (%s), %v, %d bids against the rules", p.Name, p.Circuit, p.Opened, p.Cause, p.Outcomes, p.Lies)
	}
}

// bannerRequest is one for a banner, with an id of its own.
func bannerRequest(n int) []byte {
	return fmt.Appendf(nil, `{"id":"r%d","at":1,"imp":[{"id":"1","bidfloor":0.1,"banner":{"w":300,"h":250}}],"site":{"page":"https://p.example/","publisher":{"id":"p"}},"user":{"id":"u%d"},"device":{"ip":"192.0.2.7"}}`, n, n)
}
