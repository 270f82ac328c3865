// Package catalogtest makes synthetic catalogs and requests for tests and
// benchmarks: the same seed gives the same text on every machine.
//
// Two shapes. The default is like a grown catalog: many countries, sites and
// segments, most of them rare. Tight draws everything from a handful of values
// so that inclusions and exclusions meet in every request: for property tests.
package catalogtest
