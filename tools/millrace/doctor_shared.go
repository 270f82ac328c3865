package main

import (
	"context"
	"errors"
	"time"

	"millrace/engine/node"
	"millrace/state/store/cockroach"
	"millrace/state/store/valkey"
)

// doctorTimeout bounds the look at a server.
const doctorTimeout = 2 * time.Second

func checkLedger(cfg node.Config) finding {
	if !cfg.Shared() {
		return good("none: the budgets are this process's own")
	}
	url, err := cfg.Ledger.LedgerURL()
	if err != nil {
		return bad("check the path and its permissions", "%v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), doctorTimeout)
	defer cancel()
	switch err := cockroach.Check(ctx, url); {
	case errors.Is(err, cockroach.ErrSchema):
		return bad("millrace migrate --url URL", "%v", err)
	case err != nil:
		return bad("check ledger.url, the way there and who may connect; until it is reached nothing is spent", "%v: %v", cfg.Ledger.URL, err)
	}
	return good("%v: reached, its schema serves this binary", cfg.Ledger.URL)
}

func checkValkey(cfg node.Config) finding {
	if len(cfg.Valkey.Addresses) == 0 {
		return good("none: the budgets are this process's own")
	}
	client, err := cfg.Valkey.Client()
	if err != nil {
		return bad("check the path and its permissions", "%v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), doctorTimeout)
	defer cancel()
	client.Timeout = doctorTimeout
	found, err := valkey.Check(ctx, client)
	if err != nil {
		return bad("check valkey.addresses, the way there and who may connect; until it is reached no lease is granted", "%v", err)
	}
	return good("%v: %s", cfg.Valkey.Addresses, found)
}
