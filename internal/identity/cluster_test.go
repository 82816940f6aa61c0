//go:build unix

package identity

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

func testCluster() *Cluster {
	return &Cluster{
		ID: holo.ClusterID{1, 2}, Name: "home", Owner: holo.PrincipalID(key.GenerateSigner().Public()),
		NodeName: "laptop", Listen: "127.0.0.1:7117", Advertise: []string{"10.0.0.1:7117"},
	}
}

func TestClusterFileComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), ClusterFile)
	for _, c := range []*Cluster{testCluster(), {ID: holo.ClusterID{9}, Owner: testCluster().Owner}} {
		if err := WriteCluster(path, c); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadCluster(path); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%v, %v", got, err)
		}
	}
}

// TestClusterFileHasOneReading: JSON that other readers could take differently
// is refused.
func TestClusterFileHasOneReading(t *testing.T) {
	path := filepath.Join(t.TempDir(), ClusterFile)
	if err := WriteCluster(path, testCluster()); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(s string) string{
		"empty":         func(string) string { return "" },
		"not JSON":      func(s string) string { return s[1:] },
		"trailing":      func(s string) string { return s + "{}" },
		"white space":   func(s string) string { return s + "\n" },
		"unknown field": func(s string) string { return strings.Replace(s, "{", `{"x": 1,`, 1) },
		"twice":         func(s string) string { return strings.Replace(s, `"name": "home",`, `"name": "a", "name": "home",`, 1) },
		"folded case":   func(s string) string { return strings.Replace(s, `"owner"`, `"OWNER"`, 1) },
		"version":       func(s string) string { return strings.Replace(s, `"version": 1`, `"version": 2`, 1) },
		"cluster":       func(s string) string { return strings.Replace(s, `"cluster": "01`, `"cluster": "0X`, 1) },
		"short owner":   func(s string) string { return strings.Replace(s, `"owner": "`, `"owner": "" , "z": "`, 1) },
		"huge":          func(s string) string { return s + strings.Repeat(" ", maxClusterFile) },
	} {
		if err := os.WriteFile(path, []byte(change(string(good))), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadCluster(path)
		wantReason(t, what, err, holo.Corrupt, ReasonDamaged)
	}
}

// TestPinThatOthersCanChangeIsRefused: the file says whose signatures count.
func TestPinThatOthersCanChangeIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), ClusterFile)
	if err := WriteCluster(path, testCluster()); err != nil {
		t.Fatal(err)
	}
	for mode, good := range map[os.FileMode]bool{0o600: true, 0o644: true, 0o664: false, 0o646: false, 0o620: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := ReadCluster(path)
		if good && err != nil {
			t.Errorf("mode %04o: %v", mode, err)
		}
		if !good {
			wantReason(t, mode.String(), err, holo.Denied, ReasonWrongMode)
		}
	}
}

func TestClusterTooLongToReadIsNotWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), ClusterFile)
	c := testCluster()
	c.Name = strings.Repeat("n", maxClusterFile)
	wantReason(t, "long", WriteCluster(path, c), holo.Invalid, "")
	if _, err := ReadCluster(path); holo.KindOf(err) != holo.NotFound {
		t.Error(err)
	}
}

func TestPublicFilesHaveALimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), ChainFile)
	if err := WritePublic(path, []byte("12345")); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadPublic(path, 5); err != nil || string(got) != "12345" {
		t.Errorf("%q, %v", got, err)
	}
	_, err := ReadPublic(path, 4)
	wantReason(t, "longer than the limit", err, holo.Corrupt, ReasonDamaged)
}
