package audit

import (
	"bytes"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/holocompute/holocompute/internal/key"
)

// FuzzSegment reads any bytes as a log: no panic, and what is accepted is
// nothing but frames that encode to the same bytes, in the order of a log that
// the node signed.
func FuzzSegment(f *testing.F) {
	d := newDisk()
	l, err := open(d, Config{Cluster: testCluster, Signer: crashSigner()})
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"a", "b", "c"} {
		if err := l.Permit(noteRecord(s)); err != nil {
			f.Fatal(err)
		}
	}
	whole, head := bytes.Clone(d.files[firstName].data), bytes.Clone(d.files[headFile].data)
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte{})
	source := Source{testCluster, crashSigner().Public()}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDisk()
		d.files[firstName] = &diskFile{disk: d, name: firstName, data: b}
		d.files[headFile] = &diskFile{disk: d, name: headFile, data: head}
		s, err := verify(d, source)
		if err == nil && !(bytes.HasPrefix(b, whole) && s.Loose == int64(len(b)-len(whole))) {
			t.Fatalf("%d bytes that the node did not write are a log: %+v", len(b), s)
		}
		for r := bytes.NewReader(b); ; {
			at := len(b) - r.Len()
			fr, err := readFrame(r)
			if err != nil {
				return
			}
			if again := appendFrame(nil, fr.kind, fr.content); !bytes.Equal(again, b[at:at+int(fr.bytes)]) {
				t.Fatal("a frame encodes to other bytes")
			}
		}
	})
}

// FuzzCheckpoint has the fuzzer's text signed by the node itself: even then
// only the one spelling of a checkpoint is taken.
func FuzzCheckpoint(f *testing.F) {
	name := origin(testCluster, crashSigner().Public())
	v, err := verifierOf(name, crashSigner().Public())
	if err != nil {
		f.Fatal(err)
	}
	s := noteSigner{v, crashSigner()}
	good, err := checkpoint{size: 3, previous: 2}.sign(name, s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, false)
	f.Add([]byte(checkpoint{size: 3, previous: 2}.text(name)), true)
	f.Add([]byte(name+"\n+3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nprevious 02\n"), true)
	f.Fuzz(func(t *testing.T, b []byte, sign bool) {
		if sign {
			b = signText(name, crashSigner(), string(b))
		}
		c, err := openCheckpoint(b, name, v)
		if err != nil {
			return
		}
		again, err := c.sign(name, s)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("two spellings of one checkpoint:\n%s\n%s", b, again)
		}
	})
}

// signText makes a note of any text, as package note would of a good one.
func signText(name string, signer key.Signer, text string) []byte {
	v, err := verifierOf(name, signer.Public())
	if err != nil {
		return nil
	}
	b, err := note.Sign(&note.Note{Text: text}, noteSigner{v, signer})
	if err != nil {
		return nil
	}
	return b
}
