package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // campaigns live in time zones; the machine may have no database

	"github.com/spf13/cobra"
)

// Exit statuses.
const (
	exitOK    = 0
	exitFault = 1
	exitUsage = 2
)

func main() {
	// SIGINT and SIGTERM end the command gracefully; a second one ends it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// errReported ends a command with status 1 when it has already said why.
var errReported = errors.New("reported")

// usageError is a call that no run could have served: status 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run is main without the process: tests call it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage usageError
	var input inputError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errReported):
		return exitFault
	case errors.As(err, &usage) || strings.HasPrefix(err.Error(), "unknown command"):
		fmt.Fprintf(stderr, "millrace: %v\n%s\n", err, "millrace --help lists the commands; every command has --help")
		return exitUsage
	}
	fmt.Fprintf(stderr, "millrace: %v\n", err)
	if errors.As(err, &input) {
		return exitUsage
	}
	return exitFault
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "millrace",
		Short: "A real-time ads engine",
		Long: `Millrace answers OpenRTB ad requests with one auction over its own campaigns,
keeps every campaign inside its budget, and counts the impressions, clicks and
conversions that come back.

Exit status: 0 when all went well; 1 when the command failed or found what it
looks for; 2 when it was called wrongly.`,
		Example: `  millrace serve                     # the bundled demo catalog on 127.0.0.1:8080
  millrace demo                      # the same, with load and a live view
  millrace loadgen --rate 5000       # in another terminal`,
		SilenceErrors: true,
		SilenceUsage:  true,
		// A bare "millrace" shows the help; "millrace serv" is an error.
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		serveCommand(), demoCommand(), loadgenCommand(), campaignsCommand(), openrtbCommand(), modelCommand(), configCommand(), doctorCommand(),
		simCommand(), migrateCommand(), dspCommand(), demandCommand(), ledgerCommand(), auditCommand(), reconcileCommand(), versionCommand(),
	)
	for _, c := range root.Commands() {
		strictArgs(c)
	}
	return root
}

// strictArgs makes wrong arguments of every command a usage error.
func strictArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		strictArgs(sub)
	}
}
