// Package gbdt loads gradient-boosted forests and scores candidates with them.
package gbdt
