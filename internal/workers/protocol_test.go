package workers

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/confine"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
)

// FuzzAnswer: what a worker says is one thing or nothing. What is taken for an
// answer, or a hello, is encoded to the same bytes.
func FuzzAnswer(f *testing.F) {
	for cause := range causes {
		f.Add(answer{gas: 5, pages: 6, err: holo.Refuse(cause.kind, cause.reason, "run kernel: %s", cause.reason)}.encode())
	}
	f.Add(answer{gas: 1}.encode())
	f.Add(answer{code: []byte("code")}.encode())
	f.Add(hello{sandbox.Compiler, fingerprint{1}, []confine.Gap{{Layer: confine.Seccomp, Why: "no"}}}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, ok := decodeAnswer(b); ok && !bytes.Equal(a.encode(), b) {
			t.Fatalf("%x is taken for an answer that encodes to %x", b, a.encode())
		}
		if h, err := decodeHello(frame{what: frameHello, body: b}); err == nil && !bytes.Equal(h.encode(), b) {
			t.Fatalf("%x is taken for a hello that encodes to %x", b, h.encode())
		}
	})
}

func TestRequestsComeBackWhole(t *testing.T) {
	b := &batch{
		module: holo.ModuleID{1}, begin: true, end: true, gas: 2, pages: 3, kind: module.Reduce, function: "f", first: 4, count: 5, run: 6,
		params: place{7, 8}, acc: place{9, 10}, inputs: []view{{holo.I64, place{11, 12}}}, outputs: []view{{holo.F32, place{13, 14}}, {holo.U8, place{}}},
	}
	if got, ok := decodeBatch(b.encode()); !ok || !reflect.DeepEqual(got, b) {
		t.Errorf("%+v comes back as %+v", b, got)
	}
	m := sample(t, "basic")
	l, ok := decodeLoad(load{m, true, []byte("code")}.encode())
	got := l.module
	if !ok || !l.keep || string(l.code) != "code" || got.ID != m.ID || got.MinPages != m.MinPages || !reflect.DeepEqual(got.Functions, m.Functions) || !bytes.Equal(got.Metered, m.Metered) {
		t.Error("a module comes back as another one")
	}
}

// Whatever an engine's error says, the text that goes to the node is short and
// printable.
func TestErrorsFitIntoAnAnswer(t *testing.T) {
	for _, text := range []string{strings.Repeat("é", 4000), "a\x00b\x1b[2Jc", "\xff\xfe", strings.Repeat("x", maxText) + "é"} {
		a := answer{err: holo.Refuse(holo.KernelTrapped, sandbox.Trap, "%s", text)}
		b := a.encode()
		if _, ok := decodeAnswer(b); !ok || len(b) > maxAnswer {
			t.Errorf("%.20q: not taken, %d bytes", text, len(b))
		}
	}
}
