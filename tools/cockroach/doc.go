// Command cockroach holds the ledger's SQL to what CockroachDB takes, without a
// CockroachDB: every statement of state/store/cockroach, and every migration as it
// would run there, must parse by CockroachDB's own grammar, and use nothing on
// the list of what parses and must not be used.
//
//	statements.sql, migrations/*.sql ─► split ─► parser ─► syntax tree ─► deny list
//
// It is a module of its own: the parser brings some 400 packages, which nothing
// else needs. .ci/run runs its tests where the module can be had.
package main
