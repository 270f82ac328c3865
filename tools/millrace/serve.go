package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"millrace/engine/node"
	"millrace/state/campaign"
)

// stopMax is how long a graceful stop may take before it is an error.
const stopMax = 30 * time.Second

func serveCommand() *cobra.Command {
	var f configFlags
	c := &cobra.Command{
		Use:   "serve",
		Short: "Answer ad requests",
		Long: `Serves POST /openrtb2/auction and the tracking URLs on --listen, and metrics,
campaigns and profiles on --admin, until SIGTERM or Ctrl-C: then it stops
accepting, answers what is in flight, returns what its budgets still hold, and
exits with 0.

SIGHUP reads the catalog again (POST /reload on the admin server does the same);
a catalog with faults is refused and the old one goes on.

Without a catalog it serves the bundled demo catalog, which bids on a plain
300x250 request from any country. Without --data the journal is kept in a
temporary folder that is removed on exit: budgets then start anew.`,
		Example: `  millrace serve
  millrace serve --listen 127.0.0.1:8080 --admin 127.0.0.1:8081 --catalog campaigns.yaml --data /var/lib/millrace
  millrace serve --shards 2 --cpus 0,1 --config millrace.yaml --set limits.in_flight=8192`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, _, err := f.load(c)
			if err != nil {
				return err
			}
			return serve(c, cfg)
		},
	}
	f.register(c.Flags())
	return c
}

func serve(c *cobra.Command, cfg node.Config) error {
	level := &slog.LevelVar{}
	log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
	// A reload that arrives while starting must not kill the process.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)

	n, stop, err := startNode(c.Context(), cfg, log, level)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "millrace: serving ads on http://%s, admin on http://%s\n", n.Addr(), n.AdminAddr())
	for {
		select {
		case <-hup:
			err := n.Reload()
			if errors.Is(err, campaign.ErrNoFile) {
				log.Info("nothing to reload", "reason", err)
				continue
			}
			if err != nil {
				log.Error("the new catalog was refused, the old one goes on", "faults", err)
				continue
			}
			log.Info("the catalog was reloaded")
		case <-c.Context().Done():
			log.Info("stopping")
			return stop()
		}
	}
}

// startNode starts a node in this process and returns how to stop it.
func startNode(ctx context.Context, cfg node.Config, log *slog.Logger, level *slog.LevelVar) (*node.Node, func() error, error) {
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		return nil, nil, fmt.Errorf("log_level: %w", err)
	}
	if limit := containerMemory(); cfg.Memory.Limit == 0 && limit > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit / 10 * 9)
	}
	n, err := node.Start(ctx, cfg, node.Options{Logger: log, Level: level, Version: buildVersion().Version})
	if err != nil {
		return nil, nil, fmt.Errorf("cannot start: %w", err)
	}
	return n, func() error {
		// The command's own context is done by now.
		ctx, cancel := context.WithTimeout(context.Background(), stopMax)
		defer cancel()
		if err := n.Stop(ctx); err != nil {
			return fmt.Errorf("the stop was not clean: %w", err)
		}
		return nil
	}, nil
}
