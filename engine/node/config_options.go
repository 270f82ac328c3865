package node

import (
	"log/slog"

	"millrace/state/outbox"
)

// Options is what a process gives its node beside the configuration.
type Options struct {
	// Logger takes the node's lines; nil discards them.
	Logger *slog.Logger
	// Level, when set, is what GET and PUT /log/level show and change; it
	// should be the level of Logger's handler.
	Level *slog.LevelVar
	// Version of the binary, shown on the admin server.
	Version string

	// files are the journal's, for tests that break them; nil is the system's.
	files outbox.FS
}
