//go:build !amd64

package openrtb

// ways are all that an index can be built in here.
func ways(x *index) map[string]func([]byte) (int, bool) {
	return map[string]func([]byte) (int, bool){"plain": x.buildPlain}
}
