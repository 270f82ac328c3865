package rollout

// Arm is which of two models serves a user.
type Arm uint8

// Arms.
const (
	Stable Arm = iota
	Challenger
	arms
)

func (a Arm) String() string {
	if a == Challenger {
		return "challenger"
	}
	return "stable"
}

// Assignment says which versions are in force and for whom. Immutable; a
// decision copies it, or points to it, at its beginning.
type Assignment struct {
	// Epoch changes whenever anything here does. What a bid leads to is counted
	// only under the epoch of the bid: tokens carry it.
	Epoch uint16
	// Stable is the version that serves, 0 for none; Challenger is the one on
	// trial, 0 for none.
	Stable, Challenger uint64
	// Permille of the users that the challenger serves: 0 in shadow.
	Permille uint32
}

// Arm is which model serves a user, given a hash of who they are (of the
// request, where nobody is known).
func (a *Assignment) Arm(user uint64) Arm {
	if a.Challenger == 0 || a.Permille == 0 {
		return Stable
	}
	// Of the upper half of the bits; group takes lower ones.
	if share := a.hash(user) >> 32 * 1000 >> 32; share < uint64(a.Permille) {
		return Challenger
	}
	return Stable
}

// Version is that of an arm's model.
func (a *Assignment) Version(arm Arm) uint64 {
	if arm == Challenger {
		return a.Challenger
	}
	return a.Stable
}

// Trial is whether there is a challenger: then both models predict what is won.
func (a *Assignment) Trial() bool { return a.Challenger != 0 }

// group is which of the groups of its arm a user belongs to. Groups show how
// much revenue differs between users.
func (a *Assignment) group(user uint64) int { return int(a.hash(user) % groups) }

// hash is a user's lot for this challenger (the finaliser of splitmix64). It is
// independent of the hash that places users on shards, and of the lots drawn
// for other challengers.
func (a *Assignment) hash(user uint64) uint64 {
	x := user ^ a.Challenger*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
