package digest

import (
	"encoding/hex"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// Known answers from the BLAKE3 team's test vectors (input: 0, 1, ... 250
// repeated), first 32 bytes of the hash.
func TestKnownAnswers(t *testing.T) {
	for n, want := range map[int]string{
		0:    "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
		1:    "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
		1024: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
	} {
		in := make([]byte, n)
		for i := range in {
			in[i] = byte(i % 251)
		}
		got := Of(in)
		if hex.EncodeToString(got[:]) != want {
			t.Errorf("%d bytes: %x, want %s", n, got, want)
		}
	}
}

func TestEveryBitCounts(t *testing.T) {
	page := make([]byte, holo.PageSize)
	for _, at := range []int{0, 1, 4095, holo.PageSize - 1} {
		page[at] ^= 0x10
		if Check(page, Zero) {
			t.Errorf("a page with bit 4 of byte %d set passes for a zero page", at)
		}
		page[at] ^= 0x10
	}
	if !Check(page, Zero) {
		t.Error("a zero page does not pass")
	}
}

func TestRootDependsOnOrderAndLength(t *testing.T) {
	a, b := Of([]byte("a")), Of([]byte("b"))
	roots := map[holo.Digest]bool{Root(nil): true, Root([]holo.Digest{a, b}): true, Root([]holo.Digest{b, a}): true, Root([]holo.Digest{a}): true}
	if len(roots) != 4 {
		t.Errorf("%d different roots of 4 different lists", len(roots))
	}
}

// The root of few digests is taken another way than that of many: it is the same.
func TestRootOfAnExtentIsThatOfAList(t *testing.T) {
	var list []holo.Digest
	for n := range holo.MaxExtentPages + 2 {
		h := NewRoot(uint64(n))
		for _, d := range list {
			h.Add(d)
		}
		if Root(list) != h.Sum() {
			t.Errorf("%d digests have another root", n)
		}
		list = append(list, Of([]byte{byte(n)}))
	}
}
