// Package bundle keeps a trained model and everything it needs in one signed
// file, and refuses every other file with the reason in words.
//
//	tools/train ──► directory ──Pack──► file ──Open──► Bundle ──► shards (by pointer)
//	                                     │       │
//	      header │ manifest │ parts      │       └─ refused: Refusal{Reason, Detail}; nothing else changes
//
// The file, numbers little-endian:
//
//	at   bytes
//	0    8      "MILLRACE"
//	8    4      format, 1
//	12   4      length of the manifest, M
//	16   8      id of the signing key: the first bytes of the SHA-256 of the public key
//	24   64     Ed25519 signature over a fixed text, the 24 bytes above and the manifest
//	88   M      manifest: JSON, in the one form that encoding/json gives it
//	88+M        the parts, in the manifest's order, without gaps; the file ends with the last
//
// The manifest names each part with its size and SHA-256, so the signature
// vouches for every byte of the file. Open checks from the outside inwards and
// believes nothing before it is vouched for: sizes, then the signature, then
// the manifest's form, then the parts' sums, then version and schema, and only
// then hands parts to the loaders. Last it predicts the bundle's golden rows
// (rows with the trainer's own predictions) with the naive walk and with the
// compiled kernels: raw scores must be equal bit for bit. A model that this
// build reads differently from its trainer never serves.
//
// No step allocates more than a small multiple of the file's size, which is
// bounded; the loaders of models/gbdt bound what a model text can grow to.
//
// A Bundle is immutable once open and is shared by all shards; scorers with
// scratch memory are made from its compiled models, one a shard. A decision
// takes one *Bundle at its beginning and uses no other: models/rollout says
// which. Open is slow (milliseconds to seconds) and meant for a loader's
// goroutine.
package bundle
