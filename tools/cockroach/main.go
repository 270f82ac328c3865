package main

import (
	"fmt"
	"os"
)

func main() {
	folder := "../../state/store/cockroach"
	if len(os.Args) == 2 {
		folder = os.Args[1]
	}
	list, err := load(os.DirFS(folder))
	if err != nil {
		fmt.Fprintln(os.Stderr, "cockroach:", err)
		os.Exit(2)
	}
	faults := 0
	for _, s := range list {
		for _, fault := range check(s.sql) {
			fmt.Printf("%s: %s\n", s.at, fault)
			faults++
		}
	}
	if faults > 0 {
		fmt.Fprintf(os.Stderr, "cockroach: %d faults\n", faults)
		os.Exit(1)
	}
	fmt.Printf("cockroach: %d statements, no fault\n", len(list))
}
