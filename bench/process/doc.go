// Package process runs the servers that benches compare and drive: each a child
// process on cores of its own, found by the address it prints, with the
// processor time it has used, and stopped by its process id.
package process
