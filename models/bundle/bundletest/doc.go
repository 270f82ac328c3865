// Package bundletest makes bundles for tests: random forests over the default
// schema, in the form that tools/train writes, with golden rows that the naive
// walk predicts; and larger ones in memory alone. What it makes is valid and
// predicts nothing in particular.
package bundletest
