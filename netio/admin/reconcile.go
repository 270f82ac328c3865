package admin

import (
	"context"

	"github.com/cloudwego/hertz/pkg/app"
)

// Reconciled is what a comparison of journal, ledger and budget store found.
type Reconciled struct {
	DryRun   bool `json:"dry_run"`
	Compared int  `json:"compared"` // accounts and days
	Repaired int  `json:"repaired"`
	// Pending is granted and on its way into a journal, or of a life that died.
	Pending Amount   `json:"pending"`
	Skipped []string `json:"skipped,omitempty"`
	Drifts  []Drift  `json:"drifts"`
}

// Drift is one difference; the first of Between is right.
type Drift struct {
	Between  string `json:"between"`
	What     string `json:"what"`
	Account  string `json:"account"`
	Campaign string `json:"campaign"`
	Day      int32  `json:"day"` // since 1970, 0 is all
	True     Amount `json:"true"`
	Other    Amount `json:"other"`
	Repaired bool   `json:"repaired"`
}

// reconcile compares now; with ?dry-run=true it repairs nothing.
func (s *Server) reconcile(ctx context.Context, c *app.RequestContext) {
	if s.src.Reconcile == nil {
		absent(c, "money")
		return
	}
	dry := string(c.Query("dry-run"))
	if dry != "" && dry != "true" && dry != "false" {
		fail(c, 400, "dry-run="+dry, "use true or false")
		return
	}
	a, err := s.src.Reconcile(ctx, dry == "true")
	if err != nil {
		fail(c, 503, "cannot compare: "+err.Error(), "try again")
		return
	}
	answer(c, 200, a)
}
