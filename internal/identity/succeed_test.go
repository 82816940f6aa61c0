package identity

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

func someOwners(n int) []holo.PrincipalID {
	owners := make([]holo.PrincipalID, n)
	for i := range owners {
		owners[i] = key.GenerateSigner().Public()
	}
	return owners
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A pin goes from owner to owner as they vouch for one another, keeps those that it
// passed, and never goes back, whatever is put or followed afterwards.
func TestPinFollowsItsOwnerForwardOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), KnownFile)
	owners := someOwners(4)
	first := Pin{Cluster: holo.ClusterID{1}, Owner: owners[0], Addresses: []string{"a:1"}}
	change := func(do func(*Known) error) error { return ChangeKnown(path, do) }
	follow := func(line ...holo.PrincipalID) error {
		return change(func(k *Known) error { return k.Follow(first.Cluster, line) })
	}
	now := func() Pin {
		k, err := ReadKnown(path)
		must(t, err)
		p, _ := k.Find(first.Cluster)
		return p
	}
	must(t, follow(owners...)) // a cluster that is not pinned is left alone
	must(t, change(func(k *Known) error { return k.Put(first) }))
	must(t, follow(owners[:2]...))
	must(t, follow(owners...))
	if p := now(); p.Owner != owners[3] || !slices.Equal(p.Former, owners[:3]) {
		t.Fatalf("the pin is %+v", p)
	}
	must(t, follow(owners[:2]...)) // by a process that is behind
	again := first
	again.Addresses = []string{"b:1"}
	must(t, change(func(k *Known) error { return k.Put(again) }))
	if p := now(); p.Owner != owners[3] || !slices.Equal(p.Former, owners[:3]) || !slices.Equal(p.Addresses, []string{"b:1", "a:1"}) {
		t.Errorf("the pin went back to %+v", p)
	}
	thief := someOwners(1)[0]
	for _, line := range [][]holo.PrincipalID{{thief}, {owners[0], thief}} {
		if err := follow(line...); holo.ReasonOf(err) != ReasonPinMismatch {
			t.Errorf("followed %v: %v", line, err)
		}
	}
	if err := change(func(k *Known) error {
		return k.Put(Pin{Cluster: first.Cluster, Owner: thief, Addresses: []string{"a:1"}})
	}); holo.ReasonOf(err) != ReasonPinMismatch {
		t.Errorf("a thief's pin was put: %v", err)
	}
	if p := now(); p.Owner != owners[3] {
		t.Errorf("the pin is %+v", p)
	}
}

func TestPinsOfTheLongestLinesFitTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), KnownFile)
	long := func(i, j int) string {
		return string(slices.Repeat([]byte{'a' + byte(j)}, 100)) + string(rune('a'+i%26)) + string(rune('a'+i/26)) + ":65535"
	}
	must(t, ChangeKnown(path, func(k *Known) error {
		for i := range maxKnown {
			p := Pin{Cluster: holo.ClusterID{1, byte(i)}, Owner: someOwners(1)[0], Former: someOwners(MaxFormer)}
			for j := range MaxPinAddresses {
				p.Addresses = append(p.Addresses, long(i, j))
			}
			if err := k.Put(p); err != nil {
				return err
			}
		}
		return nil
	}))
	k, err := ReadKnown(path)
	if err != nil || len(k.Pins) != maxKnown || len(k.Pins[63].Former) != MaxFormer {
		t.Errorf("%d pins, %v", len(k.Pins), err)
	}
}
