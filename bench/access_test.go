package bench_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/holocompute/holocompute/bench"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/node"
	"github.com/holocompute/holocompute/internal/policy"
	"github.com/holocompute/holocompute/internal/wire"
)

// home is a node in this process, an array of one page in its memory, and its
// founding user.
func home(b *testing.B) (*node.Node, holo.ArrayID, door.Caller) {
	n, id, c, _ := homeOfBuffer(b)
	return n, id, c
}

// homeOfBuffer is home with a buffer of one lane besides.
func homeOfBuffer(b *testing.B) (*node.Node, holo.ArrayID, door.Caller, uint64) {
	b.Helper()
	ctx, dir := context.Background(), b.TempDir()
	config := filepath.Join(dir, "config")
	if _, err := node.Init(ctx, node.InitConfig{Dir: filepath.Join(dir, "node"), ConfigDir: config, NodeName: "n"}); err != nil {
		b.Fatal(err)
	}
	n, err := node.Start(ctx, node.Config{Dir: filepath.Join(dir, "node"), MemoryBytes: 64 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { n.Close() })
	awaitLeases(b, ctx, n, 1)
	user, err := identity.ReadSigner(filepath.Join(config, identity.UserKeyFile))
	if err != nil {
		b.Fatal(err)
	}
	ask := &holov1.CreateArrayRequest{Name: "a", Type: "u8", Length: holo.PageSize, ExtentElements: holo.PageSize, Copies: 1}
	c := door.Ask(n, user, holov1connect.ArrayServiceCreateProcedure, ask)
	a, err := n.CreateArray(ctx, c, ask)
	if err != nil {
		b.Fatal(err)
	}
	page := make([]byte, holo.PageSize)
	for i := range page {
		page[i] = byte(i * i)
	}
	if err := n.WriteBytes(ctx, c, holo.ArrayID(a.GetId()), 0, page); err != nil {
		b.Fatal(err)
	}
	lane := &holov1.CreateArrayRequest{Name: "lane", Type: "u8", Length: 32 * holo.PageSize, ExtentElements: 32 * holo.PageSize, Copies: 1, Buffer: true}
	made, err := n.CreateArray(ctx, door.Ask(n, user, holov1connect.ArrayServiceCreateProcedure, lane), lane)
	if err != nil {
		b.Fatal(err)
	}
	return n, holo.ArrayID(a.GetId()), c, made.GetId()
}

// BenchmarkAccess compares what authorisation costs with reading one page that
// lies in this node's memory, which is the cheapest read there is: the check of
// an open handle, which is all that a page pays, and the decision with which a
// call begins, names looked up in the catalogue.
func BenchmarkAccess(b *testing.B) {
	n, id, c := home(b)
	ctx, dst := context.Background(), make([]byte, holo.PageSize)
	read := func(k int) {
		for range k {
			if err := n.ReadBytes(ctx, c, id, 0, dst); err != nil {
				b.Fatal(err)
			}
		}
	}
	needs := []door.Access{{Action: holo.ActionRead, On: door.Target{Array: "#1"}}}
	v := n.Authorize(ctx, c, needs, false)
	if !v.Allowed {
		b.Fatal(v.Err)
	}
	b.Run("handle", func(b *testing.B) {
		bench.Compare(b, 2000, 0, read, func(k int) {
			for range k {
				if !n.Holds(v.Handle) {
					b.Fatal("ended")
				}
			}
		})
	})
	b.Run("call", func(b *testing.B) {
		bench.Compare(b, 500, 0, read, func(k int) {
			for range k {
				if v := n.Authorize(ctx, c, needs, false); !v.Allowed {
					b.Fatal(v.Err)
				}
			}
		})
	})
}

// BenchmarkDecision compares a decision from the cache with one that Cedar
// makes, among a thousand grants of others.
func BenchmarkDecision(b *testing.B) {
	var records []wire.GrantRecord
	for id := range uint64(1001) {
		a := wire.Access{Principal: holo.PrincipalID{1, byte(id), byte(id >> 8)}, Role: holo.RoleUser, Scope: holo.Scope{Under: "lab"}}
		records = append(records, wire.GrantRecord{ID: id + 1, Access: a})
	}
	s, err := policy.New(holo.PrincipalID{9}, 1, records)
	if err != nil {
		b.Fatal(err)
	}
	q := authz.Question{Principal: records[7].Access.Principal, Action: holo.ActionRead, Resource: authz.Resource{Kind: authz.Array, Name: "lab/a"}}
	facts, cache := policy.Facts{Unix: 1}, authz.NewCache()
	cache.Put(q, s.Decide(q, facts))
	cold := func(k int) {
		for range k {
			if !s.Decide(q, facts).Allowed {
				b.Fatal("denied")
			}
		}
	}
	bench.Compare(b, 2000, 0, cold, func(k int) {
		for range k {
			if _, ok := cache.Get(q, 1, 1); !ok {
				b.Fatal("forgotten")
			}
		}
	})
}
