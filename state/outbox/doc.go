// Package outbox is the node's durable journal: a segmented append-only file
// with group commit, and the Book that follows from it.
package outbox
