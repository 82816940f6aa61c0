package holocompute_test

import (
	"context"
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/kernels"
	"github.com/holocompute/holocompute/kernels/std"
)

func create[T holocompute.Element](t *testing.T, c *holocompute.Cluster, name string, values ...T) *holocompute.Array[T] {
	t.Helper()
	a, err := holocompute.Create[T](t.Context(), c, name, uint64(len(values)), holocompute.ArrayOptions{Extent: 65536, Affinity: "std"})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Write(t.Context(), 0, values); err != nil {
		t.Fatal(err)
	}
	return a
}

// Extremes of every width, over several extents, in a real node.
func TestSumsAreExactBeyondAnyWidth(t *testing.T) {
	c := connect(t)
	values := make([]uint64, 3*65536+1)
	for i := range values {
		values[i] = math.MaxUint64
	}
	sum, err := create(t, c, "std/huge", values...).Sum(t.Context())
	want := new(big.Int).Mul(big.NewInt(int64(len(values))), new(big.Int).SetUint64(math.MaxUint64))
	if err != nil || sum.Big() == nil || sum.Big().Cmp(want) != 0 {
		t.Errorf("%v, %v, want %v", sum, err, want)
	}
	a := create(t, c, "std/floats", 1e100, 1, -1e100, 3)
	b := create(t, c, "std/more", 1e-300, 2, 1e-300, -1)
	total, err := a.Sum(t.Context())
	if err != nil || total.Float64() != 4 {
		t.Errorf("sum %v, %v", total, err)
	}
	dot, err := a.Dot(t.Context(), b)
	if err != nil || dot.Float64() != -1 {
		t.Errorf("dot %v, %v", dot, err)
	}
	mean, err := a.Mean(t.Context())
	if err != nil || mean != 1 {
		t.Errorf("mean %v, %v", mean, err)
	}
	norm, err := create(t, c, "std/norm", int16(3), -4).Norm(t.Context())
	if err != nil || norm != 5 {
		t.Errorf("norm %v, %v", norm, err)
	}
}

func TestQuestionsAboutNothing(t *testing.T) {
	c := connect(t)
	a := create[float32](t, c, "std/nothing")
	s, err := a.Stats(t.Context())
	if err != nil || s.Count != 0 || s.Sum.Float64() != 0 || !s.Min.None() || !s.Mean.None() {
		t.Errorf("%+v, %v", s, err)
	}
	mean, err := a.Mean(t.Context())
	if err != nil || !math.IsNaN(mean) {
		t.Errorf("mean %v, %v", mean, err)
	}
	_, _, err = a.Bounds(t.Context())
	wantKind(t, err, holocompute.NotFound, "no element that is a number")
	top, err := a.Top(t.Context(), 3)
	if err != nil || len(top) != 0 {
		t.Errorf("%v, %v", top, err)
	}
	h, err := a.Histogram(t.Context(), 0, 1, 4)
	if err != nil || !slices.Equal(h.Bins, make([]uint64, 4)) {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestPlacesAndBoundsHaveTheTypeOfTheArray(t *testing.T) {
	a := create(t, connect(t), "std/places", int64(5), math.MinInt64, 7, 7, math.MaxInt64)
	least, greatest, err := a.Bounds(t.Context())
	if err != nil || least != math.MinInt64 || greatest != math.MaxInt64 {
		t.Errorf("%d to %d, %v", least, greatest, err)
	}
	top, err := a.Top(t.Context(), 3)
	if err != nil || !slices.Equal(top, []holocompute.Found[int64]{{Index: 4, Value: math.MaxInt64}, {Index: 2, Value: 7}, {Index: 3, Value: 7}}) {
		t.Errorf("%+v, %v", top, err)
	}
	bottom, err := a.Bottom(t.Context(), 1)
	if err != nil || !slices.Equal(bottom, []holocompute.Found[int64]{{Index: 1, Value: math.MinInt64}}) {
		t.Errorf("%+v, %v", bottom, err)
	}
	n, err := a.CountIf(t.Context(), holocompute.AtLeast, 7)
	if err != nil || n != 3 {
		t.Errorf("%d, %v", n, err)
	}
}

func TestOperationsFitTheirArrays(t *testing.T) {
	c := connect(t)
	a, b := create(t, c, "std/op/a", int8(100), -3), create(t, c, "std/op/b", int16(1), 2)
	ctx := t.Context()
	for _, bad := range []struct {
		op   string
		out  *holocompute.Raw
		of   []holocompute.Operand
		want string
	}{
		{"fma", a.Raw(), []holocompute.Operand{a, a, a}, "no operation"},
		{"add", a.Raw(), []holocompute.Operand{a, b}, "std/op/b holds i16"},
		{"add", b.Raw(), []holocompute.Operand{a, a}, "want i8"},
		{"lt", a.Raw(), []holocompute.Operand{a, a}, "want u8"},
		{"add", a.Raw(), []holocompute.Operand{a}, "want 2"},
		{"add", a.Raw(), []holocompute.Operand{holocompute.Const[int8](1), holocompute.Const[int8](1)}, "one operand or more"},
		{"add", a.Raw(), []holocompute.Operand{a, holocompute.Const[int16](1)}, ""}, // 1 is an int8 as well
		{"add", a.Raw(), []holocompute.Operand{a, holocompute.Const[int16](300)}, "300 is not an element of type i8"},
	} {
		job, err := c.Apply(ctx, bad.op, bad.out, bad.of...)
		if bad.want != "" {
			wantKind(t, err, holocompute.Invalid, bad.want)
			continue
		}
		if err == nil {
			_, err = job.Wait(ctx)
		}
		if err != nil {
			t.Error(err)
		}
	}
	got := make([]int8, 2)
	if err := a.Read(ctx, 0, got); err != nil || !slices.Equal(got, []int8{101, -2}) {
		t.Errorf("%v, %v", got, err)
	}
	_, err := a.Raw().Dot(ctx, b.Raw())
	wantKind(t, err, holocompute.Invalid, "holds i16")
}

// Standard kernels need RUN on their names and READ on the array, and no more:
// each alone is refused, and RUN elsewhere is not RUN on them.
func TestStandardKernelsNeedRunAndRead(t *testing.T) {
	array(t, connect(t), "stdrights/a")
	read := holocompute.Grant{Role: "reader", Scope: holocompute.Scope{Under: "stdrights"}}
	run := holocompute.Grant{Role: "runner", Scope: holocompute.Scope{Under: "std"}}
	see := holocompute.Grant{Role: "runner", Scope: holocompute.Scope{Under: "stdrights"}}
	sum := func(grants ...holocompute.Grant) error {
		c := someone(t, grants...)
		s, err := as(t, c, "stdrights/a").Totals(t.Context())
		if v, ok := s.Sum.Int64(); err == nil && (!ok || v != 3000) {
			t.Errorf("the sum is %v", s.Sum)
		}
		return err
	}
	wantAllowed(t, "RUN on std and READ", sum(read, run))
	wantNotGranted(t, "READ alone", sum(read))
	wantNotGranted(t, "RUN alone", sum(see, run))
	wantNotGranted(t, "READ, and RUN elsewhere", sum(read, see))
	stats, _ := std.Named(std.Stats)
	count, _ := std.Named(std.Count)
	wantAllowed(t, "RUN of this module", sum(read, holocompute.Grant{Role: "runner", Scope: holocompute.Scope{Module: stats.ID.Hex()}}))
	wantNotGranted(t, "RUN of another standard module", sum(read, holocompute.Grant{Role: "runner", Scope: holocompute.Scope{Module: count.ID.Hex()}}))
}

// COMPUTE for a standard kernel's module gives a sum over what nobody may read.
func TestAnAnalystSumsWhatItMayNotRead(t *testing.T) {
	array(t, connect(t), "stdsecret/a")
	stats, _ := std.Named(std.Stats)
	compute := holocompute.Grant{Role: "analyst", Release: true, Scope: holocompute.Scope{Under: "stdsecret", Module: stats.ID.Hex()}}
	c := someone(t, compute, holocompute.Grant{Role: "runner", Scope: holocompute.Scope{Under: "std"}})
	a := as(t, c, "stdsecret/a")
	s, err := a.Stats(t.Context())
	if v, ok := s.Sum.Int64(); err != nil || !ok || v != 3000 {
		t.Errorf("%+v, %v", s, err)
	}
	wantNotGranted(t, "read it", readOne(t, a))
	_, _, err = a.Top(t.Context(), 1)
	wantNotGranted(t, "have another standard kernel show its elements", err)
}

// Nobody's kernel is called like a standard one, whoever may hand over kernels;
// and one that somebody calls stats is neither replaced nor asked.
func TestNamesOfStandardKernelsAreNobodys(t *testing.T) {
	mine := connect(t)
	before, err := mine.PushKernel(t.Context(), "stats", kernels.Get("loop"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"std/stats", "std/other", "std"} {
		_, err := mine.PushKernel(t.Context(), name, kernels.Get("loop"))
		wantKind(t, err, holocompute.Invalid, "choose another")
	}
	a := array(t, mine, "stdnames/a")
	if s, err := a.Stats(t.Context()); err != nil || s.Sum.String() != "3000" {
		t.Errorf("%+v, %v", s, err)
	}
	if after, err := mine.Kernel(t.Context(), "stats"); err != nil || after.Module != before.Module {
		t.Errorf("%+v, %v", after, err)
	}
	// A standard module under a name of one's own is still the standard kernel by
	// its hash: whoever may hand over kernels cannot take RUN on it from others.
	m, _ := std.Named(std.Stats)
	if _, err := mine.PushKernel(t.Context(), "aaa", m.Wasm); err != nil {
		t.Fatal(err)
	}
	k, err := mine.Kernel(t.Context(), m.ID.Hex())
	if err != nil || k.Name != std.Stats || k.Module != m.ID.Hex() {
		t.Errorf("%+v, %v", k, err)
	}
	if k, err = mine.Kernel(t.Context(), "std/stats"); err != nil || k.Module != m.ID.Hex() || !slices.Contains(k.Functions, "red_stats") {
		t.Errorf("%+v, %v", k, err)
	}
	list, err := mine.Kernels(t.Context())
	if err != nil || len(list) < len(std.All()) || list[len(list)-1].Name != std.Top {
		t.Errorf("%+v, %v", list, err)
	}
}

// Who stops waiting stops the job. It may have ended just before; then another
// is tried.
func TestQuestionsAreStoppedWithTheirContext(t *testing.T) {
	c := connect(t)
	values := make([]uint64, 1<<20)
	for i := range values {
		values[i] = uint64(i) // each is larger than all before, the most work for a top
	}
	a := create(t, c, "std/long", values...)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := a.Top(ctx, holocompute.MaxTop)
			ended <- err
		}()
		id := running(t, c, std.Top, ended)
		cancel()
		if id == 0 {
			continue
		}
		wantKind(t, <-ended, holocompute.Cancelled, "")
		if _, err := c.Job(id).Wait(t.Context()); holocompute.KindOf(err) == holocompute.Cancelled {
			return
		}
	}
	t.Error("the jobs ran on to their ends")
}

// running is the job that runs a kernel, 0 when it has ended before it was seen.
func running(t *testing.T, c *holocompute.Cluster, kernel string, ended chan error) uint64 {
	t.Helper()
	for {
		jobs, err := c.Jobs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range jobs {
			if j.Kernel == kernel && j.State == "running" {
				return j.ID
			}
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			return 0
		default:
		}
	}
}
