package api

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func TestDataPathsReadBackAsWritten(t *testing.T) {
	const huge = ^uint64(0)
	for _, c := range [][3]uint64{{1, 0, 0}, {7, 12, 34}, {huge, huge, huge}} {
		path := DataPath(holo.ArrayID(c[0]), c[1], c[2])
		array, first, count, err := ParseDataPath(path)
		if err != nil || array != holo.ArrayID(c[0]) || first != c[1] || count != c[2] {
			t.Errorf("%s: %d %d %d, %v", path, array, first, count, err)
		}
	}
}

// A signature is over the path's bytes: a range must have one spelling only.
func TestOtherSpellingsOfAPathAreRefused(t *testing.T) {
	for _, path := range []string{
		"", "/v1/arrays/1/data", "/v1/arrays/1/data?count=1&first=0", "/v1/arrays/01/data?first=0&count=1",
		"/v1/arrays/1/data?first=+0&count=1", "/v1/arrays/1/data?first=0&count=1&x=1", "/v1/arrays/1/data?first=0&count=1#",
		"/v1/arrays//data?first=0&count=1", "/v1/arrays/1/data?first=0&count=18446744073709551616", "/v1/arrays/1/../2/data?first=0&count=1",
		"v1/arrays/1/data?first=0&count=1", "/v1/arrays/%31/data?first=0&count=1",
	} {
		if _, _, _, err := ParseDataPath(path); holo.KindOf(err) != holo.Invalid {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func FuzzDataPath(f *testing.F) {
	f.Add(DataPath(7, 12, 34))
	f.Add("/v1/arrays/01/data?first=0&count=1")
	f.Fuzz(func(t *testing.T, path string) {
		if array, first, count, err := ParseDataPath(path); err == nil && DataPath(array, first, count) != path {
			t.Errorf("%q has a second spelling", path)
		}
	})
}

func TestHeadersReadBackStrictly(t *testing.T) {
	session := make([]byte, SessionSize)
	session[3] = 0xfb
	if got, err := DecodeSession(EncodeSession(session)); err != nil || string(got) != string(session) {
		t.Errorf("session: %x, %v", got, err)
	}
	for _, bad := range []string{"", "AAAA", EncodeSession(session) + "=", EncodeSession(session[1:]), EncodeSession(session) + "\n"} {
		if _, err := DecodeSession(bad); holo.KindOf(err) != holo.Denied {
			t.Errorf("session %q: %v", bad, err)
		}
		if _, err := DecodeSignature(bad); holo.KindOf(err) != holo.Denied {
			t.Errorf("signature %q: %v", bad, err)
		}
	}
	sum := [32]byte{9}
	if !CheckDigest(EncodeDigest(sum), sum) || CheckDigest(EncodeDigest([32]byte{8}), sum) || CheckDigest("", sum) {
		t.Error("digests are not compared")
	}
}
