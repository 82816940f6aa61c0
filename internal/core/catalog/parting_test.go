package catalog

import (
	"testing"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// A node that was off believes that it was put out by the owner that it knows, or a
// successor, of the admission that it has, and by nobody else.
func TestPartingIsBelievedOfTheOwnerAlone(t *testing.T) {
	w := settled(t, 3)
	admission := w.Chain()[1]
	w.do(hand(w, "owner", "owner 2"))
	e := &wire.Evict{Node: node(2), Admission: RecordHash(&admission)}
	signEvictBy(w, e, "owner 2")
	record := *w.do(e).(*wire.ChainRecord)
	v, err := ReadChain(cluster, ownerID(), w.Chain())
	if err != nil {
		t.Fatal(err)
	}
	for _, known := range []string{"owner", "owner 2"} {
		r, err := VerifyParting(cluster, principal(known), node(2), RecordHash(&admission), v.Parting(record))
		if err != nil || r.Node != node(2) || r.Time != now {
			t.Errorf("by %s: %+v, %v", known, r, err)
		}
	}
	forged := record
	e = &wire.Evict{Node: node(2), Admission: record.Admission}
	signEvictBy(w, e, "owner")
	forged.OwnerSig, forged.Prev = e.OwnerSig, w.chain.head
	other := record
	other.Node = node(3)
	for name, bad := range map[string]struct {
		known string
		word  []byte
	}{
		"signed by a former owner":    {"owner 2", v.Parting(forged)},
		"of another node":             {"owner", v.Parting(other)},
		"known to somebody else":      {"thief", v.Parting(record)},
		"no parting":                  {"owner", wire.Encode(&record)},
		"nonsense":                    {"owner", []byte{1}},
		"an admission, not an end":    {"owner", v.Parting(admission)},
		"with a signature of nobody":  {"owner", v.Parting(func() wire.ChainRecord { r := record; r.OwnerSig[5] ^= 1; return r }())},
		"of an admission before this": {"owner", v.Parting(func() wire.ChainRecord { r := record; r.Admission[0]++; return r }())},
	} {
		if _, err := VerifyParting(cluster, principal(bad.known), node(2), RecordHash(&admission), bad.word); err == nil {
			t.Errorf("a parting %s was believed", name)
		}
	}
	if _, err := VerifyParting(cluster, ownerID(), holo.NodeID{9}, RecordHash(&admission), v.Parting(record)); err == nil {
		t.Error("somebody else parted")
	}
}

func signEvictBy(w *town, m *wire.Evict, owner string) {
	copy(m.OwnerSig[:], signer(owner).Sign(api.EvictProof(cluster, w.chain.head, m.Node, m.Admission, m.LoseData)))
}
