package audit

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox/faultfs"
)

var column = regexp.MustCompile(`(?m)^    ([a-z_]+) +([A-Z][A-Za-z0-9]*(?:\([^()]*(?:\([^()]*\))?[^()]*\))?)(?: CODEC\(.*\))?,?$`)

// columnTypes are the DDL's columns and their types.
func columnTypes(t *testing.T) (names, types []string) {
	t.Helper()
	_, table, ok := strings.Cut(DDL, "CREATE TABLE IF NOT EXISTS millrace.audit\n(\n")
	table, _, closed := strings.Cut(table, "\n)\nENGINE")
	if !ok || !closed {
		t.Fatal("the DDL has no table millrace.audit")
	}
	for _, m := range column.FindAllStringSubmatch(table, -1) {
		names, types = append(names, m[1]), append(types, m[2])
	}
	if len(names) != strings.Count(table, "\n")+1 {
		t.Fatalf("%d columns were understood:\n%s", len(names), table)
	}
	return names, types
}

// variety is a chain with every kind of record in it.
func variety(t *testing.T) (s still, dir string) {
	t.Helper()
	w := &world{disk: faultfs.New(0, nil), files: 1 << 20}
	if err := errors.Join(w.open(), w.write(3)); err != nil {
		t.Fatal(err)
	}
	from := [2]ledger.Part{{Account: 9, Day: 20_000, Epoch: w.journal.Epoch()}, {Account: 10, Day: 20_001, Epoch: 3}}
	win := event.WinID{Node: testNode, Epoch: w.journal.Epoch(), Seq: 2}
	for i, r := range []ledger.Record{
		{Kind: ledger.AccountOpened, Account: 9, Campaign: 5, Currency: unit.USD, Daily: 100, Total: 200, Name: []byte("campaign/\"quoted\", comma\nline")},
		{Kind: ledger.Granted, Account: 9, Campaign: 5, Day: 20_000, Amount: 1000, Seq: 1},
		{Kind: ledger.Returned, Account: 9, Campaign: 5, Day: 20_000, Amount: 50, LeaseEpoch: w.journal.Epoch(), Seq: 2},
		{Kind: ledger.Posted, Event: event.Click, Campaign: 5, Amount: 30, Parts: 2, From: from, Win: win, Policy: event.Policy{Model: 1 << 63, Propensity: 3}},
		{Kind: ledger.Refunded, Reason: ledger.Fraud, Event: event.Click, Campaign: 5, Amount: 30, Parts: 2, From: from, Win: win, Name: []byte("\xff bad utf-8")},
		{Kind: ledger.Recorded, Reason: ledger.Resold, Event: event.Conversion, Campaign: 5, Win: win, Sale: ledger.Sale{Bid: 3, Reported: 2, Currency: unit.USD, Told: true}},
	} {
		r.Node, r.Epoch, r.Wall, r.Stamp, r.Issued = testNode, w.journal.Epoch(), 1_800_000_000_123_456_789, ledger.Stamp(1000+i), 1_800_000_000_000_000_000
		if _, err := w.records.Append(&r); err != nil {
			t.Fatal(err)
		}
	}
	w.records.Commit()
	w.journal.Step()
	if err := errors.Join(w.drain.Step(), w.stop()); err != nil {
		t.Fatal(err)
	}
	return picture(t, w.disk), chainDir
}

// TestRowsFitTheTable: names, order and types of an export are the DDL's.
func TestRowsFitTheTable(t *testing.T) {
	names, types := columnTypes(t)
	if !slices.Equal(names, Columns) {
		t.Fatalf("the DDL has %v\nan export %v", names, Columns)
	}
	s, dir := variety(t)
	rows := 0
	if _, err := Read(dir, Options{FS: s}, func(e *Entry) error {
		rows++
		for i, cell := range e.Cells(nil) {
			if err := fits(cell, types[i]); err != nil {
				t.Errorf("%s of a %s, %q, is no %s: %v", names[i], e.Record.Kind, cell, types[i], err)
			}
		}
		return nil
	}); err != nil || rows != 10 {
		t.Fatalf("%d rows, %v", rows, err)
	}
}

// fits reports whether ClickHouse would read the text as that type.
func fits(cell, kind string) error {
	var err error
	switch {
	case strings.HasPrefix(kind, "LowCardinality(String"), kind == "String":
		if !strings.Contains(strings.ToValidUTF8(cell, ""), cell) {
			err = errors.New("it is no UTF-8")
		}
	case strings.HasPrefix(kind, "UInt"):
		bits, _ := strconv.Atoi(kind[4:])
		_, err = strconv.ParseUint(cell, 10, bits)
	case kind == "Int64":
		_, err = strconv.ParseInt(cell, 10, 64)
	case kind == "FixedString(64)":
		if len(cell) != 64 {
			err = fmt.Errorf("%d bytes", len(cell))
		}
	case kind == "Date32":
		_, err = time.Parse(time.DateOnly, cell)
	case kind == "DateTime('UTC')":
		_, err = time.Parse(time.DateTime, cell)
	case kind == "DateTime64(9, 'UTC')":
		_, err = time.Parse("2006-01-02 15:04:05.000000000", cell)
	case strings.HasPrefix(kind, "Array("):
		if inner := strings.Trim(cell, "[]"); inner != "" {
			for _, x := range strings.Split(inner, ",") {
				err = errors.Join(err, fits(strings.Trim(x, "'"), kind[6:len(kind)-1]))
			}
		}
	default:
		err = errors.New("this test does not know the type")
	}
	return err
}

// TestClickHouse runs the DDL, an import and the views in ClickHouse itself, where
// a Python with chdb is: the engine as a module.
func TestClickHouse(t *testing.T) {
	python := ""
	for _, name := range []string{"../../.venv/bin/python", "python3"} {
		if exec.Command(name, "-c", "import chdb").Run() == nil {
			python = name
			break
		}
	}
	if python == "" {
		t.Skip("no Python with chdb (pip install chdb): the DDL was not run in ClickHouse")
	}
	s, dir := variety(t)
	folder := t.TempDir()
	var text, lines strings.Builder
	w := csv.NewWriter(&text)
	if err := w.Write(Columns); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir, Options{FS: s}, func(e *Entry) error {
		b, err := json.Marshal(e.Object())
		lines.Write(append(b, '\n'))
		return errors.Join(err, w.Write(e.Cells(nil)))
	}); err != nil {
		t.Fatal(err)
	}
	w.Flush()
	files := []string{filepath.Join(folder, "ddl.sql"), filepath.Join(folder, "rows.csv"), filepath.Join(folder, "rows.jsonl")}
	for i, content := range []string{DDL, text.String(), lines.String()} {
		if err := os.WriteFile(files[i], []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(python, append(append([]string{"testdata/clickhouse.py"}, files...), filepath.Join(folder, "db"))...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := "10\n0\n0\n0\n" + // rows; differing between CSV and JSON; doubled; out of order
		"9,20000,1000,50,30,21,899\n" + // three impressions of 7
		"10,20001,0,0,30,0,-30\n"
	if string(out) != want {
		t.Fatalf("ClickHouse says\n%s\nwant\n%s", out, want)
	}
}
