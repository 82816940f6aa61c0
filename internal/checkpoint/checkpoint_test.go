package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
)

func head(pages uint64) Head {
	return Head{
		Cluster: "c", Name: "prices", Type: holo.F64, Length: pages * holo.PageSize / 8, Extent: 16 * holo.PageSize / 8,
		Copies: 2, Affinity: "together", Sealed: true, At: 1234567890,
	}
}

// contents are a data page, a zero page, and so on.
func contents(pages int) (list [][]byte) {
	for i := range pages {
		page := make([]byte, holo.PageSize)
		if i%2 == 0 {
			for k := range page {
				page[k] = byte(i + k)
			}
		}
		list = append(list, page)
	}
	return list
}

func write(t testing.TB, pages int) ([]byte, holo.Digest) {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, head(uint64(pages)))
	for _, page := range contents(pages) {
		err = errors.Join(err, w.Page(page))
	}
	root, end := w.Close()
	if err := errors.Join(err, end); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), root
}

func read(b []byte) (Head, [][]byte, holo.Digest, error) {
	r, err := NewReader(bytes.NewReader(b))
	if err != nil {
		return Head{}, nil, holo.Digest{}, err
	}
	var list [][]byte
	for range r.Head.Pages() {
		page := make([]byte, holo.PageSize)
		if _, err := r.Page(page); err != nil {
			return r.Head, list, holo.Digest{}, err
		}
		list = append(list, page)
	}
	root, err := r.Close()
	return r.Head, list, root, err
}

func TestCheckpointReadsBackAsItWasWritten(t *testing.T) {
	for pages := range 5 {
		b, wrote := write(t, pages)
		h, list, root, err := read(b)
		if err != nil || h != head(uint64(pages)) || root != wrote {
			t.Fatalf("%d pages: %+v, root %v not %v, %v", pages, h, root, wrote, err)
		}
		var sums []holo.Digest
		for i, page := range contents(pages) {
			if !bytes.Equal(list[i], page) {
				t.Errorf("page %d differs", i)
			}
			sums = append(sums, digest.Of(page))
		}
		if root != digest.Root(sums) {
			t.Error("the root is not that of a sealed array")
		}
	}
}

// Every changed bit in head, marks, digests and root, and one in each part of the
// pages, is noticed; of a page its number is said.
func TestChangedCheckpointIsRefused(t *testing.T) {
	b, _ := write(t, 3)
	start := len(b) - (1 + 32) - 2*(1+32+holo.PageSize) - 1
	for at := range b {
		inPage := at >= start && at < len(b)-33
		if inPage && at%977 != 0 && at > start+40 {
			continue
		}
		b[at] ^= 1
		h, _, _, err := read(b)
		b[at] ^= 1
		if at < start {
			continue // a head that names something else: the encryption says that it is the one written
		}
		if holo.KindOf(err) != holo.Corrupt || err == nil {
			t.Fatalf("byte %d of %d changed: %+v, %v", at, len(b), h, err)
		}
		if inPage && !strings.Contains(err.Error(), "page ") && !strings.Contains(err.Error(), "root") {
			t.Fatalf("byte %d changed: %v does not say where", at, err)
		}
	}
}

func TestCutSwappedAndPrologedCheckpointsAreRefused(t *testing.T) {
	b, _ := write(t, 3)
	for _, n := range []int{0, 5, 30, 70, 200, holo.PageSize, len(b) - 40, len(b) - 33, len(b) - 1} {
		if _, _, _, err := read(b[:n]); holo.KindOf(err) != holo.Corrupt || err == nil {
			t.Errorf("the first %d of %d bytes: %v", n, len(b), err)
		}
	}
	if _, _, _, err := read(append(bytes.Clone(b), 0)); err == nil || holo.ReasonOf(err) != ReasonDamaged {
		t.Errorf("with a byte behind it: %v", err)
	}
	record := 1 + 32 + holo.PageSize
	first := len(b) - 33 - record - 1 - record
	swapped := bytes.Clone(b)
	copy(swapped[first:], b[first+record+1:first+2*record+1])
	copy(swapped[first+record+1:], b[first:first+record])
	if _, _, _, err := read(swapped); holo.ReasonOf(err) != ReasonDamaged {
		t.Errorf("two pages swapped: %v", err)
	}
}

func TestHeadsThatMakeNoSenseAreNeitherWrittenNorRead(t *testing.T) {
	for name, change := range map[string]func(*Head){
		"no name":         func(h *Head) { h.Name = "" },
		"a long name":     func(h *Head) { h.Name = strings.Repeat("n", 256) },
		"no type":         func(h *Head) { h.Type = 0 },
		"too long":        func(h *Head) { h.Length = holo.MaxElements + 1 },
		"no extent":       func(h *Head) { h.Extent = 0 },
		"no copies":       func(h *Head) { h.Copies = 0 },
		"too many copies": func(h *Head) { h.Copies = 4 },
	} {
		h := head(1)
		change(&h)
		if _, err := NewWriter(io.Discard, h); holo.KindOf(err) != holo.Invalid || err == nil {
			t.Errorf("%s is written: %v", name, err)
		}
		if len(h.Name) > maxName || !h.Type.Valid() {
			continue // cannot be encoded
		}
		if _, err := NewReader(bytes.NewReader(h.encode())); holo.KindOf(err) != holo.Corrupt || err == nil {
			t.Errorf("%s is read: %v", name, err)
		}
	}
}

// FuzzRead: whatever the bytes are, reading ends with an error or with what
// encodes to the same bytes.
func FuzzRead(f *testing.F) {
	for pages := range 3 {
		b, _ := write(f, pages)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader(bytes.NewReader(b))
		if err != nil || r.Head.Pages() > 64 {
			return
		}
		h, pages, root, err := read(b)
		if err != nil {
			return
		}
		var again bytes.Buffer
		w, err := NewWriter(&again, h)
		for _, page := range pages {
			err = errors.Join(err, w.Page(page))
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, err := w.Close(); err != nil || got != root || !bytes.Equal(again.Bytes(), b) {
			t.Fatal(fmt.Errorf("it is written otherwise than it was read: %w", err))
		}
	})
}
