package load

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Mix is the built-in corpus: 256 requests of the kinds an exchange sends, the
// same for a seed. Per hundred: 62 one-banner (web and app, desktop and phone),
// 14 of two or three banners, 12 video, 12 native; seven countries; sizes,
// categories, devices and floors by their usual shares; 1 to 1.6 KB each. Users
// and request ids are patched in at each send.
func Mix(seed uint64) *Corpus {
	c := &Corpus{}
	r := rand.New(rand.NewPCG(seed, 0x313))
	for range 256 {
		c.add([]byte(mixRequest(r)))
	}
	return c
}

type place struct{ country, region, city, language, ip string }

var places = []place{
	{"USA", "CA", "San Francisco", "en", "198.51.100.%d"}, {"USA", "NY", "New York", "en", "203.0.113.%d"},
	{"USA", "TX", "Austin", "es", "198.51.100.%d"}, {"DEU", "BE", "Berlin", "de", "192.0.2.%d"},
	{"GBR", "ENG", "London", "en", "192.0.2.%d"}, {"FRA", "IDF", "Paris", "fr", "203.0.113.%d"},
	{"JPN", "13", "Tokyo", "ja", "198.51.100.%d"}, {"BRA", "SP", "Sao Paulo", "pt", "203.0.113.%d"},
	{"IND", "MH", "Mumbai", "en", "192.0.2.%d"},
}

type device struct {
	kind                int // OpenRTB device type
	os, osv, make, name string
	ua                  string
	phone               bool
}

var devices = []device{
	{2, "Windows", "10.0", "", "", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36", false},
	{2, "macOS", "14.5", "Apple", "Macintosh", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15", false},
	{4, "iOS", "17.5", "Apple", "iPhone", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148", true},
	{4, "Android", "14", "Google", "Pixel 8", "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36", true},
	{5, "Android", "13", "Samsung", "SM-X700", "Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36", true},
}

var (
	sites      = []string{"news.example", "weather.example", "recipes.example", "football.example", "cars.example", "travel.example", "tech.example"}
	apps       = []string{"com.example.puzzle", "com.example.runner", "com.example.radio", "com.example.chat", "com.example.maps"}
	categories = []string{"IAB1", "IAB2", "IAB3", "IAB8", "IAB12", "IAB17", "IAB19", "IAB20"}
	sizesWide  = [][2]int{{300, 250}, {728, 90}, {970, 250}, {160, 600}, {300, 600}}
	sizesPhone = [][2]int{{320, 50}, {300, 250}, {320, 100}, {320, 480}}
	segments   = []string{"auto-intender", "sports", "new-parents", "travel", "gamer", "news-reader"}
)

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func mixRequest(r *rand.Rand) string {
	at, dev := pick(r, places), pick(r, devices)
	inApp := dev.phone && r.IntN(100) < 60
	var imps []string
	switch kind := r.IntN(100); {
	case kind < 62:
		imps = append(imps, mixBanner(r, 1, dev.phone))
	case kind < 76:
		for i := range 2 + r.IntN(2) {
			imps = append(imps, mixBanner(r, i+1, dev.phone))
		}
	case kind < 88:
		imps = append(imps, mixVideo(r))
	default:
		imps = append(imps, mixNative(r))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `{"id":"%s","at":1,"tmax":%d,"cur":["USD"],"imp":[%s],`, idHole, 100+10*r.IntN(11), strings.Join(imps, ","))
	category := pick(r, categories)
	if inApp {
		app := pick(r, apps)
		fmt.Fprintf(&b, `"app":{"id":"a%d","name":"%s","bundle":"%s","storeurl":"https://store.example/%s","cat":["%s"],"publisher":{"id":"pub-%d","name":"Example Apps"}},`,
			r.IntN(900)+100, strings.TrimPrefix(app, "com.example."), app, app, category, r.IntN(20))
	} else {
		site := pick(r, sites)
		fmt.Fprintf(&b, `"site":{"id":"s%d","domain":"%s","page":"https://%s/%d/story-%d.html","ref":"https://search.example/","cat":["%s","%s-%d"],"publisher":{"id":"pub-%d","domain":"%s"},"content":{"language":"%s"}},`,
			r.IntN(900)+100, site, site, 2020+r.IntN(7), r.IntN(100_000), category, category, r.IntN(6)+1, r.IntN(20), site, at.language)
	}
	fmt.Fprintf(&b, `"device":{"ua":"%s","ip":"`+at.ip+`","devicetype":%d,"os":"%s","osv":"%s","language":"%s","js":1,`, dev.ua, r.IntN(250)+1, dev.kind, dev.os, dev.osv, at.language)
	if dev.make != "" {
		fmt.Fprintf(&b, `"make":"%s","model":"%s",`, dev.make, dev.name)
	}
	if inApp {
		fmt.Fprintf(&b, `"ifa":"8d5f7e1c-3b2a-4c6d-9e0f-%s","lmt":0,`, userHole)
	}
	fmt.Fprintf(&b, `"geo":{"country":"%s","region":"%s","city":"%s","type":2,"lat":%.4f,"lon":%.4f}},`, at.country, at.region, at.city, 60*r.Float64(), 120*r.Float64())
	if inApp {
		b.WriteString(`"user":{`)
	} else {
		fmt.Fprintf(&b, `"user":{"id":"u-%s",`, userHole)
	}
	fmt.Fprintf(&b, `"data":[{"id":"dmp","segment":[{"id":"%s"},{"id":"%s"}]}]},`, pick(r, segments), pick(r, segments))
	b.WriteString(`"regs":{"coppa":0,"gdpr":0},"source":{"tid":"5e2f1c7a-9d3b-4f8e-a1c6-7b0d9e4f2a35"},"ext":{"exchange":"bench"}}`)
	return b.String()
}

func mixFloor(r *rand.Rand) string {
	if r.IntN(3) == 0 {
		return ""
	}
	return fmt.Sprintf(`,"bidfloor":%.2f,"bidfloorcur":"USD"`, 0.05+0.6*r.Float64()*r.Float64())
}

func mixBanner(r *rand.Rand, id int, phone bool) string {
	sizes := sizesWide
	if phone {
		sizes = sizesPhone
	}
	// The rectangle is every second placement.
	first, second := [2]int{300, 250}, pick(r, sizes)
	if r.IntN(2) == 0 {
		first = pick(r, sizes)
	}
	format := fmt.Sprintf(`{"w":%d,"h":%d}`, first[0], first[1])
	if second != first && r.IntN(3) == 0 {
		format += fmt.Sprintf(`,{"w":%d,"h":%d}`, second[0], second[1])
	}
	return fmt.Sprintf(`{"id":"%d","tagid":"slot-%d","secure":1,"banner":{"w":%d,"h":%d,"format":[%s],"pos":%d,"mimes":["image/png","image/jpeg","text/html"]}%s}`,
		id, r.IntN(40), first[0], first[1], format, r.IntN(4), mixFloor(r))
}

func mixVideo(r *rand.Rand) string {
	return fmt.Sprintf(`{"id":"1","tagid":"player","secure":1,"video":{"mimes":["video/mp4","video/webm"],"minduration":5,"maxduration":%d,"protocols":[2,3,5,6,7,8],"w":640,"h":360,"startdelay":0,"linearity":1,"plcmt":1,"placement":1,"playbackmethod":[1],"api":[1,2]}%s}`,
		15*(1+r.IntN(3)), mixFloor(r))
}

func mixNative(r *rand.Rand) string {
	request := `{\"ver\":\"1.2\",\"context\":1,\"plcmttype\":1,\"plcmtcnt\":1,\"assets\":[{\"id\":1,\"required\":1,\"title\":{\"len\":90}},{\"id\":2,\"required\":1,\"img\":{\"type\":3,\"wmin\":300,\"hmin\":157,\"mimes\":[\"image/jpeg\",\"image/png\"]}},{\"id\":3,\"required\":0,\"data\":{\"type\":1,\"len\":25}},{\"id\":4,\"required\":0,\"data\":{\"type\":2,\"len\":140}}],\"eventtrackers\":[{\"event\":1,\"methods\":[1]}]}`
	return fmt.Sprintf(`{"id":"1","tagid":"feed","secure":1,"native":{"ver":"1.2","request":"%s"}%s}`, request, mixFloor(r))
}
