package outbox

// FS is what the journal needs of a file system. Tests and the simulator
// replace it to inject faults.
type FS interface {
	MkdirAll(dir string) error
	// List names the files in dir, sorted.
	List(dir string) ([]string, error)
	// Create makes an empty file for reading and writing; it must not exist.
	Create(name string) (File, error)
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	Remove(name string) error
	Rename(from, to string) error
	// SyncDir makes creations, removals and renames in dir durable.
	SyncDir(dir string) error
	// Lock takes dir for this process until the returned function is called.
	Lock(dir string) (unlock func() error, err error)
}

// File is one open file.
type File interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	Size() (int64, error)
	Truncate(size int64) error
	// Preallocate reserves n zero bytes, so that running out of space is seen
	// here and not in the middle of a record.
	Preallocate(n int64) error
	// Sync makes data and size durable (fdatasync).
	Sync() error
	Close() error
}
