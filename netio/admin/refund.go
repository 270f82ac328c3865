package admin

import (
	"context"
	"errors"

	"github.com/bytedance/sonic"
	"github.com/cloudwego/hertz/pkg/app"
)

// Refund asks for postings to be taken back: wins by name, or all events that
// are as described. Ids are 16 hexadecimal digits, times RFC 3339.
type Refund struct {
	// Wins are node-epoch-shard-seq, with /impression, /click or /conversion behind
	// it where only that event is meant.
	Wins []string `json:"wins,omitempty"`

	Campaign string  `json:"campaign,omitempty"`
	Line     string  `json:"line,omitempty"`
	Creative string  `json:"creative,omitempty"`
	User     string  `json:"user,omitempty"`
	Event    string  `json:"event,omitempty"`
	From     string  `json:"from,omitempty"`
	To       string  `json:"to,omitempty"`
	Least    *Amount `json:"least,omitempty"`
	Most     *Amount `json:"most,omitempty"`

	// Reason is fraud, mistake or goodwill; Note is kept with each refund.
	Reason string `json:"reason"`
	Note   string `json:"note,omitempty"`
	// DryRun finds, and refunds nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// RefundItem is one event.
type RefundItem struct {
	Win      string `json:"win"`
	Status   string `json:"status"`
	Campaign string `json:"campaign,omitempty"`
	Currency string `json:"currency,omitempty"`
	Amount   Amount `json:"amount"`
}

// RefundAnswer is what became of a Refund. What is counted as refunded is durable.
type RefundAnswer struct {
	DryRun    bool `json:"dry_run"`
	Refunded  int  `json:"refunded"`
	Before    int  `json:"refunded_before"`
	NotBilled int  `json:"not_billed"`
	NotFound  int  `json:"not_found"`
	OtherNode int  `json:"other_node"`
	// Sums are refunded, by currency.
	Sums map[string]Amount `json:"sums"`
	// Whole: the node has its whole history, so what was not found never was.
	Whole bool `json:"whole_history"`
	// Items, the first thousand where they were not named.
	Items []RefundItem `json:"items"`
	// Error is why not all was refunded; what is counted stands.
	Error string `json:"error,omitempty"`
}

// ErrInvalid is wrapped by a source's error when the request is to blame; the
// server answers 400.
var ErrInvalid = errors.New("invalid request")

func (s *Server) refund(ctx context.Context, c *app.RequestContext) {
	if s.src.Refund == nil {
		absent(c, "money")
		return
	}
	var r Refund
	if err := sonic.ConfigStd.Unmarshal(c.Request.Body(), &r); err != nil {
		fail(c, 400, "the body is not a refund: "+err.Error(), `send {"wins": ["1-1800000000-0-17"], "reason": "fraud"}`)
		return
	}
	switch a, err := s.src.Refund(ctx, &r); {
	case errors.Is(err, ErrInvalid):
		fail(c, 400, err.Error(), "millrace ledger refund --help says what can be asked")
	case err != nil:
		fail(c, 503, "cannot refund: "+err.Error(), "ask again: what was refunded is not refunded twice")
	case a.Error != "":
		answer(c, 503, a)
	default:
		answer(c, 200, a)
	}
}
