package holocompute_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/kernels"
)

func connect(t *testing.T) *holocompute.Cluster {
	t.Helper()
	c, err := holocompute.Connect(t.Context(), holocompute.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func wantKind(t *testing.T, err error, kind holocompute.Kind, text string) {
	t.Helper()
	if err == nil || holocompute.KindOf(err) != kind || !strings.Contains(err.Error(), text) {
		t.Errorf("%v (kind %s), want %s and %q", err, holocompute.KindOf(err), kind, text)
	}
}

// A range that crosses several uploads, extents and pages, at odd elements.
func TestLongRangesComeBackAsTheyWent(t *testing.T) {
	c := connect(t)
	const length = 3<<20 + 12345
	a, err := holocompute.Create[uint32](t.Context(), c, "long", length, holocompute.ArrayOptions{Extent: 5 * 16384})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	values := make([]uint32, length-7)
	for i := range values {
		values[i] = rng.Uint32()
	}
	if err := a.Write(t.Context(), 5, values); err != nil {
		t.Fatal(err)
	}
	got := make([]uint32, length)
	if err := a.Read(t.Context(), 0, got); err != nil {
		t.Fatal(err)
	}
	for i, v := range got {
		want := uint32(0)
		if i >= 5 && i-5 < len(values) {
			want = values[i-5]
		}
		if v != want {
			t.Fatalf("element %d is %d, want %d", i, v, want)
		}
	}
	extents, err := a.Pages(t.Context())
	if err != nil || len(extents) != 39 {
		t.Errorf("%d extents, %v", len(extents), err)
	}
}

func TestRangesBeyondTheEndAreRefused(t *testing.T) {
	c := connect(t)
	a, err := holocompute.Create[int8](t.Context(), c, "short", 10, holocompute.ArrayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, a.Write(t.Context(), 8, make([]int8, 3)), holocompute.Invalid, "elements 8 to 11 of 10")
	wantKind(t, a.Read(t.Context(), 11, nil), holocompute.Invalid, "elements 11")
	wantKind(t, a.Read(t.Context(), ^uint64(0), make([]int8, 2)), holocompute.Invalid, "of 10")
	wantKind(t, a.Fill(t.Context(), 5, 6, 1), holocompute.Invalid, "elements 5 to 11 of an array of 10")
	wantKind(t, a.Raw().Fill(t.Context(), 0, 1, []byte{1, 2}), holocompute.Invalid, "2 bytes")
	if _, err := holocompute.Open[uint8](t.Context(), c, "short"); err == nil {
		t.Error("i8 opens as u8")
	}
	if err := a.Write(t.Context(), 0, nil); err != nil {
		t.Errorf("nothing written: %v", err)
	}
}

func TestSealedArraysNeverChange(t *testing.T) {
	c := connect(t)
	a, err := holocompute.Create[int64](t.Context(), c, "sealed", 100, holocompute.ArrayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Write(t.Context(), 0, []int64{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if err := a.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if i := a.Info(); i.State != "sealed" || len(i.Root) != 64 {
		t.Errorf("%+v", i)
	}
	wantKind(t, a.Write(t.Context(), 0, []int64{9}), holocompute.Conflict, "")
	wantKind(t, a.Fill(t.Context(), 0, 1, 9), holocompute.Conflict, "")
	got := make([]int64, 4)
	if err := a.Read(t.Context(), 0, got); err != nil || got[0] != 1 || got[2] != 3 || got[3] != 0 {
		t.Errorf("%v, %v", got, err)
	}
	if err := a.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantKind(t, a.Read(t.Context(), 0, got), holocompute.NotFound, "")
}

func TestImportWantsExactlyTheArray(t *testing.T) {
	c := connect(t)
	raw, err := c.CreateRaw(t.Context(), "imported", holocompute.F32, 2_000_000, holocompute.ArrayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte{1, 2, 3, 64}, 2_000_000)
	var steps []uint64
	if err := raw.Import(t.Context(), bytes.NewReader(data), func(done uint64) { steps = append(steps, done) }); err != nil {
		t.Fatal(err)
	}
	if len(steps) != 2 || steps[1] != 8_000_000 {
		t.Errorf("progress %v", steps)
	}
	var out bytes.Buffer
	if err := raw.Export(t.Context(), &out, nil); err != nil || !bytes.Equal(out.Bytes(), data) {
		t.Errorf("exported %d bytes, %v", out.Len(), err)
	}
	wantKind(t, raw.Import(t.Context(), bytes.NewReader(data[1:]), nil), holocompute.Invalid, "ends")
	wantKind(t, raw.Import(t.Context(), io.MultiReader(bytes.NewReader(data), strings.NewReader("x")), nil), holocompute.Invalid, "longer")
}

// Arrays of unlike widths, longer than what is read at a time.
func TestArraysAreExportedSideBySide(t *testing.T) {
	c := connect(t)
	const length = 400_000
	rng := rand.New(rand.NewPCG(5, 6))
	var arrays []*holocompute.Raw
	var want [][]byte
	for _, typ := range []holocompute.ElementType{holocompute.I8, holocompute.F64, holocompute.U16} {
		r, err := c.CreateRaw(t.Context(), "beside-"+typ.String(), typ, length, holocompute.ArrayOptions{})
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, length*typ.Size())
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		if err := r.WriteBytes(t.Context(), 0, data); err != nil {
			t.Fatal(err)
		}
		arrays, want = append(arrays, r), append(want, data)
	}
	got, blocks := make([][]byte, 3), 0
	err := holocompute.ExportTogether(t.Context(), arrays, func(columns [][]byte) error {
		blocks++
		held := 0
		for i, b := range columns {
			held += len(b)
			got[i] = append(got[i], b...)
		}
		if held > 4<<20 || len(columns[1]) != 8*len(columns[0]) {
			t.Errorf("a block of %d bytes, %d and %d of the first two", held, len(columns[0]), len(columns[1]))
		}
		return nil
	})
	if err != nil || blocks != 2 {
		t.Errorf("%d blocks: %v", blocks, err)
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("array %d: other elements", i)
		}
	}
	full := errors.New("disk full")
	if err := holocompute.ExportTogether(t.Context(), arrays, func([][]byte) error { return full }); !errors.Is(err, full) {
		t.Errorf("an error of the caller's: %v", err)
	}
	short, err := c.CreateRaw(t.Context(), "beside-short", holocompute.I8, 3, holocompute.ArrayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	err = holocompute.ExportTogether(t.Context(), append(arrays, short), func([][]byte) error { return errors.New("called") })
	wantKind(t, err, holocompute.Invalid, "beside-short has 3")
	if err := holocompute.ExportTogether(t.Context(), nil, nil); err != nil {
		t.Errorf("no arrays: %v", err)
	}
}

func TestStrangersAndStrangePlacesAreRefused(t *testing.T) {
	config := t.TempDir()
	if err := os.Chmod(config, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := holocompute.Connect(t.Context(), holocompute.Options{Config: config})
	wantKind(t, err, holocompute.NotFound, "user.key")
	if err := identity.WriteSigner(filepath.Join(config, "user.key"), key.GenerateSigner()); err != nil {
		t.Fatal(err)
	}
	_, err = holocompute.Connect(t.Context(), holocompute.Options{Config: config})
	wantKind(t, err, holocompute.Denied, "does not know the key")
	_, err = holocompute.Connect(t.Context(), holocompute.Options{Socket: filepath.Join(config, "none.sock")})
	wantKind(t, err, holocompute.Unavailable, "no node answers")
	if err := os.Chmod(config, 0o750); err != nil {
		t.Fatal(err)
	}
	_, err = holocompute.Connect(t.Context(), holocompute.Options{Socket: filepath.Join(config, "none.sock")})
	wantKind(t, err, holocompute.Denied, "chmod 700")
}

func TestCancelledContextsEndCalls(t *testing.T) {
	c := connect(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Arrays(ctx)
	wantKind(t, err, holocompute.Cancelled, "list arrays")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not tell its cause", err)
	}
}

func TestKernelsThatFailTellTheirKindAndReason(t *testing.T) {
	c := connect(t)
	a, err := holocompute.Create[uint8](t.Context(), c, "victim", 70_000, holocompute.ArrayOptions{Extent: 65536})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.PushKernel(t.Context(), "loop", kernels.Get("loop")); err != nil {
		t.Fatal(err)
	}
	_, err = c.PushKernel(t.Context(), "nonsense", []byte("nonsense"))
	wantKind(t, err, holocompute.Invalid, "not WebAssembly")
	call := holocompute.Call{Kernel: "loop", Function: "attack", Inputs: []*holocompute.Raw{a.Raw()}, Gas: 1 << 20}
	job, err := c.Reduce(t.Context(), call, 8)
	if err != nil {
		t.Fatal(err)
	}
	_, err = job.Wait(t.Context())
	wantKind(t, err, holocompute.KernelTrapped, "attack")
	if reason := holocompute.ReasonOf(err); reason != "out_of_gas" {
		t.Errorf("reason %q", reason)
	}
	call.Gas = 1 << 45
	job, err = c.Reduce(t.Context(), call, 8)
	if err != nil {
		t.Fatal(err)
	}
	if err := job.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = job.Wait(t.Context())
	wantKind(t, err, holocompute.Cancelled, "")
}

func TestInvitesAreOneTextAndExpire(t *testing.T) {
	c := connect(t)
	text, err := c.Invite(t.Context(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	invite, err := identity.ParseInvite(text)
	if err != nil || len(invite.Addresses) == 0 || time.Until(invite.Expires) > time.Hour {
		t.Errorf("%+v, %v", invite, err)
	}
	_, err = c.Invite(t.Context(), time.Second)
	wantKind(t, err, holocompute.Invalid, "a minute to 30 days")
}
