package openrtb

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/bytedance/sonic"
	"github.com/prebid/openrtb/v20/openrtb2"
)

// richRequest is a mobile app request with all the weight such requests carry.
var richRequest = []byte(`{"id":"8f2a4c1e-7b90-4f7e-9a53-1c6f0d2b7e48","at":1,"tmax":300,"cur":["USD","EUR"],"bcat":["IAB25","IAB26","IAB7-39","IAB8-5","IAB8-18","IAB9-9"],"badv":["competitor.example","blocked-brand.example","another-one.example"],"imp":[{"id":"1","displaymanager":"ad-sdk","displaymanagerver":"12.4.1","instl":1,"tagid":"interstitial-level-end","bidfloor":1.25,"bidfloorcur":"USD","secure":1,"rwdd":0,"clickbrowser":1,"banner":{"w":320,"h":480,"format":[{"w":320,"h":480},{"w":300,"h":250},{"w":336,"h":280}],"pos":7,"btype":[4],"battr":[1,2,5,8,9,14,17],"api":[3,5,6,7],"mimes":["image/jpeg","image/png","text/html"]},"video":{"mimes":["video/mp4","video/webm"],"minduration":5,"maxduration":30,"protocols":[2,3,5,6,7,8],"w":320,"h":480,"startdelay":0,"placement":5,"plcmt":3,"linearity":1,"skip":1,"skipafter":5,"playbackmethod":[1,2],"delivery":[2],"api":[7],"battr":[1,2,5]},"pmp":{"private_auction":0,"deals":[{"id":"deal-premium-001","bidfloor":4.5,"bidfloorcur":"USD","at":3,"wseat":["seat-1","seat-2"],"wadomain":["brand.example"]},{"id":"deal-open-002","bidfloor":2.1,"at":1}]},"ext":{"skadn":{"version":"2.2","sourceapp":"880047117","skadnetids":["cdkw7geqsh.skadnetwork","qyJfv329m4.skadnetwork","3qy4746246.skadnetwork","3rd42ekr43.skadnetwork","4468km3ulz.skadnetwork","44jx6755aq.skadnetwork"]},"gpid":"/12345/app/level-end"}},{"id":"2","tagid":"banner-bottom","bidfloor":0.35,"bidfloorcur":"USD","secure":1,"banner":{"w":320,"h":50,"format":[{"w":320,"h":50},{"w":320,"h":100}],"pos":3,"api":[3,5,6]},"ext":{"gpid":"/12345/app/bottom"}}],"app":{"id":"agltb3B1Yi1pbmNyDAsSA0FwcBiJkfIUDA","name":"Puzzle \u0026 Words","bundle":"com.example.puzzle","domain":"puzzle.example","storeurl":"https://play.example/store/apps/details?id=com.example.puzzle","cat":["IAB9","IAB9-30"],"ver":"4.18.2","privacypolicy":1,"paid":0,"publisher":{"id":"pub-5511","name":"Example Games","domain":"games.example","cat":["IAB9"]},"content":{"language":"en","cat":["IAB9-30"]},"keywords":"puzzle,words,casual"},"device":{"ua":"Mozilla/5.0 (Linux; Android 14; Pixel 8 Pro Build/UD1A.230803.041; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/120.0.6099.144 Mobile Safari/537.36","sua":{"source":2,"browsers":[{"brand":"Chromium","version":["120","0","6099","144"]},{"brand":"Android WebView","version":["120","0","6099","144"]}],"platform":{"brand":"Android","version":["14"]},"mobile":1,"model":"Pixel 8 Pro"},"geo":{"lat":52.520008,"lon":13.404954,"type":2,"accuracy":5000,"ipservice":3,"country":"DEU","region":"BE","city":"Berlin","zip":"10115","utcoffset":60},"dnt":0,"lmt":0,"ip":"203.0.113.77","ipv6":"2001:db8:85a3::8a2e:370:7334","devicetype":4,"make":"Google","model":"Pixel 8 Pro","os":"Android","osv":"14","h":2992,"w":1344,"ppi":489,"pxratio":3.5,"js":1,"language":"de","carrier":"Telekom.de","mccmnc":"262-01","connectiontype":6,"ifa":"38400000-8cf0-11bd-b23e-10b96e40000d"},"user":{"id":"7d4e1b1c9f2a4a51","buyeruid":"buyer-91f2c4a7","consent":"CPzHq4APzHq4AAGABCENDECoAP_AAH_AAAqIJqtd_H__bX9v-f7_6ft0eY1f9_r37uQzDhfNs-8F3L_W_LwX_2E7NF36pq4KmR4Eu3LBIQNtHMnUTUmxaolVrzHsak2cpyNKJ7LkknsZe2dYGF9Pn9lD-YKZ7_5_9_f52T_9_9_-39z3_9f___dt_-__-vjf_599n_v9fV_7___________-_________________","eids":[{"source":"id.example","uids":[{"id":"ID5*kXz1mQyB7w4bJf0aVb9m2cTtR8pQz3nWc5eK","atype":1,"ext":{"linkType":2}}]},{"source":"liveintent.example","uids":[{"id":"Tm90IGEgcmVhbCBpZCwganVzdCBieXRlcw","atype":3}]},{"source":"uidapi.example","uids":[{"id":"AgAAAANxBq0zgVSnVYkpQwJfYh7xKs0Yl5t1uTn8m","atype":3}]}],"data":[{"id":"dmp-1","name":"Segments Inc","segment":[{"id":"seg-auto-intender","name":"auto"},{"id":"seg-2231"},{"id":"seg-9981"}]}]},"regs":{"coppa":0,"gdpr":1,"us_privacy":"1---","gpp":"DBABMA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA","gpp_sid":[2]},"source":{"tid":"c0ffee00-7b90-4f7e-9a53-1c6f0d2b7e48","fd":1,"pchain":"","schain":{"complete":1,"ver":"1.0","nodes":[{"asi":"exchange.example","sid":"1001","hp":1,"rid":"r-1","name":"Example Games"},{"asi":"reseller.example","sid":"77","hp":1}]}},"ext":{"sdk":"12.4.1","wrapper":{"profileid":1234,"versionid":2}}}`)

func total(bodies [][]byte) (n int64) {
	for _, b := range bodies {
		n += int64(len(b))
	}
	return n
}

// benchBodies runs work over all bodies in turn; ns/op is per request.
func benchBodies(b *testing.B, bodies [][]byte, work func([]byte) bool) {
	b.SetBytes(total(bodies) / int64(len(bodies)))
	b.ReportAllocs()
	failed := 0
	for i := 0; b.Loop(); i++ {
		if !work(bodies[i%len(bodies)]) {
			failed++
		}
	}
	if failed == b.N {
		b.Fatal("nothing parsed")
	}
}

func benchAll(b *testing.B, bodies [][]byte) {
	b.Run("millrace", func(b *testing.B) {
		var r BidRequest
		benchBodies(b, bodies, func(body []byte) bool { return Parse(body, &r).Code == OK })
	})
	for _, lib := range []struct {
		name  string
		parse func([]byte, any) error
	}{
		{"sonic", sonic.ConfigDefault.Unmarshal},
		{"sonic-fastest", sonic.ConfigFastest.Unmarshal},
		{"encoding-json", json.Unmarshal},
	} {
		b.Run(lib.name, func(b *testing.B) {
			benchBodies(b, bodies, func(body []byte) bool {
				var r openrtb2.BidRequest
				return lib.parse(body, &r) == nil
			})
		})
	}
	b.Run("bytes-pass", func(b *testing.B) {
		// The limit: every byte looked at once, by the fastest loop there is.
		benchBodies(b, bodies, func(body []byte) bool { return bytes.IndexByte(body, 0) < 0 })
	})
}

func BenchmarkParseCorpus(b *testing.B) { benchAll(b, corpusRequests(b)) }

func BenchmarkParseRich(b *testing.B) { benchAll(b, [][]byte{richRequest}) }
