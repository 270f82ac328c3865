package gzip

import "sync"

// Pool keeps coders for reuse: as many as were ever needed at once, which is
// no more than there are goroutines that use it. The last one in is the first
// out, so that those that a moderate load uses stay in the cache.
type Pool struct {
	level    int
	mu       sync.Mutex
	inflater *Inflater
	deflater *Deflater
}

// NewPool is a pool whose deflaters have the level.
func NewPool(level int) (*Pool, error) {
	d, err := NewDeflater(level)
	if err != nil {
		return nil, err
	}
	return &Pool{level: level, deflater: d}, nil
}

// Inflate appends the decompressed body: see Inflater.Append.
func (p *Pool) Inflate(dst, body []byte, limit int) ([]byte, error) {
	p.mu.Lock()
	z := p.inflater
	if z != nil {
		p.inflater = z.next
	}
	p.mu.Unlock()
	if z == nil {
		z = new(Inflater)
	}
	dst, err := z.Append(dst, body, limit)
	p.mu.Lock()
	z.next, p.inflater = p.inflater, z
	p.mu.Unlock()
	return dst, err
}

// Deflate appends the compressed body: see Deflater.Append.
func (p *Pool) Deflate(dst, body []byte) []byte {
	p.mu.Lock()
	d := p.deflater
	if d != nil {
		p.deflater = d.next
	}
	p.mu.Unlock()
	if d == nil {
		// The level is one that NewPool has made a deflater of.
		d, _ = NewDeflater(p.level)
	}
	dst = d.Append(dst, body)
	p.mu.Lock()
	d.next, p.deflater = p.deflater, d
	p.mu.Unlock()
	return dst
}
