package bench_test

import (
	"crypto/sha256"
	"testing"

	"github.com/holocompute/holocompute/bench"
	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
)

// BenchmarkDigest hashes pages, against copying them and against SHA-256. Each
// page is another one of 128 MiB, so that it comes from memory.
func BenchmarkDigest(b *testing.B) {
	ps := make([][]byte, 2048)
	for i := range ps {
		ps[i] = make([]byte, holo.PageSize)
		ps[i][0] = byte(i)
	}
	each := func(do func([]byte)) func(int) {
		return func(n int) {
			for i := range n {
				do(ps[i%len(ps)])
			}
		}
	}
	to := make([]byte, holo.PageSize)
	var sum byte
	blake := each(func(p []byte) { d := digest.Of(p); sum ^= d[0] })
	b.Run("against-copy", func(b *testing.B) {
		bench.Compare(b, 2048, holo.PageSize, each(func(p []byte) { copy(to, p) }), blake)
	})
	b.Run("against-sha256", func(b *testing.B) {
		bench.Compare(b, 1024, holo.PageSize, each(func(p []byte) { d := sha256.Sum256(p); sum ^= d[0] }), blake)
	})
}
