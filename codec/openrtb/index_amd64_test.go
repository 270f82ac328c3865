package openrtb

// ways are all that this processor can build an index in.
func ways(x *index) map[string]func([]byte) (int, bool) {
	all := map[string]func([]byte) (int, bool){"plain": x.buildPlain}
	if hasAVX2 {
		all["AVX2"] = func(b []byte) (int, bool) {
			defer func(was bool) { hasAVX512 = was }(hasAVX512)
			hasAVX512 = false
			return x.build(b)
		}
	}
	if hasAVX512 {
		all["AVX-512"] = x.build
	}
	return all
}
