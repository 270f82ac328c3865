package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/bytedance/sonic"
	"github.com/spf13/cobra"

	"millrace/engine/node"
)

func demandStatusCommand() *cobra.Command {
	var admin string
	var watching, asJSON bool
	var every time.Duration
	c := &cobra.Command{
		Use:   "status",
		Short: "Show how the bidders do",
		Long: `Asks a server's admin port how its bidders do: tier, circuit, health, latencies,
how long they are given, how often they bid and win, what they brought.

Latencies and rates are of late and decay; counts are since the start, or, with
--watch, a second. A latency of "never" says that so many calls are not
answered at all.

Exit status: 1 when the server does not answer or has no demand file.`,
		Example: `  millrace demand status
  millrace demand status --watch --every 2s
  millrace demand status --json | jq '.partners[] | select(.circuit != "closed")'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if every <= 0 {
				return usageError{fmt.Errorf("--every %v must be above 0", every)}
			}
			v := demandView{admin: admin, client: &http.Client{Timeout: 3 * time.Second}}
			defer v.client.CloseIdleConnections()
			if !watching {
				if err := v.look(c.Context()); err != nil {
					return err
				}
				if asJSON {
					return writeJSON(c, v.now)
				}
				return v.writeText(c.OutOrStdout(), 1000)
			}
			return v.watch(c, every, asJSON)
		},
	}
	c.Flags().StringVar(&admin, "admin", "127.0.0.1:8081", "host:port of the server's admin port")
	c.Flags().BoolVar(&watching, "watch", false, "again and again, until Ctrl-C")
	c.Flags().DurationVar(&every, "every", time.Second, "how often, with --watch")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON; with --watch an object a line")
	return c
}

// demandView is what was last seen of a server's demand side.
type demandView struct {
	admin  string
	client *http.Client
	now    node.DemandStatus
	at     time.Time
	before node.DemandStatus // one look ago
	length time.Duration     // between the two; 0: there was none
}

// look asks the server.
func (v *demandView) look(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+v.admin+"/demand", nil)
	if err != nil {
		return usageError{fmt.Errorf("--admin: %w", err)}
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return fmt.Errorf("the admin port does not answer: %w; --admin names it", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, answerMax))
	if err != nil {
		return err
	}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotImplemented:
		return errors.New("this server has no demand file; serve --demand FILE names one")
	default:
		return fmt.Errorf("GET /demand: status %d: %.200s", resp.StatusCode, b)
	}
	var s node.DemandStatus
	if err := sonic.ConfigStd.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("GET /demand: %w; is this the server's own millrace?", err)
	}
	now := time.Now()
	v.before, v.length = v.now, 0
	if !v.at.IsZero() && s.Version == v.now.Version && len(s.Partners) == len(v.now.Partners) {
		v.length = now.Sub(v.at)
	}
	v.now, v.at = s, now
	return nil
}

// watch shows the server's demand side until the context ends.
func (v *demandView) watch(c *cobra.Command, every time.Duration, asJSON bool) error {
	out := c.OutOrStdout()
	screen := terminalOf(out)
	if asJSON {
		screen = nil
	}
	if screen != nil {
		fmt.Fprint(out, screenOn)
		defer fmt.Fprint(out, screenOff)
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		if err := v.look(c.Context()); err != nil {
			if c.Context().Err() != nil {
				return nil
			}
			return err
		}
		if err := v.show(out, screen, asJSON); err != nil {
			return err
		}
		select {
		case <-c.Context().Done():
			return nil
		case <-t.C:
		}
	}
}

func (v *demandView) show(out io.Writer, screen *terminal, asJSON bool) error {
	switch {
	case asJSON:
		b, err := sonic.ConfigStd.Marshal(v.now)
		if err == nil {
			_, err = fmt.Fprintf(out, "%s\n", b)
		}
		return err
	case screen != nil:
		return v.writeScreen(out, screen)
	}
	if err := v.writeText(out, 1000); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out)
	return err
}
