// Package calibration turns a forest's raw score into a probability that can
// be multiplied with money.
//
// A forest ranks well and is wrong by a factor: trees shrink towards the mean
// and the days they were trained on are over. tools/train fits a monotone map
// from raw score to observed rate on a later slice of time, one for all rows
// and one for each segment that has enough of them (segment: the value of one
// categorical column, such as the ad's medium), and writes calibration.json:
//
//	{"ctr": {"kind": "isotonic", "segment_by": "ad.media",
//	         "global":   {"x": [-4.1, …], "y": [0.011, …]},
//	         "segments": {"2": {"x": […], "y": […]}}},
//	 "cvr": {"kind": "platt", "global": {"a": 1.02, "b": -0.1}}, "context": …}
//
//	isotonic: straight lines between the knots, flat beyond the ends
//	platt:    1 / (1 + exp(-(a × raw + b)))
//
// A map never reverses the order of two scores of one segment. A Set is
// immutable and shared between shards; Map allocates nothing. A Reliability
// is owned by one goroutine and merges by addition.
package calibration
