package creative

import (
	"fmt"

	"millrace/codec/event"
	"millrace/codec/strict"
)

// Landing is a compiled landing page address. ${MILLRACE_CONVERSION} in it is
// the token with which the advertiser reports the conversion; macros of
// OpenRTB 4.4 and ${MILLRACE_CREATIVE_ID} may stand there too. Values are
// percent-encoded.
type Landing struct {
	id      string
	program program
}

// CompileLanding checks and compiles the landing page of a creative.
func CompileLanding(creativeID, text string) (*Landing, strict.Faults) {
	return new(Compiler).CompileLanding(creativeID, text)
}

// CompileLanding checks and compiles the landing page of a creative.
func (c *Compiler) CompileLanding(creativeID, text string) (*Landing, strict.Faults) {
	c.faults = nil
	if problem, remedy := checkURL(text); problem != "" {
		c.fault("landing", problem, remedy)
		return nil, c.faults
	}
	if most := event.LandingMax / 2; len(text) > most {
		c.fault("landing", fmt.Sprintf("%d bytes", len(text)), fmt.Sprintf("shorten it: at most %d leave room for the values of its macros", most))
	}
	b := builder{c: c}
	b.add(plain, query, text)
	l := &Landing{id: creativeID, program: b.program()}
	if l.program.has(clickURL) || l.program.has(clickURLEscaped) || l.program.has(impressionURL) {
		c.fault("landing", "has a click or impression macro, which would lead back here", "remove it")
	}
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	if len(l.program) == 1 && l.program[0].hole == noHole {
		l.program[0].text = text // which the caller keeps too
	}
	return l, nil
}

// WantsConversion reports whether the page is given a conversion token, so
// that one has to be signed.
func (l *Landing) WantsConversion() bool { return l.program.has(conversionToken) }

// Append appends the address for one auction.
func (l *Landing) Append(dst []byte, v *Vars) []byte { return l.program.append(dst, v, l.id) }
