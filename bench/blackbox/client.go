package blackbox

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
)

// Client is a well-behaved one: keep-alive connections, redirects not followed.
// Safe for several goroutines.
type Client struct {
	base string
	http *http.Client
}

// NewClient makes a client of the server with its own connections.
func (s *Server) NewClient() *Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &Client{base: s.URL, http: &http.Client{
		Transport: transport,
		// A bound on a hang, not a claim of speed.
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Auction posts a bid request; headers are pairs of name and value on top of
// the JSON content type.
func (c *Client) Auction(body []byte, headers ...string) (Answer, error) {
	req, err := http.NewRequest(http.MethodPost, c.base+"/openrtb2/auction", bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return c.do(req)
}

// Get fetches a path (with query) of the server.
func (c *Client) Get(path string) (Answer, error) {
	req, err := http.NewRequest(http.MethodGet, c.base+path, nil)
	if err != nil {
		return Answer{}, err
	}
	return c.do(req)
}

// Beacon fetches a tracking URL. Its host is what the browser would be told;
// the request goes to the server under test.
func (c *Client) Beacon(tracking string) (Answer, error) {
	u, err := url.Parse(tracking)
	if err != nil {
		return Answer{}, err
	}
	return c.Get(u.RequestURI())
}

func (c *Client) do(req *http.Request) (Answer, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("status %d, then: %w", resp.StatusCode, err)
	}
	return Answer{resp.StatusCode, resp.Header, body}, nil
}

// Acknowledged: the server has taken the event.
func (a Answer) Acknowledged() bool { return a.Status >= 200 && a.Status < 400 }

// Tracking is the tracking URLs of one markup, by kind.
type Tracking struct {
	Impressions, Clicks, Conversions []string
}

var trackingURL = regexp.MustCompile(`https?://[^\s"'<>\\)\]]+?/e/([icv])\?t=[A-Za-z0-9_-]+`)

// TrackingURLs finds the tracking URLs in an adm, whatever it is: HTML and VAST
// escape & as &amp;, native JSON may write / as \/.
func TrackingURLs(adm string) (t Tracking) {
	text := html.UnescapeString(strings.NewReplacer(`\/`, `/`, `\u0026`, `&`).Replace(adm))
	for _, m := range trackingURL.FindAllStringSubmatch(text, -1) {
		switch m[1] {
		case "i":
			t.Impressions = append(t.Impressions, m[0])
		case "c":
			t.Clicks = append(t.Clicks, m[0])
		case "v":
			t.Conversions = append(t.Conversions, m[0])
		}
	}
	return t
}

// SigningKeyID and SigningSecret are the key that Settings gives the server.
const (
	SigningKeyID  = 7
	SigningSecret = "black-box-tests-know-this-secret-0123456789"
)

// NewSigner signs and reads tokens with the servers' own key. For one goroutine.
func NewSigner() *event.Signer {
	ring, err := event.NewKeyring([]event.Key{{ID: SigningKeyID, Secret: []byte(SigningSecret)}}, SigningKeyID)
	if err != nil {
		panic(err) // constants above
	}
	return ring.NewSigner()
}

// ReadToken reads the token of a tracking URL, expired or not.
func ReadToken(s *event.Signer, tracking string, kind event.Kind) (event.Token, error) {
	_, text, found := strings.Cut(tracking, "?t=")
	if !found {
		return event.Token{}, fmt.Errorf("no token in %q", tracking)
	}
	var t event.Token
	_, status := s.Parse([]byte(text), unit.WallTime(time.Now().UnixNano()), kind, &t, nil)
	if status != event.OK && status != event.Expired {
		return event.Token{}, fmt.Errorf("token of %q: %v", tracking, status)
	}
	t.Landing = bytes.Clone(t.Landing)
	return t, nil
}
