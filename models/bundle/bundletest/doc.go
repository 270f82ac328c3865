// Package bundletest makes bundles of random forests for the tests and
// benchmarks of what serves them. They predict nothing true; they have the form
// and size of trained ones, read every kind of column, and are the same for the
// same options.
package bundletest
