// Package event holds what a tracking URL carries: a signed token that names
// the win, what it may cost and, for a click, where the user goes next.
//
// A token is a few dozen bytes of binary, authenticated with HMAC-SHA-256
// (truncated to 16 bytes) and written in base64url without padding, so it can
// stand in a path or a query as it is:
//
//	key id │ version, kind, flags │ fields │ policy │ landing… │ MAC
//	1 B      1 B                    ~75 B    16 B     clicks    16 B
//	└───────────────── authenticated ──────────────┘
//
// Nothing in a token is secret and nothing in it needs a look-up: an event can
// be validated and billed by any shard of any node that has the key. What a
// token can not do is prove that it is new; WinID is the identity under which
// the state that owns the win deduplicates.
//
// The policy, in tokens of version 2 only, is what chose the win: model, arm of
// the rollout, predicted rates, propensity. With it an event can be held against
// the prediction that led to it, whichever model serves by then.
//
// Keys are named by a byte in clear. A Keyring is immutable: rotation builds a
// new ring in which the old key still verifies and the new one signs, and the
// old key leaves once its last token has expired. A ring is shared; a Signer
// has its own hash state and belongs to one goroutine or shard.
//
// Lifetimes: after Parse, Token.Landing points into the scratch buffer that
// Parse returned; it is valid until that buffer is used again.
package event
