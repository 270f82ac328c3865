// Command check holds the repository to its own rules: the ones that no
// compiler and no linter knows.
//
//	go run ./tools/check            # print every breach, exit 1 if there is one
//	go run ./tools/check -rules     # list the rules
//
// The same rules run in the test suite (TestRepository), so `go test ./...`
// fails when one is broken. A rule reads files and parses Go source; it needs
// no build and no network, and each has a fixture in rules_test.go that proves
// it can fail.
//
//	repository ──load──► tree{go files parsed, go.mod, docs} ──each rule──► faults, sorted by file and line
//
// Adding a rule: write a func(*tree) []Fault, add it to the table in rules.go,
// add a fixture that breaks it.
package main
