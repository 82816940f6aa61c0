package storage

import (
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// tidy does what is to be done, and says how often that took a call.
func tidy(t *testing.T, s *Store) (calls int) {
	t.Helper()
	for more := true; more; calls++ {
		var err error
		if more, err = s.Tidy(); err != nil {
			t.Fatal(err)
		}
	}
	return calls
}

func rotate(t *testing.T, s *Store) (before key.Secret) {
	t.Helper()
	before = s.mu.key.secret
	was := s.Keys().Generation
	if k, err := s.Rotate(was); err != nil || k.Generation != was+1 {
		t.Fatalf("%+v, %v", k, err)
	}
	return before
}

func TestOlderDataKeyIsWipedWhenItsLastRecordIsGone(t *testing.T) {
	s := open(newDisk(), MinLimit)
	pages := []Page{pageOf(1), pageOf(2), pageOf(3), pageOf(4), pageOf(5), pageOf(6)}
	write(t, s, pages...)
	before := rotate(t, s)
	write(t, s, pageOf(7))
	if k := s.Keys(); k.Generation != 2 || k.Older != 1 || k.Records != 6 {
		t.Fatalf("after a rotation: %+v", k)
	}
	if before.IsZero() {
		t.Fatal("the older key is wiped while pages lie under it")
	}
	s.Forget(6)
	held, at, k, err := s.hold(pages[0]) // a read that is under way
	if err != nil {
		t.Fatal(err)
	}
	tidy(t, s)
	if k := s.Keys(); before.IsZero() || k.Records != 1 {
		t.Fatalf("while a page is read under it: %+v, wiped %t", k, before.IsZero())
	}
	if err := s.load(held, at, k, pages[0], make([]byte, holo.PageSize)); err != nil {
		t.Errorf("the read that was under way: %v", err)
	}
	s.mu.Lock()
	held.readers--
	s.release(k, 1)
	s.let(held)
	s.mu.Unlock()
	if k := s.Keys(); !before.IsZero() || k.Older != 0 || k.Records != 0 {
		t.Errorf("when the last page has left it: %+v, wiped %t", k, before.IsZero())
	}
	if err := wrong(t, s, append(pages[:5:5], pageOf(7))...); err != nil {
		t.Fatal(err)
	}
}

func TestForgottenRecordsKeepNoKey(t *testing.T) {
	s := open(newDisk(), MinLimit)
	write(t, s, pageOf(1), pageOf(2))
	before := rotate(t, s)
	s.Forget(1)
	s.Forget(2)
	if k := s.Keys(); !before.IsZero() || k.Older != 0 {
		t.Errorf("nothing lies under it: %+v, wiped %t", k, before.IsZero())
	}
	if before = rotate(t, s); !before.IsZero() {
		t.Error("a key under which nothing lay is not wiped at once")
	}
}

func TestNothingOpensUnderTheKeyBefore(t *testing.T) {
	d := newDisk()
	s := open(d, MinLimit)
	write(t, s, pageOf(1))
	old := d.files[segmentName(1)].data[:recordSize]
	at := s.mu.index[1]
	record := slices.Clone(old)
	rotate(t, s)
	tidy(t, s)
	if moved := s.mu.index[1]; moved == at {
		t.Fatal("the record was not moved")
	}
	if s.mu.key.open(make([]byte, holo.PageSize), pageOf(1), at, record) {
		t.Error("what was sealed before the rotation opens under the key after it")
	}
}

func TestMoreKeysThanAreRememberedAreRefused(t *testing.T) {
	s := open(newDisk(), MinLimit)
	for ref := range uint64(maxKeys - 1) {
		write(t, s, pageOf(ref+1))
		rotate(t, s)
	}
	if _, err := s.Rotate(maxKeys); holo.ReasonOf(err) != ReasonRotating || s.Keys().Generation != maxKeys {
		t.Errorf("%v at %+v", err, s.Keys())
	}
	tidy(t, s)
	rotate(t, s)
}

func TestDataKeyIsReplacedOnce(t *testing.T) {
	s := open(newDisk(), MinLimit)
	rotate(t, s)
	for _, from := range []uint32{0, 1, 3} {
		if _, err := s.Rotate(from); holo.ReasonOf(err) != ReasonStaleKey || s.Keys().Generation != 2 {
			t.Errorf("from %d: %v, %+v", from, err, s.Keys())
		}
	}
}

// TestRotationsOfAFullFolderLoseNothing keeps as many pages as Capacity says,
// replaces the key again and again while pages come and go, and has each older
// one wiped in the end, without any write being refused.
func TestRotationsOfAFullFolderLoseNothing(t *testing.T) {
	d := newDisk()
	s := open(d, MinLimit)
	r := rand.New(rand.NewPCG(3, 4))
	full := Capacity(MinLimit)
	var live []Page
	var olds []key.Secret
	for ref := range uint64(4 * full) {
		if len(live) == full {
			i := r.IntN(len(live))
			s.Forget(live[i].Ref)
			live = slices.Delete(live, i, i+1)
		}
		write(t, s, pageOf(ref+1))
		live = append(live, pageOf(ref+1))
		if len(live) == full && ref%200 == 0 && s.Keys().Older == 0 {
			olds = append(olds, rotate(t, s))
		}
		if _, err := s.Tidy(); err != nil {
			t.Fatal(err)
		}
		if d.bytes() > MinLimit {
			t.Fatalf("%d bytes on disk", d.bytes())
		}
	}
	tidy(t, s)
	for i, old := range olds {
		if !old.IsZero() {
			t.Errorf("key %d of %d is not wiped: %+v", i+1, len(olds), s.Keys())
		}
	}
	if len(olds) < 3 {
		t.Errorf("only %d rotations", len(olds))
	}
	if err := wrong(t, s, live...); err != nil {
		t.Fatal(err)
	}
}

func TestDiskThatFailsWhilePagesAreSealedAnewLosesNoneOfThem(t *testing.T) {
	d := newDisk()
	s := open(d, MinLimit)
	pages := []Page{pageOf(1), pageOf(2), pageOf(3)}
	write(t, s, pages...)
	before := rotate(t, s)
	d.setFault(func(op string) error {
		if op == "write" {
			return syscall.EIO
		}
		return nil
	})
	if _, err := s.Tidy(); holo.ReasonOf(err) != ReasonDisk || before.IsZero() || s.Keys().Records != len(pages) {
		t.Errorf("%v, %+v, wiped %t", err, s.Keys(), before.IsZero())
	}
	if err := wrong(t, s, pages...); err != nil {
		t.Fatal(err)
	}
	d.setFault(nil)
	tidy(t, s)
	if !before.IsZero() {
		t.Errorf("the older key is not wiped: %+v", s.Keys())
	}
	if err := wrong(t, s, pages...); err != nil {
		t.Fatal(err)
	}
}
