package door

import (
	"context"
	"iter"
	"net/http"
	"strconv"
)

// output writes the head before the first byte, so that an error that comes
// earlier can still be told.
type output struct {
	w     http.ResponseWriter
	bytes uint64
	begun bool
}

func (o *output) write(b []byte) error {
	if !o.begun {
		o.begun = true
		o.w.Header().Set("Content-Type", "application/octet-stream")
		o.w.Header().Set("Content-Length", strconv.FormatUint(o.bytes, 10))
	}
	_, err := o.w.Write(b)
	return err
}

// each runs f on every item, n at a time, and gives the first error, after
// which it starts nothing more.
func each[T any](ctx context.Context, n int, items iter.Seq[T], f func(context.Context, T) error) error {
	fetch := func(ctx context.Context, item T) (struct{}, error) { return struct{}{}, f(ctx, item) }
	return inOrder(ctx, n, items, fetch, func(struct{}) error { return nil })
}

// inOrder runs fetch on every item, n at a time, and hands the results to emit
// in the items' order. After the first error it starts nothing more, cancels
// what runs and waits for it.
func inOrder[T, R any](ctx context.Context, n int, items iter.Seq[T], fetch func(context.Context, T) (R, error), emit func(R) error) error {
	type result struct {
		r   R
		err error
	}
	ctx, cancel := context.WithCancel(ctx)
	var g group
	defer g.wait()
	defer cancel()
	var ahead []chan result
	first := func() error {
		got := <-ahead[0]
		ahead = ahead[1:]
		if got.err != nil {
			return got.err
		}
		return emit(got.r)
	}
	for item := range items {
		if len(ahead) == n {
			if err := first(); err != nil {
				return err
			}
		}
		done := make(chan result, 1) // one result, so that nobody waits to give it
		ahead = append(ahead, done)
		g.start(func() {
			r, err := fetch(ctx, item)
			done <- result{r, err}
		})
	}
	for len(ahead) > 0 {
		if err := first(); err != nil {
			return err
		}
	}
	return ctx.Err()
}
