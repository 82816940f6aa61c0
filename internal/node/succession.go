package node

import (
	"context"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/storage"
	"github.com/holocompute/holocompute/internal/wire"
)

// Reasons of the refusals here.
const (
	reasonOwnKey  = "own_key_only"    // by a token: a key is replaced by itself
	reasonNoSpill = "no_spill_folder" // the node keeps no pages on its disk
)

// SucceedUser brings a key's succession to the catalogue, which checks the
// signatures of both keys. Whose place is given away is the caller's own: the
// holder of a token acts for somebody, and is not them.
func (n *Node) SucceedUser(ctx context.Context, c door.Caller, m *holov1.SucceedUserRequest) (*holov1.SucceedUserResponse, error) {
	if c.Token != nil {
		return nil, holo.Refuse(holo.Denied, reasonOwnKey, "replace key: it takes the key itself, and not a token")
	}
	cmd := &wire.Succession{Old: c.Key, Next: holo.PrincipalID(m.GetNext()), Epoch: m.GetEpoch()}
	copy(cmd.OldSig[:], m.GetSignature())
	copy(cmd.NextSig[:], m.GetNextSignature())
	head, err := proposeFor[*wire.AccessHead](ctx, n, cmd)
	if err != nil {
		return nil, err
	}
	n.learnNow(ctx)
	return &holov1.SucceedUserResponse{Epoch: head.Epoch}, nil
}

// DataKey says which key seals what this node puts on its disk.
func (n *Node) DataKey(context.Context, door.Caller) (*holov1.DataKey, error) {
	if n.memory.Store() == nil {
		return &holov1.DataKey{}, nil
	}
	return dataKeyOut(n.memory.Store().Keys()), nil
}

// RotateData replaces that key. Nobody waits for the pages that lie under the
// one before.
func (n *Node) RotateData(_ context.Context, _ door.Caller, m *holov1.RotateDataRequest) (*holov1.DataKey, error) {
	switch node := holo.NodeID(m.GetNode()); {
	case node != n.self:
		return nil, holo.Refuse(holo.Conflict, reasonElsewhere, "replace data key of node %s: ask that node, and not node %s", node, n.self)
	case n.memory.Store() == nil:
		return nil, holo.Refuse(holo.Conflict, reasonNoSpill, "replace data key: node %s keeps no pages on disk (--spill)", n.self)
	}
	k, err := n.memory.Store().Rotate(m.GetGeneration())
	if err != nil {
		return nil, err
	}
	n.log.Info("data key replaced", "event", "key.rotate_data", "generation", k.Generation, "pages_under_older", k.Records)
	return dataKeyOut(k), nil
}

func dataKeyOut(k storage.Keys) *holov1.DataKey {
	return &holov1.DataKey{Generation: k.Generation, CreatedUnix: k.Created.Unix(), Older: uint32(k.Older), Records: uint64(k.Records)}
}
