package catalog

import (
	"testing"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/wire"
)

func rekey(by string, epoch uint64) *wire.ClusterRekey {
	m := &wire.ClusterRekey{Epoch: epoch}
	copy(m.OwnerSig[:], signer(by).Sign(api.RekeyProof(cluster, epoch)))
	return m
}

func put(epoch uint64) *wire.ClusterKeyPut {
	return &wire.ClusterKeyPut{Epoch: epoch, Key: secret("cluster key " + string(rune('0'+epoch)))}
}

func (w *town) confirm(n int, epoch uint64) {
	w.Helper()
	w.do(&wire.ClusterKeyConfirm{Node: node(n), Epoch: epoch})
}

// epochs are those whose keys are kept.
func (w *town) epochs() (list []uint64) {
	for _, k := range w.keys.epochs {
		list = append(list, k.Epoch)
	}
	return list
}

func (w *town) wantEpochs(want ...uint64) {
	w.Helper()
	got := w.epochs()
	if len(got) != len(want) {
		w.Fatalf("keys of epochs %v are kept, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			w.Fatalf("keys of epochs %v are kept, want %v", got, want)
		}
	}
}

func TestEvictionWantsAnotherKeyAndNobodyElseDoes(t *testing.T) {
	w := settled(t, 3)
	w.refused(ReasonKeyEpoch, put(2))
	w.do(evict(w, 3))
	w.refused(ReasonKeyEpoch, put(3))
	w.do(put(2))
	w.refused(ReasonKeyEpoch, put(2))
	w.refused(ReasonKeyEpoch, put(3))
	if newest, wanted := w.ClusterKey(); newest.Epoch != 2 || newest.Settled || wanted != 2 || !newest.Key.Equal(secret("cluster key 2")) {
		t.Errorf("key %d, settled %v, wanted %d", newest.Epoch, newest.Settled, wanted)
	}
}

func TestOnlyTheOwnerRotatesAndOnce(t *testing.T) {
	w := settled(t, 2)
	w.refused(ReasonOwnerSig, rekey("node 1", 1))
	m := rekey("owner", 1)
	m.Epoch = 2 // what was signed is for the first
	w.refused(ReasonOwnerSig, m)
	w.do(rekey("owner", 1))
	w.do(put(2))
	w.refused(ReasonKeyEpoch, rekey("owner", 1)) // replayed
}

func TestFormerKeyIsKeptForWhoMayHaveNoOther(t *testing.T) {
	w := settled(t, 3)
	w.do(rekey("owner", 1))
	w.do(put(2))
	w.wantEpochs(1, 2)
	w.confirm(1, 2)
	w.confirm(2, 2)
	w.do(&wire.ClusterKeySettle{Epoch: 2})
	w.wantEpochs(1, 2) // node 3 is away
	w.do(rekey("owner", 2))
	w.do(put(3))
	w.confirm(1, 3)
	w.confirm(2, 3)
	w.wantEpochs(1, 2, 3)
	w.confirm(1, 1) // an old word changes nothing
	w.confirm(3, 2)
	w.wantEpochs(2, 3)
	w.do(evict(w, 3))
	w.wantEpochs(3)
	if w.Confirmed(node(3)) != 0 || len(w.FormerKeys()) != 0 {
		t.Error("something of the evicted node is kept")
	}
	w.refused("", &wire.ClusterKeyConfirm{Node: node(3), Epoch: 3})
	w.refused(ReasonKeyEpoch, &wire.ClusterKeyConfirm{Node: node(2), Epoch: 4})
}

func TestKeysOfOneThatNeverComesBackAreBounded(t *testing.T) {
	w := settled(t, 2)
	for epoch := uint64(2); epoch <= MaxClusterKeys+3; epoch++ {
		w.do(rekey("owner", epoch-1))
		w.do(put(epoch))
		w.confirm(1, epoch)
	}
	if got := w.epochs(); len(got) != MaxClusterKeys || got[0] != 4 {
		t.Errorf("epochs %v", got)
	}
}

func TestNewcomerWasHandedTheNewestOrTheOneBefore(t *testing.T) {
	w := settled(t, 2)
	w.do(rekey("owner", 1))
	w.do(put(2))
	w.do(invite("i", expires))
	w.do(admit(3, "i"))
	if got := w.Confirmed(node(3)); got != 1 {
		t.Errorf("in the overlap: epoch %d", got)
	}
	w.do(&wire.ClusterKeySettle{Epoch: 2})
	w.do(invite("j", expires))
	w.do(admit(4, "j"))
	if got := w.Confirmed(node(4)); got != 2 {
		t.Errorf("after it: epoch %d", got)
	}
}
