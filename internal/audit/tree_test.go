package audit

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// slowRoot is RFC 6962, section 2.1, as it is written there.
func slowRoot(leaves [][]byte) tlog.Hash {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	l, r := slowRoot(leaves[:k]), slowRoot(leaves[k:])
	return sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
}

func TestTreeIsThatOfTheRFC(t *testing.T) {
	var fast tree
	var leaves [][]byte
	for n := range 300 {
		got, err := fast.root()
		if err != nil {
			t.Fatal(err)
		}
		if want := slowRoot(leaves); got != want {
			t.Fatalf("root of %d leaves: %s, want %s", n, got, want)
		}
		leaf := fmt.Appendf(nil, "record %d", n)
		leaves = append(leaves, leaf)
		if err := fast.add(leaf); err != nil {
			t.Fatal(err)
		}
	}
}
