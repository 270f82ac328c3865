package openrtb

import "millrace/codec/unit"

// collect gathers the splices of an edit; move tells the version whose places
// the fields are moved to. It reports whether an impression is left.
func (p *Patcher) collect(body []byte, l *layout, e *Edit, move Version) bool {
	if e.TMax != 0 {
		p.putInt(l, inRoot, &l.root[atTMax], "tmax", int64(e.TMax))
	}
	if e.At != 0 {
		p.putInt(l, inRoot, &l.root[atAt], "at", int64(e.At))
	}
	if e.Test != KeepFlag {
		p.putInt(l, inRoot, &l.root[atTest], "test", int64(e.Test-FlagOff))
	}
	if len(e.Cur) > 0 {
		p.put(l, inRoot, &l.root[atCur], "cur")
		for i, c := range e.Cur {
			p.text = append(p.text, "[,"[min(i, 1)])
			p.putCurrency(c)
		}
		p.text = append(p.text, ']')
		p.done()
	}
	if len(e.BCat)+len(e.BAdv)+len(e.BApp)+len(e.WSeat) > 0 {
		p.lists(l, e)
	}
	p.user(body, l, e, move)
	if move != AsReceived {
		p.regs(body, l, move)
	}
	if move != AsReceived || len(e.SChainNode) > 0 {
		p.source(body, l, e, move)
	}
	if !e.Ext.empty() {
		p.extension(l, inRoot, &l.root[atExt], inExt, l.ext, &e.Ext, MemberEdit{})
	}
	if len(e.Imps) > 0 || e.OnlyImps || move != AsReceived {
		return p.impressions(body, l, e, move)
	}
	return true
}

func (p *Patcher) lists(l *layout, e *Edit) {
	p.addTexts(l, atBCat, "bcat", e.BCat)
	p.addTexts(l, atBAdv, "badv", e.BAdv)
	p.addTexts(l, atBApp, "bapp", e.BApp)
	if len(e.WSeat) > 0 && l.root[atBSeat].there() {
		p.cut(inRoot, &l.root[atBSeat])
	}
	p.addTexts(l, atWSeat, "wseat", e.WSeat)
}

func (p *Patcher) user(body []byte, l *layout, e *Edit, move Version) {
	m := &l.root[atUser]
	whole := e.User.Op != Keep || e.AnonymousUser && m.there()
	if !whole {
		if e.UserID.Op == Keep && e.BuyerUID.Op == Keep {
			p.moveUser(body, l, move)
			return
		}
		if e.UserID.Op != Set && e.BuyerUID.Op != Set && !l.in[inUser].there() {
			return
		}
		in := p.enter(l, inRoot, m, "user", inUser)
		p.putText(l, in, &l.user[atUserID], "id", &e.UserID)
		p.putText(l, in, &l.user[atBuyerUID], "buyeruid", &e.BuyerUID)
		p.leave(in)
		p.moveUser(body, l, move)
		return
	}
	consent, at26 := p.consent(body, l)
	keep := e.AnonymousUser && e.User.Op == Keep && consent != nil
	switch {
	case e.User.Op == Set:
		p.putJSON(l, inRoot, m, "user", e.User.JSON)
		return
	case !keep && e.UserID.Op != Set && e.BuyerUID.Op != Set:
		if m.there() {
			p.cut(inRoot, m)
		}
		return
	}
	p.put(l, inRoot, m, "user")
	p.text = append(p.text, '{')
	p.putText(l, made, &noPlace, "id", &e.UserID)
	p.putText(l, made, &noPlace, "buyeruid", &e.BuyerUID)
	if keep {
		if move == V25 || move == AsReceived && !at26 {
			in := p.enter(l, made, &noPlace, "ext", made)
			p.putJSON(l, in, &noPlace, "consent", consent)
			p.leave(in)
		} else {
			p.putJSON(l, made, &noPlace, "consent", consent)
		}
	}
	p.text = append(p.text, '}')
	p.done()
}

// consent is the consent string in its quotes, nil if there is none, and
// whether it stands in its 2.6 place.
func (p *Patcher) consent(body []byte, l *layout) (value []byte, at26 bool) {
	if m := &l.user[atConsent]; readable(body, m, textValue) {
		return body[m.val:m.end], true
	}
	if m := &l.userExt[atConsent]; readable(body, m, textValue) {
		return body[m.val:m.end], false
	}
	return nil, false
}

// valueKind is what a value must be to be read in its 2.5 place, where nothing
// has to be of a type; else it is left there.
type valueKind uint8

const (
	textValue valueKind = iota
	flagValue
	listValue
	objectValue
)

// moved is a field with a place in its object (2.6) and one in the ext (2.5).
type moved struct {
	name  string
	place int
	kind  valueKind
}

var (
	movedUser   = []moved{{"consent", atConsent, textValue}, {"eids", atEIDs, listValue}}
	movedRegs   = []moved{{"gdpr", atGDPR, flagValue}, {"us_privacy", atUSPrivacy, textValue}, {"gpp", atGPP, textValue}, {"gpp_sid", atGPPSID, listValue}}
	movedSource = []moved{{"schain", atSChain, objectValue}}
)

// readable reports whether the value at m is there and of the kind.
func readable(body []byte, m *place, kind valueKind) bool {
	if !m.there() {
		return false
	}
	c := body[m.val]
	switch kind {
	case textValue:
		return c == '"'
	case listValue:
		return c == '['
	case objectValue:
		return c == '{'
	}
	_, ok := flagText(body[m.val:m.end])
	return ok
}

// flagText is a flag as 2.6 wants it: the integer that 1, "1" and true mean.
func flagText(value []byte) (text []byte, ok bool) {
	switch string(value) {
	case "true":
		return one, true
	case "false":
		return zero, true
	}
	if n := len(value); n > 2 && value[0] == '"' {
		value = value[1 : n-1]
	}
	for _, c := range value {
		if c-'0' > 9 {
			return nil, false
		}
	}
	return value, len(value) > 0 && (value[0] != '0' || len(value) == 1)
}

var one, zero = []byte("1"), []byte("0")

// pair are an object and its ext between which fields are moved.
type pair struct {
	in, extIn int32
	ext       *place
	at, extAt []place
}

// up moves fields from the ext to the object. Where both have one the
// object's is the one that is read, and stays alone.
func (p *Patcher) up(body []byte, l *layout, o *pair, fields []moved) {
	cut, all := int32(0), l.live(o.extIn)
	for i := range fields {
		f := &fields[i]
		if f.readableIn(body, o.extAt) {
			cut++
		}
	}
	if cut == 0 {
		return
	}
	if cut == all {
		p.cut(o.in, o.ext) // nothing else was in it
	}
	for i := range fields {
		f := &fields[i]
		if !f.readableIn(body, o.extAt) {
			continue
		}
		from, to := &o.extAt[f.place], &o.at[f.place]
		if cut != all {
			p.cut(o.extIn, from)
		}
		if !to.there() || body[to.val] == 'n' {
			p.putJSON(l, o.in, to, f.name, f.text(body, from))
		}
	}
}

// down moves fields from the object to its ext, over what was there.
func (p *Patcher) down(body []byte, l *layout, o *pair, fields []moved) {
	any := false
	for i := range fields {
		m := &o.at[fields[i].place]
		if m.there() {
			p.cut(o.in, m)
			any = any || body[m.val] != 'n'
		}
	}
	if !any {
		return
	}
	in := p.enter(l, o.in, o.ext, "ext", o.extIn)
	for i := range fields {
		f := &fields[i]
		m := &o.at[f.place]
		if !m.there() || body[m.val] == 'n' {
			continue
		}
		to := &noPlace
		if in != made {
			to = &o.extAt[f.place]
		}
		p.putJSON(l, in, to, f.name, body[m.val:m.end])
	}
	p.leave(in)
}

func (f *moved) readableIn(body []byte, at []place) bool { return readable(body, &at[f.place], f.kind) }

func (f *moved) text(body []byte, m *place) []byte {
	value := body[m.val:m.end]
	if f.kind == flagValue {
		value, _ = flagText(value)
	}
	return value
}

func (p *Patcher) move(body []byte, l *layout, o *pair, fields []moved, v Version) {
	switch v {
	case V25:
		p.down(body, l, o, fields)
	case V26:
		p.up(body, l, o, fields)
	}
}

func (p *Patcher) moveUser(body []byte, l *layout, v Version) {
	if v != AsReceived && l.in[inUser].there() {
		o := pair{inUser, inUserExt, &l.user[atUserExt], l.user[:], l.userExt[:]}
		p.move(body, l, &o, movedUser, v)
	}
}

func (p *Patcher) regs(body []byte, l *layout, v Version) {
	if l.in[inRegs].there() {
		o := pair{inRegs, inRegsExt, &l.regs[atRegsExt], l.regs[:], l.regsExt[:]}
		p.move(body, l, &o, movedRegs, v)
	}
}

// source moves the supply chain and appends our node to it (rule 21).
func (p *Patcher) source(body []byte, l *layout, e *Edit, v Version) {
	o := pair{inSource, inSourceExt, &l.source[atSourceExt], l.source[:], l.sourceExt[:]}
	if len(e.SChainNode) == 0 {
		if l.in[inSource].there() {
			p.move(body, l, &o, movedSource, v)
		}
		return
	}
	at26, at25 := &l.source[atSChain], &l.sourceExt[atSChain]
	old := at25.there() && body[at25.val] != 'n' && !(at26.there() && body[at26.val] != 'n')
	if v == V26 || v == AsReceived && !old {
		if at25.there() {
			if l.live(inSourceExt) == 1 {
				p.cut(inSource, o.ext)
			} else {
				p.cut(inSourceExt, at25)
			}
		}
		in := p.enter(l, inRoot, &l.root[atSource], "source", inSource)
		p.put(l, in, at26, "schain")
		p.appendChain(body, l, old, e)
		p.done()
		p.leave(in)
		return
	}
	if at26.there() {
		p.cut(inSource, at26)
	}
	source := p.enter(l, inRoot, &l.root[atSource], "source", inSource)
	in := p.enter(l, source, o.ext, "ext", inSourceExt)
	p.put(l, in, at25, "schain")
	p.appendChain(body, l, old, e)
	p.done()
	p.leave(in)
	p.leave(source)
}

// appendChain appends the chain with our node as the last.
func (p *Patcher) appendChain(body []byte, l *layout, old bool, e *Edit) {
	m, nodes, in, nodesIn := &l.source[atSChain], &l.nodes, &l.in[inSChain], &l.in[inNodes]
	if old {
		m, nodes, in, nodesIn = &l.sourceExt[atSChain], &l.nodes25, &l.in[inSChain25], &l.in[inNodes25]
	}
	switch {
	case nodesIn.there():
		p.text = append(p.text, body[m.val:nodesIn.close]...)
		if nodesIn.n > 0 {
			p.text = append(p.text, ',')
		}
		p.text = append(append(p.text, e.SChainNode...), body[nodesIn.close:m.end]...)
		return
	case in.there() && nodes.there():
		p.text = append(append(p.text, body[m.val:nodes.val]...), '[')
		p.text = append(append(append(p.text, e.SChainNode...), ']'), body[nodes.end:m.end]...)
		return
	case in.there():
		p.text = append(p.text, body[m.val:in.close]...)
		if in.n > 0 {
			p.text = append(p.text, ',')
		}
		p.text = append(p.text, `"nodes":[`...)
	default:
		p.text = append(p.text, `{"complete":`...)
		complete := byte('0')
		if e.SChainComplete && (!m.there() || body[m.val] == 'n') {
			complete = '1'
		}
		p.text = append(append(p.text, complete), `,"ver":"1.0","nodes":[`...)
	}
	p.text = append(append(p.text, e.SChainNode...), "]}"...)
}

// extension edits an ext; one more member may be set with those of the edit.
func (p *Patcher) extension(l *layout, parent int32, m *place, in int32, members span, e *ExtEdit, more MemberEdit) {
	switch {
	case e.empty() && more.Name == "":
		return
	case e.Op == Set:
		p.putJSON(l, parent, m, "ext", e.JSON)
		return
	case e.Op == Remove:
		if m.there() {
			p.cut(parent, m)
		}
		return
	}
	if !l.container(in).there() && !sets(e.Members) && more.Name == "" {
		return
	}
	own := p.enter(l, parent, m, "ext", in)
	for i := range e.Members {
		p.member(l, own, members, &e.Members[i])
	}
	if more.Name != "" {
		p.member(l, own, members, &more)
	}
	p.leave(own)
}

func sets(members []MemberEdit) bool {
	for i := range members {
		if members[i].JSON != nil {
			return true
		}
	}
	return false
}

// member edits one member of an ext; of several of its name only the last was
// meant.
func (p *Patcher) member(l *layout, in int32, members span, e *MemberEdit) {
	last := &noPlace
	if in != made {
		for i := range l.members[members.off : members.off+members.n] {
			m := &l.members[members.off+int32(i)]
			if !m.name.Equal(e.Name) {
				continue
			}
			if last.there() {
				p.cut(in, last)
			}
			last = &m.place
		}
	}
	switch {
	case e.JSON != nil:
		p.putJSON(l, in, last, e.Name, e.JSON)
	case last.there():
		p.cut(in, last)
	}
}

var noImpEdit ImpEdit

// impressions edits or leaves out impressions and reports whether one is left.
func (p *Patcher) impressions(body []byte, l *layout, e *Edit, move Version) bool {
	k, left := 0, 0
	for i := range l.imps {
		m := &l.imps[i]
		for k < len(e.Imps) && e.Imps[k].Imp < m.received {
			k++
		}
		var edit *ImpEdit
		if k < len(e.Imps) && e.Imps[k].Imp == m.received {
			edit = &e.Imps[k]
		}
		if edit == nil && e.OnlyImps || edit != nil && edit.Drop {
			p.cut(inImpList, &m.place)
			m.fate = impGoes
			continue
		}
		left++
		in := int32(inImps + i*impContainers)
		if edit == nil {
			if move == AsReceived {
				continue
			}
			edit = &noImpEdit
		}
		before := len(p.changes)
		if p.impression(body, l, m, in, edit, move); len(p.changes) > before {
			m.fate = impChanges
		}
	}
	return left > 0
}

func (p *Patcher) impression(body []byte, l *layout, m *impLayout, in int32, e *ImpEdit, move Version) {
	if e.HasFloor {
		p.put(l, in+inImp, &m.at[atFloor], "bidfloor")
		p.text = e.Floor.Append(p.text)
		p.done()
	}
	if e.FloorCur != (unit.Currency{}) {
		p.put(l, in+inImp, &m.at[atFloorCur], "bidfloorcur")
		p.putCurrency(e.FloorCur)
		p.done()
	}
	if e.OnlyDeals {
		for i := range l.deals[m.deals.off : m.deals.off+m.deals.n] {
			d := &l.deals[m.deals.off+int32(i)]
			if !oneOf(d.id, e.Deals) {
				p.cut(in+inDeals, &d.place)
			}
		}
	}
	rwdd := &m.at[atRwdd]
	switch {
	case move == V25 && e.Ext.Op == Keep && rwdd.there():
		p.cut(in+inImp, rwdd)
		down := MemberEdit{Name: "rwdd", JSON: body[rwdd.val:rwdd.end]}
		if body[rwdd.val] == 'n' {
			down.Name = ""
		}
		p.extension(l, in+inImp, &m.at[atImpExt], in+inImpExt, m.ext, &e.Ext, down)
		return
	case move == V26:
		p.rewardedUp(body, l, m, in, e)
	}
	p.extension(l, in+inImp, &m.at[atImpExt], in+inImpExt, m.ext, &e.Ext, MemberEdit{})
}

// rewardedUp moves rwdd out of the ext, also of one that is replaced.
func (p *Patcher) rewardedUp(body []byte, l *layout, m *impLayout, in int32, e *ImpEdit) {
	old := lastNamed(l, m.ext, "rwdd")
	if !readable(body, old, flagValue) {
		return
	}
	if e.Ext.Op == Keep {
		if len(e.Ext.Members) == 0 && onlyNamed(l, m.ext, "rwdd") {
			p.cut(in+inImp, &m.at[atImpExt])
		} else {
			p.member(l, in+inImpExt, m.ext, &MemberEdit{Name: "rwdd"})
		}
	}
	if to := &m.at[atRwdd]; !to.there() || body[to.val] == 'n' {
		text, _ := flagText(body[old.val:old.end])
		p.putJSON(l, in+inImp, to, "rwdd", text)
	}
}

// onlyNamed reports whether an ext has no member but those of a name.
func onlyNamed(l *layout, members span, name string) bool {
	for i := range l.members[members.off : members.off+members.n] {
		if !l.members[members.off+int32(i)].name.Equal(name) {
			return false
		}
	}
	return true
}

// lastNamed is the last member of a name in an ext.
func lastNamed(l *layout, members span, name string) *place {
	last := &noPlace
	for i := range l.members[members.off : members.off+members.n] {
		if m := &l.members[members.off+int32(i)]; m.name.Equal(name) {
			last = &m.place
		}
	}
	return last
}

func oneOf(s Str, list []string) bool {
	for _, t := range list {
		if s.Equal(t) {
			return true
		}
	}
	return false
}
