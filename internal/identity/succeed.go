package identity

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
)

// MaxFormer is how many earlier owners a pin remembers: all that a cluster can
// have had.
const MaxFormer = 15

// Follow gives the pin as its owner's successions leave it: owners are those that
// were proven, in order, the owner of now last. It only ever goes on: the pin stays
// where owners do not lead from its owner to another one.
func (p Pin) Follow(owners []holo.PrincipalID) Pin {
	i := slices.Index(owners, p.Owner)
	if i < 0 || i == len(owners)-1 {
		return p
	}
	p.Former = slices.Concat(p.Former, owners[i:len(owners)-1])
	p.Owner = owners[len(owners)-1]
	return p
}

// Succeeds reports whether a key was the owner's before the one that is pinned.
func (p Pin) Succeeds(owner holo.PrincipalID) bool { return slices.Contains(p.Former, owner) }

// Follow moves the pin of a cluster on, where the key that is pinned has vouched
// for the next. A cluster that is not pinned is left alone; one whose pin went
// further since stays there.
func (k *Known) Follow(cluster holo.ClusterID, owners []holo.PrincipalID) error {
	i := slices.IndexFunc(k.Pins, func(p Pin) bool { return p.Cluster == cluster })
	if i < 0 || len(owners) == 0 {
		return nil
	}
	pin, last := k.Pins[i], owners[len(owners)-1]
	if !slices.Contains(owners, pin.Owner) && !pin.Succeeds(last) {
		return Mismatch("cluster "+cluster.String(), pin, Pin{Cluster: cluster, Owner: last})
	}
	k.Pins = slices.Clone(k.Pins)
	k.Pins[i] = pin.Follow(owners)
	return nil
}
