// Command models measures the kernels of models/gbdt against the libraries that
// one would use instead: leaves, and the C APIs of LightGBM and XGBoost.
//
//	make bench-models                # everything, some minutes
//	go run ./bench/models -only 100-64 -candidates 100
//
// One run, one thread. Models are trained by tools/train/bench_models.py on a
// synthetic click log, with the shares of user × ad nodes in their names; rows
// come from the same script. Every method scores the same candidates with the
// same model, and its scores are compared with the naive walk's, bit for bit.
//
//	models.json ─► for each model ─► rounds: naive, flat, twin, simd, leaves ┐
//	rows (.f32)                          └──► peer.py: one C API, one thread ┴─► medians, ratios
//
// What is in the clock: for our kernels Begin and Score, that is everything a
// request needs but the masks of ads, which belong to a catalog's snapshot and
// have a table of their own. For the others the prediction alone: their whole
// rows are put together before. An ad is cold when it is drawn out of the whole
// catalog, hot when it is one of 128.
package main
