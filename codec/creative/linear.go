package creative

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"millrace/codec/openrtb"
	"millrace/codec/strict"
)

// linearTemplate is a video or audio ad. One program writes all versions of
// VAST: most of their text is the same.
type linearTemplate struct {
	program    program
	wrapper    bool
	verified   bool // it has verification scripts
	seconds    int32
	mimes      []string // of a wrapper, if known
	files      []linearFile
	companions []linearCompanion
	required   companionsRequired
}

// linearFile is what decides whether a media file is offered. Its part is its
// index + 1; companions come behind the files.
type linearFile struct {
	mime      string
	low, high int32 // kbit/s; 0 = not known
	streaming bool
}

type linearCompanion struct {
	w, h int32
	kind int32 // AdCOM companion type
}

// companionsRequired is how many of the companions an ad needs.
type companionsRequired uint8

const (
	noCompanions companionsRequired = iota
	anyCompanion
	allCompanions
)

// versions is a set of VAST versions, by index into vastVersions.
type versions uint8

func (s versions) has(v uint8) bool { return s>>v&1 != 0 }

const (
	vast42 versions = 1 << iota
	vast41
	vast40
	vast30
	vast20
	vast41Up = vast42 | vast41
	vast4    = vast41Up | vast40
	vast30Up = vast4 | vast30
	vast3Or2 = vast30 | vast20
)

// vastVersions are those that we write, in order of preference, with the
// protocols that ask for each: for an ad itself, and for a wrapper. A player
// of 4.3 plays 4.2.
var vastVersions = [...]struct {
	name            string
	inline, wrapper uint32 // by bit
}{
	{"4.2", 1<<openrtb.VAST42 | 1<<openrtb.VAST43, 1<<openrtb.VAST42Wrap | 1<<openrtb.VAST43Wrap},
	{"4.1", 1 << openrtb.VAST41, 1 << openrtb.VAST41Wrap},
	{"4.0", 1 << openrtb.VAST4, 1 << openrtb.VAST4Wrapper},
	{"3.0", 1 << openrtb.VAST3, 1 << openrtb.VAST3Wrapper},
	{"2.0", 1 << openrtb.VAST2, 1 << openrtb.VAST2Wrapper},
}

// version is the best of the given protocols. No protocols at all: the newest.
func (t *linearTemplate) version(protocols []int32) (version uint8, ok bool) {
	if len(protocols) == 0 {
		return 0, true
	}
	var asked uint32
	for _, p := range protocols {
		if p > 0 && p < 32 {
			asked |= 1 << p
		}
	}
	for i := range vastVersions {
		ask := vastVersions[i].inline
		if t.wrapper {
			ask = vastVersions[i].wrapper
		}
		if asked&ask != 0 {
			return uint8(i), true
		}
	}
	return 0, false
}

// player is what an impression's video or audio object says of its player.
type player struct {
	minDuration, maxDuration int32
	minBitrate, maxBitrate   int32
	podDuration              int32
	mimes                    []openrtb.Str
	protocols, delivery      []int32
	durations                []int32 // exact ones, instead of a range
	// companions are the places for them, as JSON; absent: not told.
	companions     openrtb.Raw
	companionTypes []int32
}

func (t *linearTemplate) fitsVideo(r *openrtb.BidRequest, v *openrtb.Video, d *openrtb.Details) (f Fit, ok bool) {
	const nonLinear = 2
	if v.Linearity == nonLinear {
		return f, false
	}
	return t.fits(&player{
		minDuration: v.MinDuration, maxDuration: v.MaxDuration, minBitrate: v.MinBitrate, maxBitrate: v.MaxBitrate, podDuration: v.PodDur,
		mimes: r.Strs(v.Mimes), protocols: r.Ints(v.Protocols), delivery: r.Ints(v.Delivery), durations: r.Ints(v.RqdDurs),
		companions: v.CompanionAd, companionTypes: r.Ints(v.CompanionType),
	}, d)
}

func (t *linearTemplate) fitsAudio(r *openrtb.BidRequest, a *openrtb.Audio, d *openrtb.Details) (f Fit, ok bool) {
	return t.fits(&player{
		minDuration: a.MinDuration, maxDuration: a.MaxDuration, minBitrate: a.MinBitrate, maxBitrate: a.MaxBitrate, podDuration: a.PodDur,
		mimes: r.Strs(a.Mimes), protocols: r.Ints(a.Protocols), delivery: r.Ints(a.Delivery), durations: r.Ints(a.RqdDurs),
		companions: a.CompanionAd, companionTypes: r.Ints(a.CompanionType),
	}, d)
}

// lasts: a list of durations excludes a range (OpenRTB 2.6, 3.2.7).
func (p *player) lasts(seconds int32) bool {
	if p.podDuration > 0 && seconds > p.podDuration {
		return false
	}
	if len(p.durations) > 0 {
		return slices.Contains(p.durations, seconds)
	}
	return seconds >= p.minDuration && (p.maxDuration <= 0 || seconds <= p.maxDuration)
}

// fits: the media files that the player does not play and the companions that
// it has no place for are left out; one file must remain, and of the companions
// those that the ad requires.
func (t *linearTemplate) fits(p *player, d *openrtb.Details) (f Fit, ok bool) {
	if !p.lasts(t.seconds) {
		return f, false
	}
	if f.version, ok = t.version(p.protocols); !ok {
		return f, false
	}
	ok = t.wrapper && len(t.mimes) == 0
	for _, m := range t.mimes {
		ok = ok || mimeAllowed(p.mimes, m)
	}
	for i := range t.files {
		if p.plays(&t.files[i]) {
			ok = true
		} else {
			f.without |= 1 << i
		}
	}
	if !ok || len(t.companions) == 0 || !p.companions.Present() && len(p.companionTypes) == 0 {
		return f, ok
	}
	return t.fitCompanions(p, d, f)
}

func (t *linearTemplate) fitCompanions(p *player, d *openrtb.Details, f Fit) (Fit, bool) {
	d.Reset()
	// A list that can't be read is no list: nothing is known of the places.
	places, _ := d.Companions(p.companions)
	shown := 0
	for i := range t.companions {
		k := &t.companions[i]
		if (len(p.companionTypes) == 0 || slices.Contains(p.companionTypes, k.kind)) && k.hasPlace(d, places) {
			shown++
		} else {
			f.without |= 1 << (filesMax + i)
		}
	}
	switch t.required {
	case anyCompanion:
		return f, shown > 0
	case allCompanions:
		return f, shown == len(t.companions)
	}
	return f, true
}

// hasPlace: a place of its size, or one that states none.
func (k *linearCompanion) hasPlace(d *openrtb.Details, places []openrtb.Banner) bool {
	for i := range places {
		b := &places[i]
		formats := d.Formats(b.Formats)
		if b.W == k.w && b.H == k.h || len(formats) == 0 && (b.W == 0 || b.H == 0) {
			return true
		}
		for j := range formats {
			if formats[j].W == k.w && formats[j].H == k.h {
				return true
			}
		}
	}
	return len(places) == 0
}

func (p *player) plays(file *linearFile) bool {
	if !mimeAllowed(p.mimes, file.mime) {
		return false
	}
	if p.maxBitrate > 0 && file.low > p.maxBitrate || file.high > 0 && file.high < p.minBitrate {
		return false
	}
	const streaming, progressive, download = 1, 2, 3
	for _, d := range p.delivery {
		if (d == streaming) == file.streaming && d >= streaming && d <= download {
			return true
		}
	}
	return len(p.delivery) == 0
}

// events are the moments of VAST, as each version names them; "" = it has none
// of the kind.
var events = map[string]struct{ v41, v40, v3, v2 string }{
	"creativeView":       {"creativeView", "creativeView", "creativeView", "creativeView"},
	"start":              {"start", "start", "start", "start"},
	"firstQuartile":      {"firstQuartile", "firstQuartile", "firstQuartile", "firstQuartile"},
	"midpoint":           {"midpoint", "midpoint", "midpoint", "midpoint"},
	"thirdQuartile":      {"thirdQuartile", "thirdQuartile", "thirdQuartile", "thirdQuartile"},
	"complete":           {"complete", "complete", "complete", "complete"},
	"mute":               {"mute", "mute", "mute", "mute"},
	"unmute":             {"unmute", "unmute", "unmute", "unmute"},
	"pause":              {"pause", "pause", "pause", "pause"},
	"resume":             {"resume", "resume", "resume", "resume"},
	"rewind":             {"rewind", "rewind", "rewind", "rewind"},
	"skip":               {"skip", "skip", "skip", ""},
	"progress":           {"progress", "progress", "progress", ""},
	"playerExpand":       {"playerExpand", "playerExpand", "fullscreen", "fullscreen"},
	"playerCollapse":     {"playerCollapse", "playerCollapse", "exitFullscreen", ""},
	"adExpand":           {"adExpand", "adExpand", "expand", "expand"},
	"adCollapse":         {"adCollapse", "adCollapse", "collapse", "collapse"},
	"acceptInvitation":   {"acceptInvitation", "acceptInvitation", "acceptInvitationLinear", "acceptInvitation"},
	"closeLinear":        {"closeLinear", "", "closeLinear", "close"},
	"loaded":             {"loaded", "", "", ""},
	"minimize":           {"minimize", "minimize", "", ""},
	"otherAdInteraction": {"otherAdInteraction", "otherAdInteraction", "", ""},
}

// eventNames for messages.
var eventNames = func() (names []string) {
	for name := range events {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}()

// linearMax bounds each list of an ad; files and companions are parts.
const (
	filesMax      = 32
	companionsMax = partsMax - filesMax
	listMax       = 64
)

func (c *Compiler) compileLinear(t *Template, s *Spec) {
	l, in := &s.Linear, s.Media.String()+"."
	t.seconds = l.Seconds
	if l.Seconds < 1 || l.Seconds > 24*3600 {
		c.fault(in+"duration", "missing, or longer than a day", "write its length: 15s")
	}
	if l.SkipAfter < 0 || l.SkipAfter > max(l.Seconds, 0) && l.Seconds > 0 {
		c.fault(in+"skip_after", "not within its length", "write when it may be skipped: 5s; remove it for never")
	}
	out := &linearTemplate{seconds: l.Seconds, wrapper: l.Wrapper != nil, verified: len(l.Verifications) > 0}
	if l.Wrapper != nil {
		c.wrapper(t, out, l, in)
	} else {
		c.files(t, out, s, in)
	}
	c.lists(t, l, in)
	for i := range l.Verifications {
		c.verification(t, &l.Verifications[i], fmt.Sprintf("%sverifications[%d].", in, i))
	}
	if len(l.Companions) > companionsMax {
		c.fault(in+"companions", strconv.Itoa(len(l.Companions))+" of them", fmt.Sprintf("write at most %d", companionsMax))
		return
	}
	switch l.CompanionsRequired {
	case "", "none":
	case "any":
		out.required = anyCompanion
	case "all":
		out.required = allCompanions
	default:
		c.fault(in+"companions_required", fmt.Sprintf("%q is not known", l.CompanionsRequired), "write all, any or none")
	}
	for i := range l.Companions {
		c.companion(t, out, &l.Companions[i], fmt.Sprintf("%scompanions[%d].", in, i))
	}
	for i := range l.Icons {
		c.icon(t, &l.Icons[i], fmt.Sprintf("%sicons[%d].", in, i))
	}
	if (l.AdID == "") != (l.AdRegistry == "") {
		c.fault(in+"ad_id", "an id without its registry, or a registry without an id", "write both: ad_id: {registry: ad-id.org, value: CNPA0484000H}")
	}
	if len(c.faults) > 0 {
		return
	}
	out.program = c.vast(s)
	t.linear = out
}

func (c *Compiler) wrapper(t *Template, out *linearTemplate, l *Linear, in string) {
	c.url(t, in+"wrapper.tag", l.Wrapper.Tag)
	if len(l.Files) > 0 {
		c.fault(in+"files", "a wrapper's files are where its tag leads", "remove files, or wrapper")
	}
	for i, m := range l.Wrapper.Mimes {
		if !validMime(m) {
			c.fault(fmt.Sprintf("%swrapper.mimes[%d]", in, i), fmt.Sprintf("%q is not a media type", m), "write it like video/mp4")
		}
		out.mimes = append(out.mimes, c.keep([]byte(strings.ToLower(m))))
	}
}

func (c *Compiler) files(t *Template, out *linearTemplate, s *Spec, in string) {
	l := &s.Linear
	if len(l.Files) == 0 || len(l.Files) > filesMax {
		c.fault(in+"files", "missing, or more than "+strconv.Itoa(filesMax), "write at least one file with url and mime, for video with its size; or a wrapper")
	}
	for i := range l.Files {
		f, at := &l.Files[i], fmt.Sprintf("%sfiles[%d].", in, i)
		c.url(t, at+"url", f.URL)
		if !validMime(f.Mime) {
			c.fault(at+"mime", fmt.Sprintf("%q is not a media type", f.Mime), "write it like video/mp4")
		}
		if s.Media == openrtb.VideoMedia && (f.W <= 0 || f.H <= 0) {
			c.fault(at+"size", "missing", "write width x height: 1280x720")
		}
		adapts := f.BitrateMin != 0 || f.BitrateMax != 0
		if f.Bitrate < 0 || f.BitrateMin < 0 || adapts && (f.Bitrate > 0 || f.BitrateMax < f.BitrateMin || f.BitrateMin == 0) {
			c.fault(at+"bitrate", "not a rate, or not a range", "write kbit/s: bitrate, or bitrate_min and bitrate_max where it adapts")
		}
		t.w, t.h = max(t.w, f.W), max(t.h, f.H)
		file := linearFile{mime: c.keep([]byte(strings.ToLower(f.Mime))), low: f.Bitrate, high: f.Bitrate, streaming: f.Streaming}
		if adapts {
			file.low, file.high = f.BitrateMin, f.BitrateMax
		}
		out.files = append(out.files, file)
	}
}

// lists checks the URLs that are told of events.
func (c *Compiler) lists(t *Template, l *Linear, in string) {
	for _, list := range [...]struct {
		name string
		urls []string
	}{
		{"trackers", l.Trackers}, {"errors", l.Errors}, {"click_trackers", l.ClickTrackers}, {"custom_clicks", l.CustomClicks},
		{"viewable", l.Viewable}, {"not_viewable", l.NotViewable}, {"view_undetermined", l.Undetermined},
	} {
		c.urls(t, in+list.name, list.urls)
		c.atMost(in+list.name, len(list.urls))
	}
	c.atMost(in+"events", len(l.Events))
	c.atMost(in+"verifications", len(l.Verifications))
	c.atMost(in+"icons", len(l.Icons))
	for i := range l.Events {
		e, at := &l.Events[i], fmt.Sprintf("%sevents[%d].", in, i)
		c.url(t, at+"url", e.URL)
		if _, ok := events[e.Name]; !ok {
			c.fault(at+"event", fmt.Sprintf("%q is not an event", e.Name), strict.Remedy(e.Name, eventNames))
		}
		if e.Name != "progress" && e.After != "" || e.Name == "progress" && offset(e.After) == "" {
			c.fault(at+"after", fmt.Sprintf("%q", e.After), "write it for progress, and only for that: 10s or 25%")
		}
	}
}

func (c *Compiler) atMost(field string, n int) {
	if n > listMax {
		c.fault(field, strconv.Itoa(n)+" of them", "write at most "+strconv.Itoa(listMax))
	}
}

// offset is a time or a share as VAST writes it; "" if it is none.
func offset(text string) string {
	if share, ok := strings.CutSuffix(text, "%"); ok {
		if n, err := strconv.ParseUint(share, 10, 8); err == nil && n <= 100 {
			return strconv.FormatUint(n, 10) + "%"
		}
		return ""
	}
	seconds, ok := strings.CutSuffix(text, "s")
	if n, err := strconv.ParseUint(seconds, 10, 16); ok && err == nil {
		return clock(int32(n))
	}
	return ""
}

// clock is seconds as HH:MM:SS.
func clock(seconds int32) string {
	return fmt.Sprintf("%02d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
}

func (c *Compiler) verification(t *Template, v *Verification, in string) {
	c.url(t, in+"script", v.Script)
	c.urls(t, in+"not_executed", v.NotExecuted)
	c.atMost(in+"not_executed", len(v.NotExecuted))
	if v.Vendor == "" {
		c.fault(in+"vendor", "missing", "write its key: company.com-omid")
	}
}

// Companion types (AdCOM).
const (
	companionStatic = 1
	companionHTML   = 2
	companionFrame  = 3
)

func (c *Compiler) companion(t *Template, out *linearTemplate, k *Companion, in string) {
	forms, kind := 0, int32(companionStatic)
	if k.Image != "" {
		forms++
		c.url(t, in+"image", k.Image)
		if k.Mime == "" {
			k.Mime = imageMime(k.Image)
		}
		if !validMime(k.Mime) {
			c.fault(in+"mime", "missing, and the URL does not tell", "write it like image/png")
		}
	}
	if k.Frame != "" {
		forms, kind = forms+1, companionFrame
		c.url(t, in+"iframe", k.Frame)
	}
	if k.HTML != "" {
		forms, kind = forms+1, companionHTML
		t.secure = t.secure && secureHTML(k.HTML)
	}
	if forms != 1 {
		c.fault(in+"image", "a companion has one content", "write one of image, iframe, html")
	}
	if k.W <= 0 || k.H <= 0 {
		c.fault(in+"size", "missing", "write width x height: 300x250")
	}
	if !slices.Contains([]string{"", "default", "end-card", "concurrent"}, k.Mode) {
		c.fault(in+"mode", fmt.Sprintf("%q is not known", k.Mode), "write default, end-card or concurrent")
	}
	c.urls(t, in+"trackers", k.Trackers)
	c.urls(t, in+"click_trackers", k.Clicks)
	c.atMost(in+"trackers", len(k.Trackers))
	c.atMost(in+"click_trackers", len(k.Clicks))
	out.companions = append(out.companions, linearCompanion{k.W, k.H, kind})
}

func (c *Compiler) icon(t *Template, k *Icon, in string) {
	c.url(t, in+"image", k.Image)
	if k.Click != "" {
		c.url(t, in+"click", k.Click)
	}
	c.urls(t, in+"click_trackers", k.Clicks)
	c.urls(t, in+"trackers", k.Trackers)
	c.atMost(in+"trackers", len(k.Trackers))
	c.atMost(in+"click_trackers", len(k.Clicks))
	if k.Mime == "" {
		k.Mime = imageMime(k.Image)
	}
	if k.Program == "" || k.W <= 0 || k.H <= 0 || !validMime(k.Mime) {
		c.fault(in+"program", "program, size or mime is missing", "write all three: program: AdChoices, size: 20x20, mime: image/png")
	}
	if !position(k.X, "left", "right") || !position(k.Y, "top", "bottom") {
		c.fault(in+"x", fmt.Sprintf("%q, %q is not a position", k.X, k.Y), "write pixels, or x: left or right and y: top or bottom")
	}
	if k.Start < 0 || k.For < 0 {
		c.fault(in+"start", "below 0", "write when it appears: 5s; remove it for the start")
	}
}

func position(text, first, last string) bool {
	if text == first || text == last {
		return true
	}
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}
