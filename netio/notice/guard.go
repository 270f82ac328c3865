package notice

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// errAddress: the URL leads to an address that is not public.
var errAddress = errors.New("not a public address")

// errURL: the URL is none that may be called.
var errURL = errors.New("not an http or https URL with a host and without credentials")

// reserved are networks beside those that netip knows to be special: nothing
// public is there, or something that may lead to a private address.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
}

// public reports whether an address is one that anybody may be called at.
func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// guard looks at the address of a connection that is about to be made: the
// one that a name has resolved to, so that no second look-up can give another.
func guard(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !public(a.Addr()) {
		return fmt.Errorf("%s: %w", address, errAddress)
	}
	return nil
}

// checkURL reports what is wrong with a URL.
func checkURL(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return errURL
	}
	return nil
}

// newClient is the client of all calls.
func newClient(c *Config) *http.Client {
	dialer := &net.Dialer{Timeout: c.Timeout, KeepAlive: 30 * time.Second}
	if !c.Private {
		dialer.Control = guard
	}
	return &http.Client{
		Timeout: c.Timeout,
		Transport: &http.Transport{
			// No proxy: it would make the connections, and the guard sees only ours.
			DialContext: dialer.DialContext, TLSHandshakeTimeout: c.Timeout, ForceAttemptHTTP2: true,
			MaxIdleConns: 4 * c.Workers, MaxIdleConnsPerHost: 8, MaxConnsPerHost: max(c.Workers/4, 1), IdleConnTimeout: 30 * time.Second,
			MaxResponseHeaderBytes: 16 << 10, DisableCompression: true,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > c.RedirectsMax {
				return fmt.Errorf("more than %d redirects", c.RedirectsMax)
			}
			return checkURL(r.URL)
		},
	}
}
