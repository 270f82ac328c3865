package storm

import (
	"millrace/state/outbox"
	"millrace/state/outbox/faultfs"
)

// deafDisk says that it has synced, and has not: the disk of a machine whose
// fsync was switched off.
type deafDisk struct{ outbox.FS }

type deafFile struct{ outbox.File }

func (d deafDisk) Create(name string) (outbox.File, error) {
	f, err := d.FS.Create(name)
	return deafFile{f}, err
}

func (d deafDisk) Open(name string) (outbox.File, error) {
	f, err := d.FS.Open(name)
	return deafFile{f}, err
}

func (deafFile) Sync() error { return nil }

// diskOf is the disk as the node's journal sees it.
func (w *World) diskOf(n *node) outbox.FS {
	if w.cfg.Removed == Fsync {
		return deafDisk{n.disk}
	}
	return n.disk
}

// segmentsOf are the raw bytes of the journal on a disk, oldest first.
func segmentsOf(disk *faultfs.FS) ([][]byte, error) {
	names, err := disk.List("/journal")
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, name := range names {
		if len(name) < 4 || name[len(name)-4:] != ".seg" {
			continue
		}
		b := make([]byte, max(disk.Size("/journal/"+name), 0))
		f, err := disk.Open("/journal/" + name)
		if err != nil {
			return nil, err
		}
		if len(b) > 0 {
			if _, err := f.ReadAt(b, 0); err != nil {
				return nil, err
			}
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}
