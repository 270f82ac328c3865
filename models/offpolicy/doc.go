// Package offpolicy estimates what a policy would have earned from the log of
// another: the log has what was chosen, with which probability, and what came
// of it.
//
//	IPS    mean of w·r, w = target's probability / logged probability: unbiased, noisy
//	SNIPS  the same over the mean of w: a little bias for much less noise
//	DR     a model's expectation plus IPS of what the model got wrong: right if
//	       either the propensities or the model are
//
// A log is only good for this if every choice that the target policy makes had
// some probability in the log, and if the logged probability is the true one.
// models/coldstart's Explorer logs such probabilities. Estimates are for
// reports: an Estimator belongs to one goroutine.
package offpolicy
