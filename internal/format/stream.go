package format

import (
	"errors"
	"io"

	"github.com/holocompute/holocompute/internal/holo"
)

// batches is an io.Reader over a source of byte batches.
type batches struct {
	next func() ([]byte, error) // io.EOF after the last
	rest []byte
}

func (b *batches) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		more, err := guarded(b.next)
		if err != nil {
			return 0, err
		}
		b.rest = more
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// exact wants a stream of exactly so many bytes: less is an error and so is
// more, because either means that the file says two things about its length.
type exact struct {
	r    io.Reader
	left uint64
	name string // of the column, as an error gives it
	file string
}

func (e *exact) Read(p []byte) (int, error) {
	n, err := e.read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = about(e.file, err)
	}
	return n, err
}

func (e *exact) read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, e.end()
	}
	if uint64(len(p)) > e.left {
		p = p[:e.left]
	}
	n, err := e.r.Read(p)
	e.left -= uint64(n)
	if errors.Is(err, io.EOF) && e.left > 0 {
		return n, holo.Errorf(holo.Corrupt, "column %s ends %d bytes early", e.name, e.left)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (e *exact) end() error {
	var one [1]byte
	n, err := io.ReadFull(e.r, one[:])
	if n > 0 {
		return holo.Errorf(holo.Corrupt, "column %s is longer than the file says", e.name)
	}
	return err
}
