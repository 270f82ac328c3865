package creative

import (
	"errors"
	"fmt"
	"strings"

	"millrace/codec/openrtb"
)

// vastVersion is a version of VAST that we write.
type vastVersion struct {
	protocol openrtb.Protocol // that asks for it
	name     string
	major    int
}

// vastVersions are in order of preference. A player of 4.3 plays 4.2.
var vastVersions = [...]vastVersion{
	{openrtb.VAST42, "4.2", 4},
	{openrtb.VAST43, "4.2", 4},
	{openrtb.VAST41, "4.1", 4},
	{openrtb.VAST4, "4.0", 4},
	{openrtb.VAST3, "3.0", 3},
	{openrtb.VAST2, "2.0", 2},
}

type videoTemplate struct {
	programs [len(vastVersions)]program
	mimes    []string
	seconds  int32
}

// program is the VAST for a player of the given protocols, nil if we have
// none. No protocols at all: the newest.
func (t *videoTemplate) program(protocols []int32) program {
	if len(protocols) == 0 {
		return t.programs[0]
	}
	for i := range vastVersions {
		for _, p := range protocols {
			if openrtb.Protocol(p) == vastVersions[i].protocol {
				return t.programs[i]
			}
		}
	}
	return nil
}

func (t *videoTemplate) fits(r *openrtb.BidRequest, v *openrtb.Video) bool {
	const nonLinear = 2
	if v.Linearity == nonLinear || t.seconds < v.MinDuration || v.MaxDuration > 0 && t.seconds > v.MaxDuration {
		return false
	}
	if t.program(r.Ints(v.Protocols)) == nil {
		return false
	}
	list := r.Strs(v.Mimes)
	for _, m := range t.mimes {
		if mimeAllowed(list, m) {
			return true
		}
	}
	return false
}

func (t *Template) compileVideo(s *Spec) error {
	v := &s.Video
	var errs []error
	if v.Seconds <= 0 {
		errs = append(errs, fmt.Errorf("video.seconds: %d; give the length of the video", v.Seconds))
	}
	if len(v.Files) == 0 {
		errs = append(errs, errors.New("video.files: none; give at least one media file"))
	}
	video := &videoTemplate{seconds: v.Seconds}
	t.secure, t.seconds = true, v.Seconds
	for i, f := range v.Files {
		field := fmt.Sprintf("video.files[%d]", i)
		if err := checkURL(field+".url", f.URL); err != nil {
			errs = append(errs, err)
		}
		if f.Mime == "" || f.W <= 0 || f.H <= 0 {
			errs = append(errs, fmt.Errorf("%s: mime %q, size %d×%d; VAST requires all three", field, f.Mime, f.W, f.H))
		}
		t.secure = t.secure && isSecure(f.URL)
		t.w, t.h = max(t.w, f.W), max(t.h, f.H)
		video.mimes = append(video.mimes, strings.ToLower(f.Mime))
	}
	for i, u := range v.Trackers {
		if err := checkURL(fmt.Sprintf("video.trackers[%d]", i), u); err != nil {
			errs = append(errs, err)
		}
		t.secure = t.secure && isSecure(u)
	}
	if errs != nil {
		return errors.Join(errs...)
	}
	for i, version := range vastVersions {
		video.programs[i] = compileVAST(s, version)
	}
	t.video = video
	return nil
}

// compileVAST writes an inline linear ad. Elements stand in the order of each
// version's schema, which differ.
func compileVAST(s *Spec, version vastVersion) program {
	var b builder
	tag := func(name, text string) {
		b.markup(inXML, "<"+name+">").value(inXML, text).markup(inXML, "</"+name+">")
	}
	impressions := func() {
		b.markup(inXML, "<Impression><![CDATA[").hole(cdata, impressionURL).markup(inXML, "]]></Impression>")
		for _, u := range s.Video.Trackers {
			b.markup(inXML, "<Impression><![CDATA[").value(cdata, u).markup(inXML, "]]></Impression>")
		}
	}
	title := s.Title
	if title == "" {
		title = s.ID
	}
	b.markup(inXML, `<?xml version="1.0" encoding="UTF-8"?><VAST version="`+version.name+`"><Ad id="`).value(inXML, s.ID).markup(inXML, `"><InLine>`)
	tag("AdSystem", "Millrace")
	if version.major >= 4 {
		impressions()
		if version.name != "4.0" {
			b.markup(inXML, "<AdServingId>").hole(inXML, auctionBidID).markup(inXML, "-").hole(inXML, auctionImpID).markup(inXML, "</AdServingId>")
		}
		tag("AdTitle", title)
		if s.Domain != "" {
			tag("Advertiser", s.Domain)
		}
	} else {
		tag("AdTitle", title)
		if s.Domain != "" && version.major == 3 {
			tag("Advertiser", s.Domain)
		}
		impressions()
	}
	b.markup(inXML, `<Creatives><Creative id="`).value(inXML, s.ID).markup(inXML, `" sequence="1">`)
	linear(&b, s, version)
	if version.major >= 4 {
		b.markup(inXML, `<UniversalAdId idRegistry="unknown"`)
		if version.name == "4.0" {
			b.markup(inXML, ` idValue="unknown"`)
		}
		b.markup(inXML, `>unknown</UniversalAdId>`)
	}
	b.markup(inXML, `</Creative></Creatives></InLine></Ad></VAST>`)
	return b.program()
}

func linear(b *builder, s *Spec, version vastVersion) {
	v := &s.Video
	b.markup(inXML, "<Linear")
	if v.SkipAfter > 0 && version.major >= 3 {
		b.markup(inXML, ` skipoffset="`+clock(v.SkipAfter)+`"`)
	}
	b.markup(inXML, "><Duration>"+clock(v.Seconds)+"</Duration>")
	clicks := func() {
		b.markup(inXML, "<VideoClicks><ClickThrough><![CDATA[").hole(cdata, clickURL).markup(inXML, "]]></ClickThrough></VideoClicks>")
	}
	if version.major < 4 {
		clicks()
	}
	b.markup(inXML, "<MediaFiles>")
	for _, f := range v.Files {
		b.markup(inXML, `<MediaFile delivery="progressive" type="`).value(inXML, f.Mime)
		b.markup(inXML, fmt.Sprintf(`" width="%d" height="%d"`, f.W, f.H))
		if f.Bitrate > 0 {
			b.markup(inXML, fmt.Sprintf(` bitrate="%d"`, f.Bitrate))
		}
		b.markup(inXML, "><![CDATA[").value(cdata, f.URL).markup(inXML, "]]></MediaFile>")
	}
	b.markup(inXML, "</MediaFiles>")
	if version.major >= 4 {
		clicks()
	}
	b.markup(inXML, "</Linear>")
}

// clock is seconds as HH:MM:SS.
func clock(seconds int32) string {
	return fmt.Sprintf("%02d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
}
