package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
)

// KnownFile is where a user's configuration folder keeps the pins.
const KnownFile = "known_clusters"

// ReasonPinMismatch is that of the alarm: another cluster, or another owner's,
// answers where a pinned one did. Nothing replaces a pin but its removal by
// hand.
const ReasonPinMismatch = "pin_mismatch"

const (
	maxKnown     = 64
	maxKnownFile = 256 << 10 // 64 pins of 8 addresses and 15 former owners
)

// Known is the clusters that a user has pinned, ordered by ID. An address is
// that of one cluster at most.
type Known struct {
	Default holo.ClusterID // the one that is meant when none is named; zero: none
	Pins    []Pin
}

// Find gives the pin of a cluster.
func (k *Known) Find(id holo.ClusterID) (Pin, bool) {
	i := slices.IndexFunc(k.Pins, func(p Pin) bool { return p.Cluster == id })
	if i < 0 {
		return Pin{}, false
	}
	return k.Pins[i], true
}

// At gives the pin of the cluster that was found at an address.
func (k *Known) At(address string) (Pin, bool) {
	i := slices.IndexFunc(k.Pins, func(p Pin) bool { return slices.Contains(p.Addresses, address) })
	if i < 0 {
		return Pin{}, false
	}
	return k.Pins[i], true
}

// Check refuses a pin that contradicts what is known: another owner of the
// cluster, or an address where another cluster was found.
func (k *Known) Check(p Pin) error {
	if known, ok := k.Find(p.Cluster); ok && !known.Same(p) && !known.Succeeds(p.Owner) {
		return Mismatch("cluster "+p.Cluster.String(), known, p)
	}
	for _, address := range p.Addresses {
		if known, ok := k.At(address); ok && known.Cluster != p.Cluster {
			return Mismatch(address, known, p)
		}
	}
	return nil
}

// Mismatch is the alarm that where, a pinned cluster's place, another answers.
func Mismatch(where string, pinned, found Pin) error {
	return holo.Refuse(holo.Denied, ReasonPinMismatch,
		"ALARM at %s: another cluster shows itself than the one pinned (fingerprint %s, pinned %s): somebody may be in between, or it was made anew; nothing was told to it and the pin stays",
		where, found.Fingerprint(), pinned.Fingerprint())
}

// Put adds a pin, or new addresses to one that is known, the new ones first.
func (k *Known) Put(p Pin) error {
	if err := k.Check(p); err != nil {
		return err
	}
	if known, ok := k.Find(p.Cluster); ok {
		p.Owner, p.Former = known.Owner, known.Former // a pin never goes back
		for _, address := range known.Addresses {
			if !slices.Contains(p.Addresses, address) && len(p.Addresses) < MaxPinAddresses {
				p.Addresses = append(slices.Clip(p.Addresses), address)
			}
		}
		k.drop(p.Cluster)
	}
	if len(k.Pins) >= maxKnown {
		return holo.Errorf(holo.Exhausted, "pin cluster %s: %d are pinned, the most: holo cluster pin remove", p.Cluster, maxKnown)
	}
	if err := p.check(); err != nil {
		return badPin("%w", err)
	}
	k.Pins = append(k.Pins, p)
	slices.SortFunc(k.Pins, func(a, b Pin) int { return bytes.Compare(a.Cluster[:], b.Cluster[:]) })
	return nil
}

// Remove forgets a cluster: the next contact with it is the first.
func (k *Known) Remove(id holo.ClusterID) error {
	if _, ok := k.Find(id); !ok {
		return holo.Errorf(holo.NotFound, "remove pin: cluster %s is not pinned", id)
	}
	k.drop(id)
	if k.Default == id {
		k.Default = holo.ClusterID{}
	}
	return nil
}

func (k *Known) drop(id holo.ClusterID) {
	k.Pins = slices.DeleteFunc(slices.Clone(k.Pins), func(p Pin) bool { return p.Cluster == id })
}

// knownJSON is how it is written; IDs are in hexadecimal.
type knownJSON struct {
	Version int       `json:"version"`
	Default string    `json:"default,omitempty"`
	Pins    []pinJSON `json:"pins"`
}

type pinJSON struct {
	Cluster   string   `json:"cluster"`
	Owner     string   `json:"owner"`
	Addresses []string `json:"addresses"`
	Former    []string `json:"former_owners,omitempty"`
}

// ReadKnown reads the file of a configuration folder; one that is not there is
// empty. It is strict: what is read is byte for byte what was written.
func ReadKnown(path string) (*Known, error) {
	data, err := ReadPublic(path, maxKnownFile)
	if err != nil && holo.KindOf(err) == holo.NotFound {
		return &Known{}, nil
	}
	if err != nil {
		return nil, err
	}
	k, err := decodeKnown(data)
	if err != nil {
		return nil, damaged(path, "%w", err)
	}
	return k, nil
}

func decodeKnown(data []byte) (*Known, error) {
	var j knownJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return nil, err
	}
	k := &Known{}
	for _, line := range j.Pins {
		cluster, err := holo.ParseClusterID(line.Cluster)
		owner, err2 := holo.ParsePrincipalID(line.Owner)
		former, err3 := parseOwners(line.Former)
		if err := errors.Join(err, err2, err3); err != nil {
			return nil, err
		}
		if err := k.Put(Pin{Cluster: cluster, Owner: owner, Addresses: line.Addresses, Former: former}); err != nil {
			return nil, err
		}
	}
	if j.Default != "" {
		id, err := holo.ParseClusterID(j.Default)
		if _, ok := k.Find(id); err != nil || !ok {
			return nil, holo.Errorf(holo.Corrupt, "the default %q is not pinned", j.Default)
		}
		k.Default = id
	}
	if again, err := k.encode(); err != nil || !bytes.Equal(again, data) || j.Version != 1 {
		return nil, holo.Errorf(holo.Corrupt, "it is not as it was written")
	}
	return k, nil
}

func parseOwners(hex []string) (owners []holo.PrincipalID, err error) {
	for _, h := range hex {
		owner, err := holo.ParsePrincipalID(h)
		if err != nil {
			return nil, err
		}
		owners = append(owners, owner)
	}
	return owners, nil
}

func hexOwners(owners []holo.PrincipalID) (hex []string) {
	for _, owner := range owners {
		hex = append(hex, owner.Hex())
	}
	return hex
}

func (k *Known) encode() ([]byte, error) {
	j := knownJSON{Version: 1, Pins: []pinJSON{}}
	if k.Default != (holo.ClusterID{}) {
		j.Default = k.Default.String()
	}
	for _, p := range k.Pins {
		j.Pins = append(j.Pins, pinJSON{p.Cluster.String(), p.Owner.Hex(), p.Addresses, hexOwners(p.Former)})
	}
	data, err := json.MarshalIndent(j, "", "  ")
	if err != nil || len(data) >= maxKnownFile {
		return nil, holo.Errorf(holo.Invalid, "write %s: %d bytes: %w", KnownFile, len(data), err)
	}
	return append(data, '\n'), nil
}

// ChangeKnown reads the file, has it changed, and replaces it. Two processes
// that do so at once do it one after the other: a pin that got lost would be a
// first contact again.
func ChangeKnown(path string, change func(*Known) error) error {
	release, err := lock(path + ".lock")
	if err != nil {
		return err
	}
	defer release()
	k, err := ReadKnown(path)
	if err != nil {
		return err
	}
	if err := change(k); err != nil {
		return err
	}
	data, err := k.encode()
	if err != nil {
		return err
	}
	return WritePublic(path, data)
}

// SplitAddresses reads host:port[,host:port...].
func SplitAddresses(list string) ([]string, error) {
	addresses := strings.Split(list, ",")
	if len(addresses) > MaxPinAddresses {
		return nil, holo.Errorf(holo.Invalid, "%d addresses, at most %d", len(addresses), MaxPinAddresses)
	}
	for _, address := range addresses {
		if !dialable(address) || len(address) > maxAddress {
			return nil, holo.Errorf(holo.Invalid, "address %q: want host:port", address)
		}
	}
	return addresses, nil
}
