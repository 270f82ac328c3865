package node

import (
	"testing"

	"millrace/state/campaign/catalogtest"
)

// TestLargeCatalogGetsReady: with many accounts, some of which can pay for one
// event on one shard only, every shard hears of its leases, whichever shard had
// the catalog first.
func TestLargeCatalogGetsReady(t *testing.T) {
	c := testConfig(t)
	writeCatalog(t, c, string(catalogtest.JSON(catalogtest.Options{Lines: 1000, Seed: 1})))
	for _, shards := range []int{2, 5} {
		c.Shards = shards
		n := start(t, c)
		expectStatus(t, n, 200, "GET", "/readyz")
		stop(t, n)
	}
}
