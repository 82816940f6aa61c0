package identity

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

func pinAt(cluster byte, addresses ...string) Pin {
	return Pin{Cluster: holo.ClusterID{cluster}, Owner: holo.PrincipalID(key.GenerateSigner().Public()), Addresses: addresses}
}

func TestPinsReadBackAsWritten(t *testing.T) {
	p := pinAt(1, "192.0.2.1:7600", "[2001:db8::1]:7600")
	got, err := ParsePin("\t" + p.Text() + "\n")
	if err != nil || !got.Same(p) || len(got.Addresses) != 2 || got.Fingerprint() != p.Fingerprint() {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range p.Text() {
		for _, bad := range []string{p.Text()[:n], p.Text()[:n] + string(p.Text()[n]^1) + p.Text()[n+1:]} {
			if _, err := ParsePin(bad); holo.ReasonOf(err) != "bad_pin" {
				t.Fatalf("%q: %v", bad, err)
			}
		}
	}
	for what, spoil := range map[string]func(*Pin){
		"no cluster": func(p *Pin) { p.Cluster = holo.ClusterID{} },
		"no owner":   func(p *Pin) { p.Owner = holo.PrincipalID{} },
		"no place":   func(p *Pin) { p.Addresses = nil },
		"twice":      func(p *Pin) { p.Addresses = []string{"a:1", "a:1"} },
		"escape":     func(p *Pin) { p.Addresses = []string{"\x1b[2J:80"} },
	} {
		bad := p
		if spoil(&bad); what != "" {
			if _, err := ParsePin(bad.Text()); holo.ReasonOf(err) != "bad_pin" {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

// The fingerprint is of the cluster and its owner, not of where it was found,
// and people may write it as they like.
func TestFingerprintsTellClustersApart(t *testing.T) {
	p := pinAt(1, "a:1")
	moved, other, founder := p, p, p
	moved.Addresses = []string{"b:1"}
	other.Cluster[15] ^= 1
	founder.Owner[31] ^= 1
	if moved.Fingerprint() != p.Fingerprint() || other.Fingerprint() == p.Fingerprint() || founder.Fingerprint() == p.Fingerprint() {
		t.Error("the fingerprint is of something else")
	}
	f := p.Fingerprint()
	if len(f) != 39 || strings.Count(f, "-") != 7 {
		t.Errorf("fingerprint %s", f)
	}
	for _, written := range []string{f, strings.ToUpper(f), strings.ReplaceAll(f, "-", ""), " " + strings.ReplaceAll(f, "-", " ") + "\n"} {
		if !p.Matches(written) {
			t.Errorf("%q does not match", written)
		}
	}
	for _, wrong := range []string{"", "-", f[:38], f + "a", other.Fingerprint()} {
		if p.Matches(wrong) {
			t.Errorf("%q matches", wrong)
		}
	}
}

func TestKnownClustersComeBackFromDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), KnownFile)
	if k, err := ReadKnown(path); err != nil || len(k.Pins) != 0 {
		t.Fatalf("no file: %+v, %v", k, err)
	}
	a, b := pinAt(2, "a:1"), pinAt(1, "b:1", "c:1")
	err := ChangeKnown(path, func(k *Known) error {
		k.Default = a.Cluster
		return errJoin(k.Put(a), k.Put(b))
	})
	if err != nil {
		t.Fatal(err)
	}
	k, err := ReadKnown(path)
	if err != nil || k.Default != a.Cluster || len(k.Pins) != 2 || !k.Pins[0].Same(b) || !k.Pins[1].Same(a) {
		t.Fatalf("%+v, %v", k, err)
	}
	if p, ok := k.At("c:1"); !ok || !p.Same(b) {
		t.Errorf("at c:1: %+v", p)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := ChangeKnown(path, func(k *Known) error { return k.Remove(a.Cluster) }); err != nil {
		t.Fatal(err)
	}
	if k, _ := ReadKnown(path); k.Default != (holo.ClusterID{}) || len(k.Pins) != 1 {
		t.Errorf("after the removal: %+v", k)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	_, err = ReadKnown(path)
	wantReason(t, "others can change it", err, holo.Denied, ReasonWrongMode)
}

func errJoin(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Neither another owner of a known cluster nor another cluster at a known
// address gets into the file: the pin stays as it is.
func TestPinIsNeverReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), KnownFile)
	p := pinAt(1, "a:1")
	put := func(p Pin) error { return ChangeKnown(path, func(k *Known) error { return k.Put(p) }) }
	if err := put(p); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	usurper := pinAt(1, "b:1")
	for what, bad := range map[string]Pin{"another owner": usurper, "another cluster at its address": pinAt(2, "c:1", "a:1")} {
		err := put(bad)
		wantReason(t, what, err, holo.Denied, ReasonPinMismatch)
		if !strings.Contains(err.Error(), "ALARM") || !strings.Contains(err.Error(), p.Fingerprint()) || !strings.Contains(err.Error(), bad.Fingerprint()) {
			t.Errorf("%s: the alarm does not tell both fingerprints: %v", what, err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Errorf("%s: the file changed", what)
		}
	}
	moved := p
	moved.Addresses = []string{"d:1"}
	if err := put(moved); err != nil {
		t.Fatal(err)
	}
	if k, _ := ReadKnown(path); strings.Join(k.Pins[0].Addresses, " ") != "d:1 a:1" {
		t.Errorf("addresses %v", k.Pins[0].Addresses)
	}
}

func TestEveryDamageToKnownClustersIsNoticed(t *testing.T) {
	path := filepath.Join(t.TempDir(), KnownFile)
	if err := ChangeKnown(path, func(k *Known) error { return errJoin(k.Put(pinAt(1, "a:1")), k.Put(pinAt(2, "b:1"))) }); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadKnown(path)
		wantReason(t, what, err, holo.Corrupt, ReasonDamaged)
		if err := ChangeKnown(path, func(k *Known) error { return nil }); err == nil {
			t.Errorf("%s: written over", what)
		}
	}
	for n := range good {
		try("truncated", good[:n])
	}
	try("space", append(bytes.Clone(good), ' '))
	try("two clusters at one place", bytes.Replace(good, []byte("b:1"), []byte("a:1"), 1))
	try("default that is not pinned", bytes.Replace(good, []byte(`"version": 1,`), []byte(`"version": 1,`+"\n  "+`"default": "`+strings.Repeat("07", 16)+`",`), 1))
	try("other version", bytes.Replace(good, []byte(`"version": 1`), []byte(`"version": 2`), 1))
}

// Processes that pin at once lose nothing of one another's.
func TestConcurrentPinsAreAllKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), KnownFile)
	var wg sync.WaitGroup
	for i := range byte(24) {
		wg.Go(func() {
			p := pinAt(i+1, "host"+string('a'+rune(i))+":1")
			if err := ChangeKnown(path, func(k *Known) error { return k.Put(p) }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if k, err := ReadKnown(path); err != nil || len(k.Pins) != 24 {
		t.Errorf("%d pins, %v", len(k.Pins), err)
	}
}

func FuzzPin(f *testing.F) {
	f.Add(pinAt(1, "192.0.2.1:7600").Text())
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := ParsePin(text); err == nil && p.Text() != strings.TrimSpace(text) {
			t.Errorf("%q reads back as %q", text, p.Text())
		}
	})
}
