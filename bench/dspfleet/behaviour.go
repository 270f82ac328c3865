package dspfleet

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"millrace/codec/strict"
	"millrace/codec/unit"
)

// Behaviour is how a bidder bids and misbehaves, immutable once it is in force.
type Behaviour struct {
	Latency Distribution // between a request's last byte and its answer's first
	Bids    float64      // share of impressions it bids on
	Price   Distribution // per thousand, in Currency
	// Currency of all its prices.
	Currency unit.Currency
	Seat     string        // empty: the bidder's name
	Domain   string        // of the advertiser; empty: NAME.example
	Sizes    []Size        // banners it has; none: whatever is asked for
	Deals    float64       // share of bids on impressions with deals that name the first of them
	Notices  bool          // bids carry nurl, burl and lurl
	Gzip     bool          // answers are compressed for clients that take it
	Faults   []Fault       // at most one befalls a request
	Retry    int           // seconds in Retry-After of rate_limit
	Drip     time.Duration // between two bytes of drip
	Down     bool          // nothing listens, no connection stands
}

// Size of a banner.
type Size struct{ W, H int32 }

// Fault is a kind of misbehaviour and the share of requests it befalls.
type Fault struct {
	Kind  FaultKind
	Share float64
}

// FaultKind is a way of misbehaving.
type FaultKind uint8

// Faults. Those from WrongID on answer 200 and lie.
const (
	NoFault       FaultKind = iota
	Hang                    // the request is read and never answered
	ServerError             // 500
	RateLimit               // 429 with Retry-After
	HTML                    // 200 and a page for humans
	Malformed               // a bid response, cut
	Empty                   // 200 and no body
	Oversized               // a bid response of 5 MB
	SlowDrip                // the answer a byte at a time
	Reset                   // the connection is reset
	ResetStream             // HTTP/2: the stream is; HTTP/1.1: the connection
	GoAway                  // answered, and the connection is to be left
	Close                   // the connection is closed without an answer
	WrongID                 // the answer is for another request
	WrongImp                // bids are on an impression that nobody offered
	WrongCurrency           // bids are in a currency that nobody takes
	BelowFloor              // bids are at half of the floor, or at nothing

	faultKinds
)

// OversizedBytes is the length of an oversized answer.
const OversizedBytes = 5 << 20

var faultNames = [faultKinds]string{"ok", "hang", "error", "rate_limit", "html", "malformed", "empty", "oversized", "drip", "reset",
	"reset_stream", "goaway", "close", "wrong_id", "wrong_imp", "wrong_currency", "below_floor"}

// String is the fault's name in behaviours and counters.
func (k FaultKind) String() string { return faultNames[k] }

// FaultNames are all of them.
func FaultNames() []string { return slices.Clone(faultNames[1:]) }

// DefaultBehaviour is a bidder that does its work: 20 ms, every second
// impression, about 2.5 USD.
func DefaultBehaviour() Behaviour {
	latency, _ := ParseLatency("lognormal:20ms,0.4")
	price, _ := ParsePrice("lognormal:2.5,0.4")
	return Behaviour{Latency: latency, Bids: 0.5, Price: price, Currency: unit.USD, Notices: true, Retry: 1, Drip: 20 * time.Millisecond}
}

// setting reads and shows one key of a behaviour.
type setting struct {
	key, help string
	set       func(*Behaviour, string) error
	get       func(*Behaviour) string
}

func share(at func(*Behaviour) *float64) (func(*Behaviour, string) error, func(*Behaviour) string) {
	return func(b *Behaviour, s string) error {
			v, err := parseShare(s)
			*at(b) = v
			return err
		}, func(b *Behaviour) string {
			return strconv.FormatFloat(*at(b), 'g', -1, 64)
		}
}

func parseShare(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= 0 && v <= 1) {
		return 0, fmt.Errorf("%q is no share; write a number from 0 to 1", s)
	}
	return v, nil
}

func yes(at func(*Behaviour) *bool) (func(*Behaviour, string) error, func(*Behaviour) string) {
	return func(b *Behaviour, s string) error {
			v, err := strconv.ParseBool(s)
			if err != nil {
				return fmt.Errorf("%q is neither true nor false", s)
			}
			*at(b) = v
			return nil
		}, func(b *Behaviour) string {
			return strconv.FormatBool(*at(b))
		}
}

// word is a text that goes into JSON and URLs as it is.
func word(at func(*Behaviour) *string) (func(*Behaviour, string) error, func(*Behaviour) string) {
	return func(b *Behaviour, s string) error {
		if strings.ContainsFunc(s, func(r rune) bool {
			return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		}) || len(s) > 100 {
			return fmt.Errorf("%q: want letters, digits, dots, dashes", s)
		}
		*at(b) = s
		return nil
	}, func(b *Behaviour) string { return *at(b) }
}

// settings in the order they are shown.
var settings = func() []setting {
	bidsSet, bidsGet := share(func(b *Behaviour) *float64 { return &b.Bids })
	dealSet, dealGet := share(func(b *Behaviour) *float64 { return &b.Deals })
	noteSet, noteGet := yes(func(b *Behaviour) *bool { return &b.Notices })
	gzipSet, gzipGet := yes(func(b *Behaviour) *bool { return &b.Gzip })
	downSet, downGet := yes(func(b *Behaviour) *bool { return &b.Down })
	seatSet, seatGet := word(func(b *Behaviour) *string { return &b.Seat })
	nameSet, nameGet := word(func(b *Behaviour) *string { return &b.Domain })
	return []setting{
		{"latency", "time to answer: 5ms, uniform:A,B, lognormal:MEDIAN,SIGMA, bimodal:A,B,SHARE, file:NAME", func(b *Behaviour, s string) (err error) {
			b.Latency, err = ParseLatency(s)
			return err
		}, func(b *Behaviour) string { return b.Latency.String() }},
		{"bids", "share of impressions bid on", bidsSet, bidsGet},
		{"price", "CPM of the bids, the same forms as latency", func(b *Behaviour, s string) (err error) {
			b.Price, err = ParsePrice(s)
			return err
		}, func(b *Behaviour) string { return b.Price.String() }},
		{"cur", "currency of the bids", func(b *Behaviour, s string) error {
			c, ok := unit.ParseCurrency(s)
			if !ok {
				return fmt.Errorf("%q is no currency; write e.g. USD", s)
			}
			b.Currency = c
			return nil
		}, func(b *Behaviour) string { return b.Currency.String() }},
		{"seat", "its seat (its name)", seatSet, seatGet},
		{"domain", "the advertiser's domain (NAME.example)", nameSet, nameGet},
		{"sizes", "banner sizes it has: 300x250,728x90; any", setSizes, getSizes},
		{"deals", "share of bids that name the impression's first deal, where it has one", dealSet, dealGet},
		{"notices", "bids carry nurl, burl and lurl", noteSet, noteGet},
		{"gzip", "answers are compressed for clients that take it", gzipSet, gzipGet},
		{"faults", "KIND or KIND:SHARE, with commas; ok for none: " + strings.Join(faultNames[1:], " "), setFaults, getFaults},
		{"retry", "seconds in Retry-After of rate_limit", func(b *Behaviour, s string) (err error) {
			if b.Retry, err = strconv.Atoi(s); err != nil || b.Retry < 0 || b.Retry > 86400 {
				return fmt.Errorf("%q: want 0 to 86400 seconds", s)
			}
			return nil
		}, func(b *Behaviour) string { return strconv.Itoa(b.Retry) }},
		{"drip", "time between two bytes of a dripping answer", func(b *Behaviour, s string) (err error) {
			if b.Drip, err = time.ParseDuration(s); err != nil || b.Drip < 100*time.Microsecond || b.Drip > time.Minute {
				return fmt.Errorf("%q: want 100us to 1m", s)
			}
			return nil
		}, func(b *Behaviour) string { return b.Drip.String() }},
		{"down", "nothing listens", downSet, downGet},
	}
}()

func setSizes(b *Behaviour, s string) error {
	b.Sizes = nil
	if s == "" || s == "any" {
		return nil
	}
	for _, w := range strings.Split(s, ",") {
		width, height, _ := strings.Cut(w, "x")
		x, err1 := strconv.ParseInt(width, 10, 16)
		y, err2 := strconv.ParseInt(height, 10, 16)
		if err1 != nil || err2 != nil || x < 1 || y < 1 {
			return fmt.Errorf("%q is no size; write e.g. 300x250", w)
		}
		b.Sizes = append(b.Sizes, Size{int32(x), int32(y)})
	}
	return nil
}

func getSizes(b *Behaviour) string {
	if len(b.Sizes) == 0 {
		return "any"
	}
	var words []string
	for _, s := range b.Sizes {
		words = append(words, fmt.Sprintf("%dx%d", s.W, s.H))
	}
	return strings.Join(words, ",")
}

func setFaults(b *Behaviour, s string) error {
	b.Faults = nil
	sum := 0.0
	for _, w := range strings.Split(s, ",") {
		name, text, given := strings.Cut(strings.TrimSpace(w), ":")
		i := slices.Index(faultNames[:], name)
		if i < 0 {
			return fmt.Errorf("there is no fault %q; %s", name, strict.Remedy(name, faultNames[:]))
		}
		f := Fault{FaultKind(i), 1}
		if given {
			var err error
			if f.Share, err = parseShare(text); err != nil {
				return err
			}
		}
		if f.Kind != NoFault {
			b.Faults = append(b.Faults, f)
			sum += f.Share
		}
	}
	if sum > 1+1e-9 {
		return fmt.Errorf("%q: the shares add up to %g; want 1 at most", s, sum)
	}
	return nil
}

func getFaults(b *Behaviour) string {
	if len(b.Faults) == 0 {
		return faultNames[NoFault]
	}
	var words []string
	for _, f := range b.Faults {
		words = append(words, fmt.Sprintf("%v:%g", f.Kind, f.Share))
	}
	return strings.Join(words, ",")
}

// With is the behaviour changed by settings, key=value. All faults are listed.
func (b Behaviour) With(pairs ...string) (Behaviour, error) {
	var faults []error
	for _, p := range pairs {
		key, value, _ := strings.Cut(p, "=")
		i := slices.IndexFunc(settings, func(s setting) bool { return s.key == key })
		if i < 0 {
			var keys []string
			for _, s := range settings {
				keys = append(keys, s.key)
			}
			faults = append(faults, fmt.Errorf("there is no setting %q; %s", key, strict.Remedy(key, keys)))
			continue
		}
		if err := settings[i].set(&b, value); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", key, err))
		}
	}
	return b, errors.Join(faults...)
}

// pairsOf are the settings of a query, in its keys' order.
func pairsOf(q url.Values) (pairs []string) {
	for key, values := range q {
		for _, v := range values {
			pairs = append(pairs, key+"="+v)
		}
	}
	slices.Sort(pairs)
	return pairs
}

// Settings are the keys of a behaviour with what they mean and what they are
// by default, a line each.
func Settings() []string {
	var out []string
	def := DefaultBehaviour()
	for _, s := range settings {
		out = append(out, fmt.Sprintf("%-8s %s (default %s)", s.key, s.help, s.get(&def)))
	}
	return out
}

// Map is the behaviour as its settings.
func (b *Behaviour) Map() map[string]string {
	m := map[string]string{}
	for _, s := range settings {
		m[s.key] = s.get(b)
	}
	return m
}

// fault is what befalls a request.
func (b *Behaviour) fault(d draws) FaultKind {
	if len(b.Faults) == 0 {
		return NoFault
	}
	u := d.at(drawFault)
	for _, f := range b.Faults {
		if u < f.Share {
			return f.Kind
		}
		u -= f.Share
	}
	return NoFault
}
