package claim

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

func encoded(t testing.TB, m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRequestSaysWhichCommandItAsksFor(t *testing.T) {
	create := encoded(t, &holov1.CreateArrayRequest{Name: "a", Type: "i16", Length: 10, Copies: 2, Affinity: "g", Buffer: true})
	m, err := Reader{}.Read(holov1connect.ArrayServiceCreateProcedure[1:], create)
	if err != nil {
		t.Fatal(err)
	}
	want := wire.ArrayCreate{Name: "a", Shape: holo.Shape{Type: holo.I16, Length: 10, Extent: holo.DefaultExtent}, Class: 2, Affinity: "g", Buffer: true}
	if got := m.(*wire.ArrayCreate); *got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	m, err = Reader{}.Read(holov1connect.ArrayServiceSealProcedure[1:], encoded(t, &holov1.SealRequest{Array: 7}))
	if got, ok := m.(*wire.ArraySealing); err != nil || !ok || got.Array != 7 {
		t.Errorf("%+v, %v", m, err)
	}
	m, err = Reader{}.Read(holov1connect.ArrayServiceDeleteProcedure[1:], encoded(t, &holov1.DeleteRequest{Array: 7}))
	if got, ok := m.(*wire.ArrayDelete); err != nil || !ok || got.Array != 7 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestRequestThatIsNotUnderstoodAsksForNothing(t *testing.T) {
	good := encoded(t, &holov1.CreateArrayRequest{Name: "a", Type: "i16", Length: 10})
	for name, k := range map[string]struct {
		procedure string
		request   []byte
	}{
		"a procedure that is no command": {"holo.v1.ArrayService/Fill", good},
		"with its slash":                 {"/" + createArray, good},
		"an unknown field":               {createArray, append(good[:len(good):len(good)], 0x78, 1)},
		"cut short":                      {createArray, good[:len(good)-1]},
		"a type that is none":            {createArray, encoded(t, &holov1.CreateArrayRequest{Name: "a", Type: "i17", Length: 10})},
		"too many copies":                {createArray, encoded(t, &holov1.CreateArrayRequest{Name: "a", Type: "i16", Length: 10, Copies: 4})},
		"more copies than a byte":        {createArray, encoded(t, &holov1.CreateArrayRequest{Name: "a", Type: "i16", Length: 10, Copies: 257})},
		"no elements that fit":           {createArray, encoded(t, &holov1.CreateArrayRequest{Name: "a", Type: "i16", Length: 1 << 63})},
	} {
		if m, err := (Reader{}).Read(k.procedure, k.request); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// FuzzRead: bytes are refused, or read twice to the same command, which
// survives the wire.
func FuzzRead(f *testing.F) {
	f.Add(createArray, encoded(f, &holov1.CreateArrayRequest{Name: "a", Type: "i16", Length: 10}))
	f.Add(sealArray, encoded(f, &holov1.SealRequest{Array: 7}))
	f.Add(deleteArray, encoded(f, &holov1.DeleteRequest{Array: 7}))
	f.Fuzz(func(t *testing.T, procedure string, request []byte) {
		m, err := Reader{}.Read(procedure, request)
		again, twice := Reader{}.Read(procedure, request)
		if (err == nil) != (twice == nil) || err != nil && err.Error() != twice.Error() {
			t.Fatalf("%v, and then %v", err, twice)
		}
		if err == nil && string(wire.Encode(m)) != string(wire.Encode(again)) {
			t.Fatalf("%+v, and then %+v", m, again)
		}
	})
}
