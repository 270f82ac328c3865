package campaign_test

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"millrace/codec/strict"
	"millrace/state/campaign"
	"millrace/state/campaign/catalogtest"
)

var benchSizes = []int{1_000, 100_000}

// heap is the bytes that live on after a collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// cpu is the time that this process spent, its collector included: on a busy
// machine it says more than the clock.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkParse(b *testing.B) {
	for _, n := range benchSizes {
		text := catalogtest.JSON(catalogtest.Options{Lines: n, Seed: 1})
		b.Run(fmt.Sprintf("lines=%d", n), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			began := cpu()
			for b.Loop() {
				if _, faults := campaign.Parse("synthetic.json", text); len(faults) > 0 {
					b.Fatal(faults)
				}
			}
			b.ReportMetric(float64((cpu()-began).Milliseconds())/float64(b.N), "cpu-ms/op")
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("lines=%d", n), func(b *testing.B) {
			before := heap()
			file := catalogtest.File(catalogtest.Options{Lines: n, Seed: 1})
			parsed := heap()
			var s *campaign.Snapshot
			began := cpu()
			for b.Loop() {
				var faults strict.Faults
				if s, faults = campaign.Compile(file, campaign.Options{}); len(faults) > 0 {
					b.Fatal(faults)
				}
			}
			b.ReportMetric(float64((cpu()-began).Milliseconds())/float64(b.N), "cpu-ms/op")
			with := heap()
			b.ReportMetric(float64(parsed-before)/1e6, "file-MB")
			b.ReportMetric(float64(with-parsed)/1e6, "snapshot-MB")
			b.ReportMetric(float64(s.IndexBytes())/1e6, "index-MB")
			runtime.KeepAlive(file)
		})
	}
}

// BenchmarkMatch: resolve + match of one request with one imp. The reported
// hash is of all answers, so that the work can't be left out.
func BenchmarkMatch(b *testing.B) {
	for _, n := range benchSizes {
		o := catalogtest.Options{Lines: n, Seed: 1}
		s := catalogtest.Snapshot(o)
		requests := catalogtest.Requests(256, o)
		var a campaign.Activity
		active := a.At(s, requests[0].Now)
		b.Run(fmt.Sprintf("lines=%d", n), func(b *testing.B) {
			queries := make([]campaign.Query, len(requests))
			for i := range requests {
				requests[i].Fill(s, &queries[i])
			}
			dst := campaign.NewBitmap(n)
			b.ReportAllocs()
			i, candidates := 0, 0
			for b.Loop() {
				s.Match(&queries[i%len(queries)], active, nil, dst)
				if i++; i <= len(queries) {
					candidates += dst.Len()
				}
			}
			b.ReportMetric(float64(candidates)/float64(min(i, len(queries))), "candidates/op")
		})
	}
}

func BenchmarkResolve(b *testing.B) {
	s := catalogtest.Snapshot(catalogtest.Options{Lines: 10_000, Seed: 1})
	country, region, city := []byte("USA"), []byte("CA"), []byte("Los Angeles")
	os, language, site := []byte("iOS"), []byte("en-US"), []byte("www.site12.example.net")
	category, segment, provider := []byte("IAB12-3"), []byte("seg-9"), []byte("dmp")
	var q campaign.Query
	b.ReportAllocs()
	for b.Loop() {
		s.Begin(&q)
		q.SetGeo(country, region, city)
		q.SetDevice(4, os, language)
		q.AddSite(site)
		q.AddCategory(category)
		q.AddSegment(provider, segment)
		q.AddSize(300, 250)
	}
}

func BenchmarkActivity(b *testing.B) {
	for _, n := range benchSizes {
		o := catalogtest.Options{Lines: n, Seed: 1}
		s := catalogtest.Snapshot(o)
		now := catalogtest.Requests(1, o)[0].Now
		b.Run(fmt.Sprintf("lines=%d/rebuild", n), func(b *testing.B) {
			var a campaign.Activity
			for b.Loop() {
				a.At(s, now)
				a.Expire()
			}
		})
		b.Run(fmt.Sprintf("lines=%d/kept", n), func(b *testing.B) {
			var a campaign.Activity
			for b.Loop() {
				a.At(s, now)
			}
		})
	}
}
