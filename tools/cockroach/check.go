package main

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/parser"
	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/sem/tree"
)

// statement is one SQL statement and where it stands.
type statement struct{ at, sql string }

// load reads what CockroachDB would be sent: not what is marked as PostgreSQL's.
// The marks are read here anew, so that a slip in the package's own reading of
// them is seen.
func load(files fs.FS) (list []statement, err error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	names = append(names, "statements.sql")
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		list = append(list, split(name, string(text))...)
	}
	if len(list) < 20 {
		return nil, fmt.Errorf("%d statements in %v: is it the folder of the ledger?", len(list), names)
	}
	return list, nil
}

var (
	postgresLine = regexp.MustCompile(`(?m)^.*\S.*-- only: postgres\s*$`)
	comment      = regexp.MustCompile(`(?m)--.*$`)
)

// split cuts a file at its semicolons. A "-- only: postgres" that stands alone is
// about the statement it precedes, one behind code about its line.
func split(name, text string) (list []statement) {
	line := 1
	for _, part := range strings.SplitAfter(text, ";\n") {
		at := fmt.Sprintf("%s:%d", name, line+len(part)-len(strings.TrimLeft(part, "\n")))
		line += strings.Count(part, "\n")
		alone := false
		for l := range strings.Lines(part) {
			alone = alone || strings.TrimSpace(l) == "-- only: postgres"
		}
		if alone {
			continue
		}
		sql := comment.ReplaceAllString(postgresLine.ReplaceAllString(part, ""), "")
		if sql = strings.Trim(sql, " \n;"); sql != "" {
			list = append(list, statement{at, sql})
		}
	}
	return list
}

// parse is the parser, whose panics are faults of what it was given.
func parse(sql string) (one tree.Statement, text string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the parser panicked: %v", p)
		}
	}()
	parsed, err := parser.ParseOne(sql)
	if err != nil {
		return nil, "", err
	}
	return parsed.AST, tree.AsStringWithFlags(parsed.AST, tree.FmtParsable), nil
}

// check lists what is wrong with a statement.
func check(sql string) (faults []string) {
	one, text, err := parse(sql)
	if err != nil {
		return []string{"CockroachDB does not parse it: " + err.Error()}
	}
	for _, d := range denied {
		// Both as it was written and as the parser understood it.
		if d.pattern.MatchString(sql) || d.pattern.MatchString(text) {
			faults = append(faults, d.why)
		}
	}
	return append(faults, checkTree(one)...)
}

// deny is something that parses and must not be used.
type deny struct {
	pattern *regexp.Regexp
	why     string
}

func word(pattern, why string) deny {
	return deny{regexp.MustCompile(`(?is)\b(?:` + pattern + `)\b`), why}
}

var denied = []deny{
	word(`(small|big)?serial[248]?|identity|nextval|currval|setval|create\s+sequence`, "sequences: keys that rise everywhere are one hot range in CockroachDB, and gaps differ; use identities of the journal"),
	word(`pg_(try_)?advisory\w*`, "advisory locks: CockroachDB accepts them and does nothing; use a row"),
	word(`xmin|xmax|ctid|tableoid|pg_stat_\w+|pg_locks|pg_catalog\.\w+|pg_inherits|to_regclass`, "system columns and catalogs of PostgreSQL"),
	word(`listen|notify|unlisten|pg_notify`, "LISTEN and NOTIFY: CockroachDB has none"),
	word(`create\s+(or\s+replace\s+)?(trigger|rule|function|procedure)|do\s+\$\$`, "code in the database: logic is in Go, where it is tested on both"),
	word(`temp|temporary|unlogged`, "temporary and unlogged tables"),
	word(`merge\s+into`, "MERGE"),
	word(`lock\s+table`, "LOCK TABLE"),
	word(`exclude\s+using`, "EXCLUDE constraints"),
	word(`deferrable|initially\s+deferred|references|foreign\s+key`, "foreign keys: each posting would read another table, and deferrable ones are missing"),
	word(`savepoint|release\s+savepoint`, "savepoints: a serializable transaction is repeated whole"),
	word(`as\s+of\s+system\s+time|upsert|using\s+hash|interleave|family|on\s+update`, "CockroachDB's alone: PostgreSQL does not parse it"),
	word(`skip\s+locked|for\s+(key\s+)?share|for\s+no\s+key\s+update`, "lock modes that the two understand differently"),
	word(`partition\s+(by|of)|attach\s+partition`, "partitions are PostgreSQL's here; mark the line"),
	word(`copy`, "COPY has no ON CONFLICT"),
	word(`truncate`, "nothing is ever removed in bulk"),
	word(`float4?|float8|double\s+precision|real`, "money is whole numbers"),
	word(`drop\s+(table|column|index|view|constraint|schema|database)|rename\s+(to|column)|alter\s+column\s+\w+\s+(set\s+data\s+)?type`, "not online-safe: a running node of the version before still uses it"),
}

// checkTree looks at what words can't tell.
func checkTree(one tree.Statement) (faults []string) {
	switch s := one.(type) {
	case *tree.CreateTable:
		if !s.IfNotExists {
			faults = append(faults, "CREATE TABLE without IF NOT EXISTS can't run again")
		}
		faults = append(faults, checkColumns(s)...)
	case *tree.CreateIndex:
		if !s.IfNotExists {
			faults = append(faults, "CREATE INDEX without IF NOT EXISTS can't run again")
		}
	case *tree.CreateView:
		if !s.Replace {
			faults = append(faults, "CREATE VIEW without OR REPLACE can't run again")
		}
	case *tree.AlterTable:
		for _, cmd := range s.Cmds {
			add, is := cmd.(*tree.AlterTableAddColumn)
			if !is {
				faults = append(faults, fmt.Sprintf("ALTER TABLE %T: only columns are added", cmd))
				continue
			}
			if !add.IfNotExists {
				faults = append(faults, "ADD COLUMN without IF NOT EXISTS can't run again")
			}
			if add.ColumnDef.Nullable.Nullability == tree.NotNull && !add.ColumnDef.HasDefaultExpr() {
				faults = append(faults, "ADD COLUMN … NOT NULL without DEFAULT breaks running nodes")
			}
		}
	case *tree.Update:
		if s.Where == nil {
			faults = append(faults, "UPDATE without WHERE")
		}
	case *tree.Delete:
		if s.Where == nil {
			faults = append(faults, "DELETE without WHERE")
		}
	}
	return faults
}

// checkColumns: without a primary key of ours CockroachDB adds one from a
// sequence of its own.
func checkColumns(s *tree.CreateTable) (faults []string) {
	keyed := false
	for _, d := range s.Defs {
		switch d := d.(type) {
		case *tree.ColumnTableDef:
			keyed = keyed || d.PrimaryKey.IsPrimaryKey
		case *tree.UniqueConstraintTableDef:
			keyed = keyed || d.PrimaryKey
		}
	}
	if !keyed {
		faults = append(faults, "CREATE TABLE without a primary key")
	}
	return faults
}
