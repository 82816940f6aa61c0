package catalog

import (
	"crypto/sha256"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// stamps is which signatures under commands were used. It remembers the last
// wire.MaxStamps of them, in the order of the log. Of one that gives way it
// keeps the version that its stamp begins with: nothing as old as that is taken
// any more. So a signature is used once for ever, by no clock.
type stamps struct {
	floor uint64
	used  map[[16]byte]bool
	order []wire.StampUse // of used, oldest first
}

func newStamps() stamps { return stamps{used: map[[16]byte]bool{}} }

// useOf names one use of a signature: what was signed, and by whom. Nobody can
// use up another's.
func useOf(signer [32]byte, proof []byte, stamp api.Stamp) (u wire.StampUse) {
	sum := sha256.Sum256(append(signer[:], proof...))
	copy(u.Use[:], sum[:])
	u.Version = stamp.Version()
	return u
}

func useOfAsked(m *wire.Asked) wire.StampUse { return useOf(m.Key, requestProof(m), m.Stamp) }

func requestProof(m *wire.Asked) []byte {
	return api.RequestProof(m.Procedure, m.Session[:], api.RequestDigest(m.Stamp, m.Request))
}

// check refuses what was used, and what cannot be told.
func (s *stamps) check(u wire.StampUse, version uint64) error {
	switch {
	case s.used[u.Use]:
		return holo.Refuse(holo.Denied, ReasonReplayed, "signed command: it was carried out, or refused, before")
	case u.Version < s.floor || u.Version > version:
		return holo.Refuse(holo.Stale, ReasonStaleStamp, "signed command: its stamp is of version %d, want %d to %d: open a session anew", u.Version, s.floor, version)
	}
	return nil
}

// spend remembers a use; the oldest gives way.
func (s *stamps) spend(u wire.StampUse) {
	if len(s.order) == wire.MaxStamps {
		oldest := s.order[0]
		delete(s.used, oldest.Use)
		s.order = s.order[1:]
		s.floor = max(s.floor, oldest.Version+1)
	}
	s.used[u.Use] = true
	s.order = append(s.order, u)
}

func (s *stamps) record(nodes bool) *wire.Stamps {
	return &wire.Stamps{Nodes: nodes, Floor: s.floor, Uses: s.order}
}

func (s *stamps) load(m *wire.Stamps) {
	*s = newStamps()
	s.floor = m.Floor
	for _, u := range m.Uses {
		s.used[u.Use] = true
		s.order = append(s.order, u)
	}
}

// consistent reports whether no use is there twice, or of a version to come.
func (s *stamps) consistent(version uint64) bool {
	for _, u := range s.order {
		if u.Version > version {
			return false
		}
	}
	return len(s.used) == len(s.order) && s.floor <= version+1
}
