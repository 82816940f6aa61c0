package bench_test

import (
	"context"
	"crypto/sha256"
	"path/filepath"
	"sync"
	"testing"

	"github.com/holocompute/holocompute/bench"
	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/audit"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// uploadRecord is what an upload leaves.
func uploadRecord(user key.Signer, digest [32]byte) *wire.AuditRecord {
	p := &wire.AuditProof{Procedure: "PUT " + api.DataPath(7, 0, extentBytes/8), Digest: digest}
	copy(p.Signature[:], user.Sign(api.RequestProof(p.Procedure, p.Session[:], digest)))
	return &wire.AuditRecord{
		Event: "array.write", Resource: "array 7", Actor: wire.Actor{Kind: wire.ActorPrincipal, Key: user.Public()}, Proof: p,
	}
}

// BenchmarkAuditedImport writes 64 MiB into an array of one node as the door
// does it for an import, 4 MiB at a time and eight under way, each checked
// against its SHA-256 and the user's signature. Ours records each of the 16
// uploads before it is written; the baseline does not.
func BenchmarkAuditedImport(b *testing.B) {
	n, user := oneNode(b)
	ctx := b.Context()
	content := make([]byte, extentBytes)
	for i := range content {
		content[i] = byte(i * 7919 >> 8)
	}
	const uploads = 16
	create := &holov1.CreateArrayRequest{Name: "x", Type: "i64", Length: uploads * extentBytes / 8, ExtentElements: extentBytes / 8, Copies: 1}
	a := must(n.CreateArray(ctx, door.Ask(n, user, holov1connect.ArrayServiceCreateProcedure, create), create))
	log := must(audit.Open(audit.Config{Dir: filepath.Join(b.TempDir(), "audit"), Signer: key.GenerateSigner()}))
	b.Cleanup(func() { _ = log.Close() })
	upload := func(i int, record bool) {
		r := uploadRecord(user, sha256.Sum256(content))
		if !key.Verify(r.Actor.Key, api.RequestProof(r.Proof.Procedure, r.Proof.Session[:], r.Proof.Digest), r.Proof.Signature[:]) {
			b.Error("the upload is not signed")
		}
		if record {
			if err := log.Permit(r); err != nil {
				b.Error(err)
			}
		}
		if err := n.WriteRange(context.WithoutCancel(ctx), holo.ArrayID(a.Id), uint64(i)*extentBytes, content); err != nil {
			b.Error(err)
		}
	}
	run := func(record bool) func(int) {
		return func(times int) {
			for range times {
				eight(uploads, func(i int) { upload(i, record) })
			}
		}
	}
	bench.Compare(b, 1, uploads*extentBytes, run(false), run(true))
}

// BenchmarkAuditAppend records with eight callers at once, as the door does;
// the baseline is one caller, who pays a sync for each record.
func BenchmarkAuditAppend(b *testing.B) {
	log := must(audit.Open(audit.Config{Dir: filepath.Join(b.TempDir(), "audit"), Signer: key.GenerateSigner()}))
	b.Cleanup(func() { _ = log.Close() })
	r := uploadRecord(key.GenerateSigner(), [32]byte{1})
	permit := func(int) {
		if err := log.Permit(r); err != nil {
			b.Error(err)
		}
	}
	const records = 128
	one := func(times int) {
		for i := range times {
			permit(i)
		}
	}
	bench.Compare(b, records, 0, one, func(times int) { eight(times, permit) })
}

// eight calls f for 0 to n-1, eight at a time.
func eight(n int, f func(int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range 8 {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}
