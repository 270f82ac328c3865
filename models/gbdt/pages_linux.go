package gbdt

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const hugePage = 2 << 20

// adviseHuge asks for huge pages under w, which nothing has touched yet: rows of
// 100,000 ads lie on 20,000 small pages, more than a processor remembers. Advice
// that is not taken changes nothing but the time.
func adviseHuge(w []uint64) {
	if len(w)*8 < 2*hugePage {
		return
	}
	at := uintptr(unsafe.Pointer(&w[0]))
	skip := (hugePage - at%hugePage) % hugePage / 8
	n := (uintptr(len(w)) - skip) * 8 &^ (hugePage - 1)
	_ = unix.Madvise(unsafe.Slice((*byte)(unsafe.Pointer(&w[skip])), n), unix.MADV_HUGEPAGE)
}
