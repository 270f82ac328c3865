// Package coldstart predicts rates where there is too little data for a model,
// and chooses when to show an ad in order to learn about it.
//
// Rates. What is known stands on four levels, and each level's rate is the next
// level's expectation (empirical Bayes): with few trials a level says what the
// one above it says, with many it speaks for itself.
//
//	category ──► segment ──► cohort ──► user        Levels.Estimate
//	             < 10        10–100     > 100       impressions of the user decide the tier
//
// How many trials the expectation is worth is fitted from data: Moments keeps
// sums over groups, from which the spread between groups follows.
//
// Exploration. An Explorer belongs to one shard. Of the candidates that could
// win it lets a new ad win now and then: by adaptive ε, or by Thompson sampling
// from what is believed of each rate. Three bounds hold always: what one request
// may give up, what all requests may give up of what they expect to earn, and a
// floor by time below which exploration is never starved. The probability with
// which the winner was chosen is exact and comes with the choice, so that what
// another policy would have earned can be estimated from the log
// (models/offpolicy).
//
// The package owns no counts: they belong to their keeper. Time and the seed of
// randomness are given; nothing is allocated after start.
package coldstart
