package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"millrace/models/gbdt"
)

// The columns of the rows that tools/train/bench_models.py draws.
var split = gbdt.Split{Request: 70, Ad: 30, Cross: 50}

const (
	hotAds    = 128
	pairRows  = 2000 // they were just computed where a server scores, so they are warm
	peerRows  = 4000
	pickCount = 1 << 16
)

// modelFile is an entry of models.json.
type modelFile struct {
	File       string  `json:"file"`
	Trainer    string  `json:"trainer"`
	Trees      int     `json:"trees"`
	Leaves     int     `json:"leaves"`
	Share      int     `json:"share"`
	CrossShare float64 `json:"cross_share"`
}

type index struct {
	LightGBM string      `json:"lightgbm"`
	XGBoost  string      `json:"xgboost"`
	Models   []modelFile `json:"models"`
}

// rows is what every model is measured on.
type rows struct {
	requests, ads, cross []float32
	hot, cold            []uint32 // picks of ads
	catalog              int      // ads
}

func readIndex(dir string) (index, error) {
	var x index
	b, err := os.ReadFile(filepath.Join(dir, "models.json"))
	if err == nil {
		err = json.Unmarshal(b, &x)
	}
	return x, err
}

func readRows(dir string, catalog int) (*rows, error) {
	r := &rows{catalog: catalog}
	for _, f := range []struct {
		name string
		to   *[]float32
	}{{"requests", &r.requests}, {"ads", &r.ads}, {"cross", &r.cross}} {
		b, err := os.ReadFile(filepath.Join(dir, f.name+".f32"))
		if err != nil {
			return nil, err
		}
		*f.to = make([]float32, len(b)/4)
		if err := binary.Read(bytes.NewReader(b), binary.LittleEndian, *f.to); err != nil {
			return nil, fmt.Errorf("%s.f32: %w", f.name, err)
		}
	}
	if have := len(r.ads) / split.Ad; catalog > have {
		return nil, fmt.Errorf("-ads: %d, there are rows of %d", catalog, have)
	}
	random := rand.New(rand.NewPCG(1, 1))
	for range pickCount {
		r.hot = append(r.hot, uint32(random.IntN(hotAds)))
		r.cold = append(r.cold, uint32(random.IntN(catalog)))
	}
	return r, nil
}

func (r *rows) request(i int) []float32 {
	i %= len(r.requests) / split.Request
	return r.requests[i*split.Request:][:split.Request]
}

func (r *rows) ad(i int) []float32 { return r.ads[i*split.Ad:][:split.Ad] }

// pairs are the pair columns of call i with n candidates.
func (r *rows) pairs(i, n int) []float32 {
	at := i * n % (pairRows - n + 1)
	return r.cross[at*split.Cross:][:n*split.Cross]
}

func picks(all []uint32, i, n int) []uint32 {
	at := i * n % (len(all) - n + 1)
	return all[at:][:n]
}

// whole are the rows of the first calls with n candidates, one after the other,
// as other libraries take them.
func (r *rows) whole(n int) []float32 {
	out := make([]float32, 0, peerRows*split.Columns())
	for call := 0; (call+1)*n <= peerRows; call++ {
		pairs := r.pairs(call, n)
		for i, ad := range picks(r.cold, call, n) {
			out = append(out, r.request(call)...)
			out = append(out, r.ad(int(ad))...)
			out = append(out, pairs[i*split.Cross:][:split.Cross]...)
		}
	}
	return out
}

// model is one that is measured, with its masks.
type model struct {
	modelFile
	forest        *gbdt.Forest
	compiled      *gbdt.Compiled
	masks         *gbdt.AdMasks
	full, partial time.Duration // to build all masks, and again with 1 % changed
}

func loadModel(dir string, m modelFile, r *rows) (*model, error) {
	b, err := os.ReadFile(filepath.Join(dir, m.File))
	if err != nil {
		return nil, err
	}
	out := &model{modelFile: m}
	if out.forest, err = gbdt.Load(b); err != nil {
		return nil, fmt.Errorf("%s: %w", m.File, err)
	}
	if out.compiled, err = gbdt.Compile(out.forest, split); err != nil {
		return nil, fmt.Errorf("%s: %w", m.File, err)
	}
	row := func(ad int, row []float32) { copy(row, r.ad(ad)) }
	start := time.Now()
	first := out.compiled.BuildAds(r.catalog, row, nil, nil)
	out.full = time.Since(start)
	start = time.Now()
	out.masks = out.compiled.BuildAds(r.catalog, row, first, func(ad int) (int, bool) { return ad, ad%100 != 0 })
	out.partial = time.Since(start)
	return out, nil
}

// agrees reports whether scores are the naive walk's of whole rows.
func (m *model) agrees(whole []float32, scores []float64) bool {
	for i, x := range scores {
		row := whole[i*split.Columns():][:split.Columns()]
		if math.Float64bits(m.forest.Raw(row)) != math.Float64bits(x) {
			return false
		}
	}
	return true
}
