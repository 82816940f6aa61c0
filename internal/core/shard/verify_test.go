package shard

import (
	"bytes"
	"testing"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// TestContentWithoutItsDigestIsRefused, in each message that carries any.
func TestContentWithoutItsDigestIsRefused(t *testing.T) {
	page := bytes.Repeat([]byte{7}, holo.PageSize)
	good := digest.Of(page)
	wrong := good
	wrong[3] ^= 1
	images := func(d holo.Digest) wire.Transfer {
		return wire.Transfer{Images: []wire.PageImage{{Kind: wire.PageZero}, {Kind: wire.PageData, Data: page, Digest: d}}}
	}
	for name, message := range map[string]func(holo.Digest) wire.Message{
		"Repl": func(d holo.Digest) wire.Message {
			change := wire.Change{Kind: wire.PageData, Data: page, Digest: d}
			return &wire.Repl{Entries: []wire.Entry{{}, {Mutation: wire.Mutation{Changes: []wire.Change{{Kind: wire.PageZero}, change}}}}}
		},
		"Recon": func(d holo.Digest) wire.Message {
			return &wire.Recon{Transfer: images(d)}
		},
		"Snap": func(d holo.Digest) wire.Message {
			return &wire.Snap{Transfer: images(d)}
		},
	} {
		if err := Verify(message(good)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := Verify(message(wrong)); holo.KindOf(err) != holo.Corrupt {
			t.Errorf("%s with a wrong digest: %v", name, err)
		}
	}
}
