// Package coldstart predicts rates where there is too little data for a model:
// a prior mean with a strength, updated by what was seen (the posterior mean of
// a Beta prior under Bernoulli trials).
//
// It owns no state: counts belong to their keeper. models packages import
// nothing of state, netio or engine.
package coldstart
