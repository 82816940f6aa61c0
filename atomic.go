package holocompute

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
)

// Add adds delta to an element in one step and gives what it was before.
// Integers wrap around. Calls from anywhere take effect one after the other,
// and each exactly once, however often it is sent on the way: after an error of
// kind Indeterminate, which says that the cluster did not answer for RetryFor,
// it is not known whether this one did. It needs the rights to read and to
// write the array.
func (a *Array[T]) Add(ctx context.Context, index uint64, delta T) (before T, err error) {
	before, _, err = a.atomic(ctx, "add", index, delta, nil)
	return before, err
}

// Min makes an element the smaller of itself and value, as Add adds. Of floats
// it is NaN if either is.
func (a *Array[T]) Min(ctx context.Context, index uint64, value T) (before T, err error) {
	before, _, err = a.atomic(ctx, "min", index, value, nil)
	return before, err
}

// Max makes an element the larger of itself and value, as Add adds. Of floats
// it is NaN if either is.
func (a *Array[T]) Max(ctx context.Context, index uint64, value T) (before T, err error) {
	before, _, err = a.atomic(ctx, "max", index, value, nil)
	return before, err
}

// CompareAndSwap makes an element next if it is old, to the bit, and gives what
// it was: where that is old, it has been swapped. Otherwise it is as Add.
func (a *Array[T]) CompareAndSwap(ctx context.Context, index uint64, old, next T) (before T, swapped bool, err error) {
	return a.atomic(ctx, "swap", index, next, &old)
}

// atomic asks under one ID until there is an answer: that nobody answers does
// not say that it did not happen.
func (a *Array[T]) atomic(ctx context.Context, kind string, index uint64, operand T, expected *T) (before T, applied bool, err error) {
	op := make([]byte, 16)
	rand.Read(op) // never fails: the runtime stops the process instead
	req := &holov1.ApplyAtomicRequest{Array: a.raw.info.ID, Index: index, Operation: op, Kind: kind, Operand: Bytes([]T{operand})}
	if expected != nil {
		req.Expected = Bytes([]T{*expected})
	}
	c, what := a.raw.c, fmt.Sprintf("%s element %d of array %s", kind, index, a.raw.info.Name)
	m, err := untilKnown(ctx, func() (*holov1.AtomicResponse, error) {
		return change(ctx, c.client, what, holov1connect.AtomicServiceApplyProcedure, c.atomics.Apply, req)
	})
	if err != nil {
		return before, false, err
	}
	values, err := Values[T](m.GetMet())
	if err != nil || len(values) != 1 {
		return before, false, holo.Errorf(Corrupt, "%s: the answer is %d bytes, want one element", what, len(m.GetMet()))
	}
	return values[0], m.GetApplied(), nil
}

// untilKnown repeats a call that takes effect once, until its outcome is known
// or RetryFor is over. A refusal after an attempt whose outcome is unknown does
// not say that the first did nothing: the error stays Indeterminate.
func untilKnown[A any](ctx context.Context, try func() (A, error)) (answer A, err error) {
	var unknown error
	for begun := time.Now(); ; {
		answer, err = try()
		if err == nil {
			return answer, nil
		}
		if KindOf(err) == Indeterminate {
			unknown = err
		}
		if unknown == nil {
			return answer, err
		}
		again := KindOf(err) == Indeterminate || worthRetry(err)
		if !again || time.Since(begun) > RetryFor || sleep(ctx, firstPause) != nil {
			return answer, unknown
		}
	}
}
