package wire

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/protocol"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/versions.txt anew")

// TestMessagesOfAVersionStayAsTheyAre: a message that was said once is never
// changed, or two programs of which one is a release older would read different
// things in it. What is new is a new type, with the version that it is since.
func TestMessagesOfAVersionStayAsTheyAre(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Each message: its number, the version of the protocol since which it is, and a hash of how one of it is encoded.\n# A line is added, or goes with a version that is not spoken any more; none changes. Written by go test -rewrite.\n")
	for _, m := range Registered() {
		s := sample{}
		s.fill(reflect.ValueOf(m).Elem())
		sum := sha256.Sum256(Encode(m))
		fmt.Fprintf(&b, "%#04x %-18s since %d  %x\n", uint16(m.Type()), reflect.TypeOf(m).Elem().Name(), since[m.Type()], sum[:6])
	}
	path := filepath.Join("testdata", "versions.txt")
	if *rewrite {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the messages are not those of %s: give what changed a number and a version of its own, then go test -rewrite\n%s", path, b.String())
	}
}

// sample fills messages with values that are all different, so that fields which
// change their places show.
type sample struct{ n uint64 }

func (s *sample) fill(v reflect.Value) {
	s.n++
	switch v.Type() {
	case reflect.TypeFor[key.Secret]():
		secret, _ := key.NewSecret(make([]byte, 32))
		v.Set(reflect.ValueOf(secret))
		return
	case reflect.TypeFor[ChainKind]():
		v.SetUint(uint64(ChainAdmit)) // which has most fields
		return
	case reflect.TypeFor[Message]():
		v.Set(reflect.ValueOf(&JobTake{Job: 1, Epoch: 2, Coordinator: holo.NodeID{3}}))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString(fmt.Sprint("s", s.n))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(s.n % 200)
	case reflect.Int, reflect.Int8, reflect.Int32, reflect.Int64:
		v.SetInt(int64(s.n % 100))
	case reflect.Float64:
		v.SetFloat(float64(s.n))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		s.fill(v.Index(0))
		s.fill(v.Index(1))
	case reflect.Array:
		for i := range v.Len() {
			s.fill(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				s.fill(v.Field(i))
			}
		}
	}
}

// TestMessagesSayWhatIsInThem: what is around a command of a later version can
// be said no earlier than the command.
func TestMessagesSayWhatIsInThem(t *testing.T) {
	word := &Attested{Body: &NodeProgram{}}
	for want, ms := range map[protocol.Version][]Message{
		1: {&Heartbeat{}, &Command{Body: &ArrayDelete{}}, &Command{}, &Attested{Body: &NodeAddress{}}, &CatalogQuery{What: QueryNodes}, &CatalogQuery{What: QueryTokens}},
		2: {&NodeProgram{}, word, &Command{Body: word}, &CatalogQuery{What: QueryPrograms}},
	} {
		for _, m := range ms {
			if got := Since(m); got != want {
				t.Errorf("%T is since %d, want %d", m, got, want)
			}
		}
	}
}

// TestEveryMessageHasAVersionThatIsSpoken: there is none of a version after this
// program's, and none without.
func TestEveryMessageHasAVersionThatIsSpoken(t *testing.T) {
	for _, m := range Registered() {
		if v, ok := since[m.Type()]; !ok || v < protocol.First || v > protocol.Newest {
			t.Errorf("%T is since version %d, %v", m, v, ok)
		}
	}
}
