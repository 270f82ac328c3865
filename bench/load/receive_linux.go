package load

import (
	"time"

	"golang.org/x/sys/unix"

	"millrace/bench/epoll"
)

// event takes what epoll says about connection i.
func (w *worker) event(i int, ev uint32) {
	c := &w.conns[i]
	if c.fd < 0 {
		return
	}
	if c.connecting {
		if ev&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) == 0 {
			return
		}
		if code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
			w.drop(i, failConnect)
			return
		}
		c.connecting, w.everUp = false, true
		w.release(i)
		return
	}
	if ev&unix.EPOLLOUT != 0 && len(c.out) > 0 {
		w.flush(i)
	}
	if c.fd >= 0 && ev&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		w.receive(i)
	}
	w.release(i)
}

// receive reads until the socket is empty and takes every whole answer.
func (w *worker) receive(i int) {
	c := &w.conns[i]
	for c.fd >= 0 {
		n, e := epoll.Read(c.fd, w.buf)
		switch {
		case e == unix.EAGAIN:
			return
		case e == unix.EINTR:
			continue
		case e != 0 || n == 0:
			w.drop(i, failReset)
			return
		}
		data := w.buf[:n]
		if len(c.in) > 0 {
			c.in = append(c.in, data...)
			data = c.in
		}
		rest, ok := w.answers(i, data)
		if !ok {
			return
		}
		if len(rest) == 0 {
			c.in = c.in[:0]
		} else {
			c.in = append(c.in[:0], rest...) // rest may be the tail of c.in itself
		}
		if n < len(w.buf) {
			return // a short read emptied the socket
		}
	}
}

// answers takes the whole answers in data and returns the rest; false when the
// connection was given up.
func (w *worker) answers(i int, data []byte) ([]byte, bool) {
	c := &w.conns[i]
	var a answer
	for len(data) > 0 {
		n, result := parseAnswer(data, &a)
		if result == parsePartial {
			return data, true
		}
		if result == parseBroken || c.size == 0 {
			w.drop(i, failProtocol)
			return nil, false
		}
		data = data[n:]
		if a.status < 200 {
			continue // an interim answer
		}
		r := c.pop()
		w.waiting--
		w.took(r, &a, n)
		if a.close {
			c.closing = true
			w.drop(i, failReset)
			return nil, false
		}
	}
	return data, true
}

// took records an answer and plans the beacons that follow from it.
func (w *worker) took(r request, a *answer, size int) {
	if r.kind == kindBid && a.status == 200 {
		if bids := countBids(a.body); bids > 0 {
			if r.measured {
				w.live.bids += int64(bids)
				w.live.answers++
			}
			w.planImpressions(a.body)
		}
	}
	if r.kind == kindClick && a.status == 302 && w.cfg.Conversions > 0 && w.rng.Float64() < w.cfg.Conversions {
		w.path = appendConversion(w.path[:0], a.location)
		if len(w.path) > 0 {
			w.plan1(kindConversion, w.path, 1)
		}
	}
	if !r.measured {
		return
	}
	t := &w.live.kinds[r.kind]
	t.bytesIn += int64(size)
	t.status[min(a.status, len(t.status)-1)]++
	if r.kind == kindBid {
		record(w.live.latency, w.now-r.intended)
		if w.cfg.Answered != nil {
			at := func(t int64) time.Time { return w.plan.begin.Add(time.Duration(t)) }
			w.cfg.Answered(Answered{ID: r.id, Due: at(r.intended), Sent: at(r.sent), Done: at(w.now), Status: a.status, Bids: countBids(a.body)})
		}
	} else {
		record(w.live.beacons, w.now-r.intended)
	}
}

// planImpressions rolls, for each won impression, whether it is shown and
// clicked. The k-th impression URL goes with the k-th click URL.
func (w *worker) planImpressions(body []byte) {
	if w.cfg.Impressions == 0 {
		return
	}
	shown, clicked := &w.found[0], &w.found[1]
	shown.find(body, markImpression)
	clicked.find(body, markClick)
	for k := range shown.n {
		if w.rng.Float64() >= w.cfg.Impressions {
			continue
		}
		w.plan1(kindImpression, shown.path[k], 1)
		if k < clicked.n && w.rng.Float64() < w.cfg.Clicks {
			w.plan1(kindClick, clicked.path[k], 2)
		}
	}
}

func (w *worker) plan1(k kind, path []byte, delays int64) {
	if w.stopped || !w.beacons[k].push(w.now+delays*int64(w.cfg.BeaconDelay), k, path) {
		w.live.dropped++
	}
}
