package campaign

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"millrace/codec/openrtb"
	"millrace/codec/strict"
	"millrace/codec/unit"
)

// Priors where the catalog states none: orders of magnitude of the field, for
// the time before a creative has results of its own.
const (
	defaultCTRBanner = 0.001
	defaultCTRNative = 0.002
	defaultCTRVideo  = 0.004
	defaultCTRAudio  = 0.001
	defaultCVR       = 0.01
)

// creatives compiles the line item's creatives that its size and format
// targeting allows, and notes the slots they fit.
func (c *compiler) creatives(l *pendingLine, index LineIndex) {
	s := c.snapshot
	allowed := c.slots(l)
	l.item.FirstCreative = CreativeIndex(len(s.Creatives))
	for i := range l.spec.Creatives {
		p := place{l.at.advertiser, l.at.campaign, l.at.line, i}
		cr, ok := c.creative(p, l, &l.spec.Creatives[i])
		cr.Line = index
		if !ok || !allowed.allow(cr.Media, cr.Size) {
			continue
		}
		if l.spec.Creatives[i].HTML != "" && l.spec.Creatives[i].Size == "" && len(allowed.includeSizes)+len(allowed.excludeSizes) > 0 {
			c.fault(p, "size", "missing, and the line item targets sizes", "write the creative's size, or remove size from targeting")
		}
		s.creativeByID[cr.ID] = CreativeIndex(len(s.Creatives))
		s.Creatives = append(s.Creatives, cr)
		c.slotRules(&cr)
	}
	l.item.EndCreative = CreativeIndex(len(s.Creatives))
	switch {
	case len(l.spec.Creatives) == 0:
		c.fault(l.at, "creatives", "missing", "write at least one creative")
	case l.item.FirstCreative == l.item.EndCreative:
		c.fault(l.at, "targeting", "no creative fits the targeting by size and format", "let them agree with the creatives")
	}
}

func (c *compiler) slotRules(cr *Creative) {
	add := func(slot uint32) { c.ruleScratch = append(c.ruleScratch, makeRule(dimSlot, false, slot)) }
	if cr.Media != openrtb.BannerMedia {
		add(slotOf(cr.Media))
		return
	}
	add(slotBanner)
	if cr.Size == (Size{}) {
		add(slotFlexible)
		return
	}
	sizes := c.snapshot.index.sizes
	id, ok := sizes[cr.Size]
	if !ok {
		id = slotFirstSize + uint32(len(sizes))
		sizes[cr.Size] = id
	}
	add(id)
}

// creative compiles one creative; ok is false when it isn't clear what it is.
func (c *compiler) creative(p place, l *pendingLine, spec *CreativeSpec) (cr Creative, ok bool) {
	advertiser := &c.file.Advertisers[p.advertiser]
	cr.ID = unit.CreativeID(unit.HashID("creative", spec.ID))
	cr.Name, cr.Bundle = strings.Clone(spec.ID), c.keep(spec.Bundle)
	if spec.Size != "" {
		if cr.Size, ok = parseSize(spec.Size); !ok {
			c.fault(p, "size", fmt.Sprintf("%q is not a size", spec.Size), "write width x height: 300x250")
		}
	}
	if cr.Media, ok = c.media(p, spec); !ok {
		return cr, false
	}
	c.landing(p, spec, &cr)
	c.domains(p, spec, advertiser, &cr)
	texts := spec.Categories
	if len(texts) == 0 {
		texts = advertiser.Categories // faults were found there
	} else {
		c.categories(p, texts)
	}
	for _, t := range texts {
		cr.Categories = append(cr.Categories, c.keep(string(appendUpper(nil, t))))
	}
	if len(cr.Categories) > 0 {
		cr.CategoryKey = uint32(unit.HashID("category", cr.Categories[0])) | 1
	}
	for i, a := range spec.Attributes {
		if a < 1 || a > 63 {
			c.fault(p, "attr["+strconv.Itoa(i)+"]", fmt.Sprintf("%d is not a creative attribute", a), "write a number of AdCOM's list, 1 to 20")
			continue
		}
		cr.Attributes |= 1 << a
	}
	if spec.Language != "" {
		ids, problem, remedy := readLanguage(c, spec.Language, nil)
		if problem != "" {
			c.fault(p, "language", problem, remedy)
		}
		if len(ids) > 0 {
			cr.Language = c.keep(string(c.key))
		}
	}
	c.priors(p, spec, &cr)
	c.content(p, spec, &cr)
	c.blockRules(&cr)
	return cr, true
}

// media finds out what the creative is: exactly one of its forms is given.
func (c *compiler) media(p place, spec *CreativeSpec) (openrtb.MediaType, bool) {
	var forms []string
	media := openrtb.BannerMedia
	if spec.HTML != "" {
		forms = append(forms, "html")
	}
	if spec.Image != "" {
		forms = append(forms, "image")
	}
	if spec.Frame != "" {
		forms = append(forms, "iframe")
	}
	if spec.Video != nil {
		forms, media = append(forms, "video"), openrtb.VideoMedia
	}
	if spec.Audio != nil {
		forms, media = append(forms, "audio"), openrtb.AudioMedia
	}
	if spec.Native != nil {
		forms, media = append(forms, "native"), openrtb.NativeMedia
	}
	switch {
	case len(forms) == 0:
		c.fault(p, "", "a creative without content", "write one of html, image, iframe, video, audio, native")
		return 0, false
	case len(forms) > 1:
		c.fault(p, forms[1], "a creative with "+strings.Join(forms, " and "), "make each its own creative")
		return 0, false
	}
	if media != openrtb.BannerMedia && len(spec.Trackers) > 0 {
		c.fault(p, "trackers", "only banners have them here", "write "+media.String()+".trackers")
	}
	if spec.Format != "" && spec.Format != media.String() {
		c.fault(p, "format", fmt.Sprintf("%q, but its content is a %s", spec.Format, media), "remove it, or write "+media.String())
	}
	return media, true
}

func (c *compiler) landing(p place, spec *CreativeSpec, cr *Creative) {
	if spec.Landing == "" {
		c.fault(p, "landing", "missing", "write the landing page's URL")
		return
	}
	cr.LandingURL = c.keep(spec.Landing)
	landing, faults := c.markup.CompileLanding(cr.Name, cr.LandingURL)
	c.creativeFaults(p, faults)
	cr.Landing = landing
}

// creativeFaults notes what codec/creative finds wrong: its fields are ours.
func (c *compiler) creativeFaults(p place, faults strict.Faults) {
	for _, f := range faults {
		c.fault(p, f.Field, f.Problem, f.Remedy)
	}
}

func (c *compiler) domains(p place, spec *CreativeSpec, a *AdvertiserSpec, cr *Creative) {
	texts := spec.Domains
	switch {
	case len(texts) > 0:
	case a.Domain != "":
		texts = []string{a.Domain}
	case cr.LandingURL != "":
		if u, err := url.Parse(cr.LandingURL); err == nil {
			texts = []string{strings.TrimPrefix(u.Hostname(), "www.")}
		}
	}
	for i, text := range texts {
		if !validDomain(text) {
			if len(spec.Domains) > 0 {
				c.fault(p, "adomain["+strconv.Itoa(i)+"]", fmt.Sprintf("%q is not a domain", text), "write it without scheme and path: shop.example.com")
			}
			continue
		}
		cr.Domains = append(cr.Domains, c.keep(strings.ToLower(text)))
	}
}

// validDomain takes names with at least one dot; letters beyond ASCII pass.
func validDomain(text string) bool {
	label, dots := 0, 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == '.':
			if label == 0 || label > 63 {
				return false
			}
			label = 0
			dots++
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c >= 0x80:
			label++
		default:
			return false
		}
	}
	return dots > 0 && label > 0 && label <= 63 && len(text) <= 253
}

// categories finds faults in a cat list.
func (c *compiler) categories(p place, texts []string) {
	for i, t := range texts {
		if !validCategory(string(appendUpper(c.key[:0], t))) {
			c.fault(p, "cat["+strconv.Itoa(i)+"]", fmt.Sprintf("%q is not a category", t), "write an IAB code: IAB1, IAB1-2")
		}
	}
}

func (c *compiler) priors(p place, spec *CreativeSpec, cr *Creative) {
	rate := func(field string, given *float64, fallback float64) float32 {
		if given == nil {
			return float32(fallback)
		}
		if !(*given > 0 && *given <= 1) {
			c.fault(p, field, strconv.FormatFloat(*given, 'g', -1, 64)+" is not a rate", "write a share above 0 and up to 1: 0.002 is 0.2 %")
		}
		return float32(*given)
	}
	ctr := defaultCTRBanner
	switch cr.Media {
	case openrtb.VideoMedia:
		ctr = defaultCTRVideo
	case openrtb.AudioMedia:
		ctr = defaultCTRAudio
	case openrtb.NativeMedia:
		ctr = defaultCTRNative
	}
	cr.Unrated = spec.CTR == nil
	cr.CTR, cr.CVR = rate("ctr", spec.CTR, ctr), rate("cvr", spec.CVR, defaultCVR)
	cr.Quality = QualityDefault
	if q := spec.Quality; q != nil {
		if !(*q >= 0 && *q <= QualityMax) {
			c.fault(p, "quality", strconv.FormatFloat(*q, 'g', -1, 64)+" is not a quality", "write 0 to 10; 7 is as good as saying nothing")
		}
		cr.Quality = float32(*q)
	}
}

// blockRules notes everything that a blocklist may name the creative by.
func (c *compiler) blockRules(cr *Creative) {
	s := c.snapshot
	cr.firstBlock = uint32(len(s.blockIDs))
	note := func() { s.blockIDs = append(s.blockIDs, s.blocks.note(c.key)) }
	for _, category := range cr.Categories {
		c.key = appendUpper(append(c.key[:0], blockCategory), category)
		for more := true; more; c.key, more = categoryParent(c.key) {
			note()
		}
	}
	for _, domain := range cr.Domains {
		for name, more := []byte(domain), true; more; name, more = domainParent(name) {
			c.key = appendLower(append(c.key[:0], blockDomain), name)
			note()
		}
	}
	if cr.Bundle != "" {
		c.key = appendLower(append(c.key[:0], blockApp), cr.Bundle)
		note()
	}
	cr.endBlock = uint32(len(s.blockIDs))
}
