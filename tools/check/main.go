package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listRules := flags.Bool("rules", false, "list the rules and exit")
	root := flags.String("root", "", "repository root (default: the nearest parent folder with a go.mod)")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *listRules {
		for _, r := range rules {
			fmt.Fprintf(stdout, "%-12s %s\n", r.name, r.says)
		}
		return 0
	}
	if *root == "" {
		found, err := findRoot(".")
		if err != nil {
			fmt.Fprintln(stderr, "check:", err)
			return 2
		}
		*root = found
	}
	t, err := load(os.DirFS(*root))
	if err != nil {
		fmt.Fprintln(stderr, "check:", err)
		return 2
	}
	faults := t.check()
	for _, f := range faults {
		fmt.Fprintln(stdout, f)
	}
	if len(faults) > 0 {
		fmt.Fprintf(stderr, "check: %d breaches\n", len(faults))
		return 1
	}
	fmt.Fprintf(stdout, "check: %d packages, %d rules, no breach\n", len(t.packages), len(rules))
	return 0
}

// findRoot is the nearest folder at or above dir that has a go.mod.
func findRoot(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod here or above: run it inside the repository, or pass -root")
		}
		dir = parent
	}
}
