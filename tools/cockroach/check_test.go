package main

import (
	"os"
	"strings"
	"testing"
)

// TestLedger holds every statement of the ledger to the rules.
func TestLedger(t *testing.T) {
	list, err := load(os.DirFS("../../state/store/cockroach"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		for _, fault := range check(s.sql) {
			t.Errorf("%s: %s\n%s", s.at, fault, s.sql)
		}
	}
	t.Logf("%d statements", len(list))
}

// TestRules: each rule can fail, and says what it is about.
func TestRules(t *testing.T) {
	for sql, want := range map[string]string{
		"SELEC 1":                                                "does not parse",
		"SELECT 1; SELECT 2":                                     "does not parse",
		"CREATE TABLE a (i INT8 PRIMARY KEY)":                    "IF NOT EXISTS",
		"CREATE TABLE IF NOT EXISTS a (i INT8)":                  "primary key",
		"CREATE INDEX i ON a (b)":                                "IF NOT EXISTS",
		"CREATE VIEW v AS SELECT 1":                              "OR REPLACE",
		"ALTER TABLE a ADD COLUMN IF NOT EXISTS b INT8 NOT NULL": "NOT NULL without DEFAULT",
		"ALTER TABLE a ADD COLUMN b INT8":                        "IF NOT EXISTS",
		"ALTER TABLE a DROP COLUMN b":                            "only columns are added",
		"ALTER TABLE a ALTER COLUMN b TYPE INT4":                 "online-safe",
		"DROP TABLE a":                                           "online-safe",
		"UPDATE a SET b = 1":                                     "UPDATE without WHERE",
		"DELETE FROM a":                                          "DELETE without WHERE",
		"CREATE TABLE IF NOT EXISTS a (i SERIAL PRIMARY KEY)":    "sequences",
		"CREATE TABLE IF NOT EXISTS a (i INT8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY)": "sequences",
		"SELECT pg_advisory_lock(1)":                                     "advisory",
		"SELECT xmin FROM a":                                             "system columns",
		"SELECT 1 FROM a AS OF SYSTEM TIME '-1s'":                        "PostgreSQL does not parse",
		"UPSERT INTO a VALUES (1)":                                       "PostgreSQL does not parse",
		"SELECT 1 FROM a FOR UPDATE SKIP LOCKED":                         "lock modes",
		"CREATE TABLE IF NOT EXISTS a (i INT8 PRIMARY KEY REFERENCES b)": "foreign keys",
		"CREATE TEMP TABLE IF NOT EXISTS a (i INT8 PRIMARY KEY)":         "temporary",
		"SAVEPOINT s":       "savepoints",
		"TRUNCATE a":        "bulk",
		"SELECT 1.5::FLOAT": "whole numbers",
		"CREATE TABLE IF NOT EXISTS a (i INT8 PRIMARY KEY) PARTITION BY LIST (i) (PARTITION p VALUES IN (1))": "partitions",
	} {
		if faults := strings.Join(check(sql), "; "); !strings.Contains(faults, want) {
			t.Errorf("%s: %q, want %q", sql, faults, want)
		}
	}
	if faults := check("SELECT a, sum(b)::INT8 FROM c WHERE d = $1::INT8 GROUP BY a ORDER BY a FOR UPDATE"); len(faults) > 0 {
		t.Errorf("a good one: %q", faults)
	}
}

func TestSplit(t *testing.T) {
	list := split("f", "-- a comment; with a semicolon\nSELECT 1;\n\n-- name: x\n-- only: postgres\nSELECT 2;\n\nSELECT 3\nPARTITION BY RANGE (a) -- only: postgres\n;\n-- the end\n")
	if len(list) != 2 || list[0].sql != "SELECT 1" || list[1].sql != "SELECT 3" {
		t.Fatalf("%q", list)
	}
}
