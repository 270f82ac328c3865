package cockroach

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed statements.sql
var statementsFile string

//go:embed migrations/*.sql
var migrationFiles embed.FS

// statements are the package's SQL by name.
var statements = parseStatements(statementsFile)

// parseStatements reads a file of "-- name: x" lines, each before one statement.
func parseStatements(text string) map[string]string {
	named := map[string]string{}
	for _, part := range strings.Split(text, "-- name: ")[1:] {
		name, sql, _ := strings.Cut(part, "\n")
		if strings.HasPrefix(sql, "-- only: ") {
			_, sql, _ = strings.Cut(sql, "\n")
		}
		if end := strings.Index(sql, ";\n"); end >= 0 {
			sql = sql[:end]
		}
		named[name] = strings.TrimSpace(sql)
	}
	return named
}

// statement is the SQL of that name. A name that is not there is a defect of
// this package that every test finds.
func statement(name string) string {
	sql, ok := statements[name]
	if !ok {
		panic(fmt.Sprintf("cockroach: no statement %q in statements.sql", name))
	}
	return sql
}
