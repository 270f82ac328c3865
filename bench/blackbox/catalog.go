package blackbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Line is a line item of a test catalog, in a campaign of its own of the same
// name, with one 300×250 banner.
type Line struct {
	Name    string
	Kind    string // default direct
	Pricing string // default cpm
	Price   string // in whole units, as the catalog writes it
	Total   string // budget of all time; "" with Kind house
	Country string // ISO 3166 alpha-3; "" is any
	// Creative is the crid; default Name + "-banner".
	Creative string
}

// Landing is where a click on the line's banner leads.
func (l Line) Landing() string { return "https://shop.example/" + l.Name + "?from=millrace" }

func (l Line) creative() string {
	if l.Creative != "" {
		return l.Creative
	}
	return l.Name + "-banner"
}

// Catalog is the text of a catalog file with the lines.
func Catalog(lines ...Line) string {
	var b strings.Builder
	b.WriteString("advertisers:\n  - id: shop\n    name: The Shop\n    domain: shop.example\n    campaigns:\n")
	for _, l := range lines {
		l.Kind = or(l.Kind, "direct")
		fmt.Fprintf(&b, "      - id: %s\n        currency: USD\n        time_zone: %s\n", l.Name, noonZone())
		if l.Total != "" {
			fmt.Fprintf(&b, "        budget: {daily: %s, total: %s, pacing: asap}\n", l.Total, l.Total)
		}
		fmt.Fprintf(&b, "        line_items:\n          - id: %s-line\n            kind: %s\n", l.Name, l.Kind)
		if l.Kind != "house" {
			fmt.Fprintf(&b, "            pricing: %s\n            price: %s\n", or(l.Pricing, "cpm"), l.Price)
		}
		if l.Country != "" {
			fmt.Fprintf(&b, "            targeting: {include: {country: [%s]}}\n", l.Country)
		}
		fmt.Fprintf(&b, "            creatives:\n              - id: %s\n                size: 300x250\n                landing: %s\n                image: https://cdn.shop.example/%s.png\n",
			l.creative(), l.Landing(), l.Name)
	}
	return b.String()
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// noonZone is a time zone in which it is about noon: budgets of a day end at
// midnight, and no test should meet it by chance.
func noonZone() string {
	// Etc/GMT-3 is three hours ahead of UTC.
	ahead := 12 - time.Now().UTC().Hour()
	if ahead == 0 {
		return "UTC"
	}
	return fmt.Sprintf("Etc/GMT%+d", -ahead)
}

// WriteFile replaces a file at once, as an editor or a deployment does.
func WriteFile(t testing.TB, path, text string) {
	t.Helper()
	next := path + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

// Settings is the text of a configuration that serves the catalog file and
// signs with the key the tests know; more lines of YAML may follow.
func Settings(catalogFile string, more ...string) string {
	return fmt.Sprintf("catalog: %s\ntokens:\n  active: %d\n  keys:\n    - {id: %d, secret: %s}\n%s\n",
		catalogFile, SigningKeyID, SigningKeyID, SigningSecret, strings.Join(more, "\n"))
}

// NewCatalogFile writes a catalog to a file of the test's own.
func NewCatalogFile(t testing.TB, lines ...Line) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "catalog.yaml")
	WriteFile(t, path, Catalog(lines...))
	return path
}

// BannerRequest is a plain 300×250 request of one user from one country.
func BannerRequest(id, user, country string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"at":1,"cur":["USD"],"imp":[{"id":"1","banner":{"w":300,"h":250}}],`+
		`"site":{"id":"s1","domain":"news.example","page":"https://news.example/a"},`+
		`"device":{"ua":"Mozilla/5.0 (X11; Linux x86_64)","ip":"203.0.113.7","geo":{"country":%q}},"user":{"id":%q},"tmax":120}`, id, country, user)
}
