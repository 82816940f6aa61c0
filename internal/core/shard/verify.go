package shard

import (
	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Verify checks the digests of all content in a message. Whoever receives one
// MUST call it before Step; it needs no machine and may run on any goroutine.
func Verify(msg wire.Message) error {
	switch msg := msg.(type) {
	case *wire.Repl:
		for i := range msg.Entries {
			if err := VerifyMutation(&msg.Entries[i].Mutation); err != nil {
				return err
			}
		}
	case *wire.Recon:
		return verifyImages(msg.Images)
	case *wire.Snap:
		return verifyImages(msg.Images)
	case *wire.PageGive:
		if msg.Has && !digest.Check(msg.Data, msg.Digest) {
			return corrupt(msg.Page)
		}
	}
	return nil
}

// VerifyMutation checks the digests of a mutation's content: the duty of the
// node that takes it from a client or from another node.
func VerifyMutation(mu *wire.Mutation) error {
	for i := range mu.Changes {
		c := &mu.Changes[i]
		if c.Kind != wire.PageZero && !digest.Check(c.Data, c.Digest) {
			return corrupt(holo.PageID{Array: mu.Array, Index: c.Page})
		}
	}
	return nil
}

// SignMutation puts the digests into a mutation: the duty of whoever makes it.
func SignMutation(mu *wire.Mutation) {
	for i := range mu.Changes {
		if c := &mu.Changes[i]; c.Kind != wire.PageZero {
			c.Digest = digest.Of(c.Data)
		}
	}
}

func verifyImages(images []wire.PageImage) error {
	for i := range images {
		p := &images[i]
		if p.Kind != wire.PageZero && !digest.Check(p.Data, p.Digest) {
			return corrupt(p.Page)
		}
	}
	return nil
}

func corrupt(id holo.PageID) error {
	return holo.Refuse(holo.Corrupt, "bad_digest", "receive page %v: its bytes do not have the digest sent with them", id)
}
