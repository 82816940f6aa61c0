package bench_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/holocompute/holocompute/bench"
	"github.com/holocompute/holocompute/internal/core/pagecache"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/storage"
)

// spillLimit is that of the stores here.
const spillLimit = 1 << 30

// check ends a benchmark whose work failed.
func check(b *testing.B, err error) {
	if err != nil {
		b.Helper()
		b.Fatal(err)
	}
}

func recordOf(ref uint64) storage.Page {
	return storage.Page{Ref: ref, ID: holo.PageID{Array: 1, Index: holo.PageIndex(ref)}, Version: holo.Version{Epoch: 1, Seq: holo.Seq(ref)}}
}

func spill(b *testing.B) *storage.Store {
	s, err := storage.Open(storage.Config{Dir: filepath.Join(b.TempDir(), "spill"), Limit: spillLimit})
	check(b, err)
	b.Cleanup(func() { s.Close() })
	return s
}

// BenchmarkSpill writes pages to a spill folder and reads them, against the
// same with a plain file, and against sealing and opening alone. The file is
// in the system's cache: what is measured is processor time.
func BenchmarkSpill(b *testing.B) {
	page := make([]byte, holo.PageSize)
	rand.Read(page)
	b.Run("write-against-file", func(b *testing.B) { benchWrite(b, page, plainFile(b, page).write) })
	b.Run("write-against-seal", func(b *testing.B) { benchWrite(b, page, sealing(b, page).seal) })
	b.Run("read-against-file", func(b *testing.B) { benchRead(b, page, plainFile(b, page).read) })
	b.Run("read-against-open", func(b *testing.B) { benchRead(b, page, sealing(b, page).open) })
}

// pagesAtOnce is how many pages a batch has, which the store holds at a time.
const pagesAtOnce = 512

func benchWrite(b *testing.B, page []byte, base func(i int)) {
	s, ref := spill(b), uint64(0)
	bench.Compare(b, pagesAtOnce, holo.PageSize, each(base), each(func(int) {
		ref++
		check(b, s.Write(recordOf(ref), page))
		if ref > pagesAtOnce {
			s.Forget(ref - pagesAtOnce)
		}
	}))
}

func benchRead(b *testing.B, page []byte, base func(i int)) {
	s, dst := spill(b), make([]byte, holo.PageSize)
	for i := range pagesAtOnce {
		check(b, s.Write(recordOf(uint64(i+1)), page))
	}
	bench.Compare(b, pagesAtOnce, holo.PageSize, each(base), each(func(i int) { check(b, s.Read(recordOf(uint64(i+1)), dst)) }))
}

func each(do func(int)) func(int) {
	return func(n int) {
		for i := range n {
			do(i)
		}
	}
}

// plain is a file of as many pages.
type plain struct {
	b    *testing.B
	file *os.File
	page []byte
}

func plainFile(b *testing.B, page []byte) *plain {
	f, err := os.Create(filepath.Join(b.TempDir(), "plain"))
	check(b, err)
	b.Cleanup(func() { f.Close() })
	p := &plain{b, f, page}
	for i := range pagesAtOnce {
		p.write(i)
	}
	p.page = make([]byte, holo.PageSize)
	copy(p.page, page)
	return p
}

// write appends, as the store does: the first page of a batch begins anew.
func (p *plain) write(i int) {
	if i == 0 {
		check(p.b, p.file.Truncate(0))
	}
	_, err := p.file.WriteAt(p.page, int64(i%pagesAtOnce)*holo.PageSize)
	check(p.b, err)
}

func (p *plain) read(i int) {
	_, err := p.file.ReadAt(p.page, int64(i%pagesAtOnce)*holo.PageSize)
	check(p.b, err)
}

// sealer is AES-256-GCM with one key and nothing else.
type sealer struct {
	b                   *testing.B
	aead                cipher.AEAD
	page, record, nonce []byte
}

func sealing(b *testing.B, page []byte) *sealer {
	block, err := aes.NewCipher(make([]byte, 32))
	check(b, err)
	a, err := cipher.NewGCM(block)
	check(b, err)
	nonce := make([]byte, a.NonceSize())
	return &sealer{b, a, append([]byte{}, page...), a.Seal(nil, nonce, page, nil), nonce}
}

func (s *sealer) seal(int) { s.record = s.aead.Seal(s.record[:0], s.nonce, s.page, nil) }

func (s *sealer) open(int) {
	var err error
	s.page, err = s.aead.Open(s.page[:0], s.nonce, s.record, nil)
	check(s.b, err)
}

// BenchmarkSpillBook measures the memory that keeping the book of a spilled
// page takes: the cache's frame, and the store's index.
func BenchmarkSpillBook(b *testing.B) {
	const pages = 10_000
	for b.Loop() {
		before := heap()
		m := pagecache.New(pagecache.Limits{Memory: 16, Disk: pages, Lead: 1, Writes: 4, Reads: 8, Waiting: 8, Retry: holo.Second})
		for i := range uint64(pages) {
			m.Put(recordOf(i).ID, recordOf(i).Version, 0)
			for out := m.Ready(0); len(out.Write) > 0; out = m.Ready(0) {
				for _, p := range out.Write {
					m.Wrote(0, p.Ref, pagecache.Done)
				}
			}
		}
		between := heap()
		s := spill(b)
		page := make([]byte, holo.PageSize)
		for i := range uint64(pages) {
			check(b, s.Write(recordOf(i+1), page))
		}
		after := heap()
		b.ReportMetric(float64(between-before)/pages, "cache-B/page")
		b.ReportMetric(float64(after-between)/pages, "index-B/page")
		runtime.KeepAlive(m)
		runtime.KeepAlive(s)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
