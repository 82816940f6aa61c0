package identity

import (
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// Pin is what a client knows a cluster by: its ID and the key whose signatures
// admit its nodes. Where it was found is kept beside it and identifies nobody.
type Pin struct {
	Cluster   holo.ClusterID
	Owner     holo.PrincipalID
	Addresses []string           // host:port of nodes, at most MaxPinAddresses
	Former    []holo.PrincipalID // owners before that one, which have vouched for it; it is not passed on
}

// MaxPinAddresses is the most addresses that a pin remembers.
const MaxPinAddresses = maxAddresses

const (
	pinPrefix = "holopin1-"
	pinFixed  = 16 + 32 + 1

	fingerprintSize = 20 // bytes: nobody makes another cluster with a given one
	fingerprintWord = 4  // characters in a group
)

// Same reports whether two pins are of the same cluster and owner.
func (p Pin) Same(other Pin) bool {
	return p.Cluster.Equal(other.Cluster) && p.Owner == other.Owner
}

// Fingerprint is what people compare: eight groups of four letters and digits.
func (p Pin) Fingerprint() string {
	sum := sha256.Sum256(append(append([]byte("holocompute/pin/1\x00"), p.Cluster[:]...), p.Owner[:]...))
	digits := inviteText.EncodeToString(sum[:fingerprintSize])
	var groups []string
	for ; len(digits) > 0; digits = digits[fingerprintWord:] {
		groups = append(groups, digits[:fingerprintWord])
	}
	return strings.Join(groups, "-")
}

// Matches reports whether people who wrote the fingerprint, in capitals or
// without the dashes perhaps, mean this pin: as it is, or as it was before the
// owner's key was replaced.
func (p Pin) Matches(fingerprint string) bool {
	return bare(fingerprint) == bare(p.Fingerprint()) || slices.ContainsFunc(p.Former, func(owner holo.PrincipalID) bool {
		return bare(fingerprint) == bare(Pin{Cluster: p.Cluster, Owner: owner}.Fingerprint())
	})
}

func bare(fingerprint string) string {
	return strings.NewReplacer("-", "", " ", "").Replace(strings.ToLower(strings.TrimSpace(fingerprint)))
}

// Text is the pin as people pass it on: it is no secret, but whoever changes it
// on the way changes whom its reader trusts.
func (p Pin) Text() string {
	b := append(append([]byte(nil), p.Cluster[:]...), p.Owner[:]...)
	return wrap(pinPrefix, appendAddresses(b, p.Addresses))
}

// ParsePin reads what Text made, spaces around it allowed.
func ParsePin(text string) (p Pin, err error) {
	b, err := unwrap(pinPrefix, text, pinFixed)
	if err != nil {
		return Pin{}, badPin("%w", err)
	}
	b = b[copy(p.Cluster[:], b):]
	b = b[copy(p.Owner[:], b):]
	if p.Addresses, err = decodeAddresses(b); err != nil {
		return Pin{}, badPin("%w", err)
	}
	if err := p.check(); err != nil {
		return Pin{}, badPin("%w", err)
	}
	return p, nil
}

func (p Pin) check() error {
	switch {
	case p.Cluster == (holo.ClusterID{}):
		return holo.Errorf(holo.Invalid, "it names no cluster")
	case key.CheckPublic(p.Owner) != nil:
		return holo.Errorf(holo.Invalid, "the owner's key is no key")
	case len(p.Former) > MaxFormer || slices.Contains(p.Former, p.Owner):
		return holo.Errorf(holo.Invalid, "%d owners before the one pinned, at most %d others", len(p.Former), MaxFormer)
	case len(p.Addresses) == 0 || len(p.Addresses) > MaxPinAddresses:
		return holo.Errorf(holo.Invalid, "%d addresses, want 1 to %d", len(p.Addresses), MaxPinAddresses)
	}
	for i, address := range p.Addresses {
		if !dialable(address) || len(address) > maxAddress || slices.Contains(p.Addresses[:i], address) {
			return holo.Errorf(holo.Invalid, "%q is no host:port, or there twice", address)
		}
	}
	return nil
}

func badPin(format string, args ...any) error {
	return holo.Refuse(holo.Invalid, "bad_pin", "read pin: "+format, args...)
}
