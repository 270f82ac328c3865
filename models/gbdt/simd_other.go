//go:build !amd64 || purego

package gbdt

// Without assembly the twin does all.
const (
	hasSIMD   = false
	simdViews = 0
)

type (
	simdTables struct{}
	simdPass   struct{}
)

func (t *simdTables) build(*Compiled) {}
func (t *simdTables) bytes() int      { return 0 }

func (s *simdPass) init(*Compiled, *pass) {}

func (p *program) narrowSIMD(*Compiled, []float32) bool { return false }

func (p *program) buildSIMD(*Compiled) bool { return false }

func (s *pass) touch(*AdMasks) {}

func (s *pass) runSIMD(*Compiled, *program, *AdMasks, []float32) bool { return false }
