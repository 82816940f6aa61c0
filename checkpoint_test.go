package holocompute_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/node"
)

// checkpointed makes an array of pages that are noise, zero and cut short, and its
// checkpoint.
func checkpointed(t *testing.T, c *holocompute.Cluster, name string, seal bool) (*holocompute.Array[uint32], []uint32, holocompute.Checkpoint, []byte) {
	t.Helper()
	const length = 6<<20 + 12345
	a, err := holocompute.Create[uint32](t.Context(), c, name, length, holocompute.ArrayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	values, rng := make([]uint32, length), rand.New(rand.NewPCG(5, 6))
	for i := range values {
		if i/16384%3 != 1 { // every third page stays zero
			values[i] = rng.Uint32()
		}
	}
	if err := a.Write(t.Context(), 0, values); err != nil {
		t.Fatal(err)
	}
	if seal {
		if err := a.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	told := uint64(0)
	k, err := a.Checkpoint(t.Context(), &b, func(n uint64) { told = n })
	if err != nil || k.Name != name || k.Bytes != 4*length || k.Sealed != seal || told != k.Bytes {
		t.Fatalf("%+v, %d told, %v", k, told, err)
	}
	return a, values, k, b.Bytes()
}

func wantValues(t *testing.T, r *holocompute.Raw, want []uint32) {
	t.Helper()
	a, err := holocompute.As[uint32](r)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]uint32, a.Len())
	if err := a.Read(t.Context(), 0, got); err != nil || !bytes.Equal(holocompute.Bytes(got), holocompute.Bytes(want)) {
		t.Fatalf("array %s is not what was checkpointed: %v", r.Info().Name, err)
	}
}

// TestArrayComesBackFromItsCheckpoint: half of it overwritten, another one made of
// the file has the root of before; so has one in an empty cluster of somebody else,
// whose folder has the backup key. The root of a sealed array is the catalogue's.
func TestArrayComesBackFromItsCheckpoint(t *testing.T) {
	c := connect(t)
	a, values, k, file := checkpointed(t, c, "checkpointed", false)
	if bytes.Contains(file, holocompute.Bytes(values[:16])) || bytes.Contains(file, []byte("checkpointed")) {
		t.Error("the file shows what it holds")
	}
	if err := a.Fill(t.Context(), 0, a.Len()/2, 7); err != nil {
		t.Fatal(err)
	}
	var now bytes.Buffer
	if other, err := a.Checkpoint(t.Context(), &now, nil); err != nil || other.Root == k.Root {
		t.Fatalf("half of it is another, and the root %s is the same: %v", other.Root, err)
	}
	if _, _, err := c.Restore(t.Context(), bytes.NewReader(file), holocompute.RestoreOptions{}); err == nil || !strings.Contains(err.Error(), "the name is taken") {
		t.Errorf("over an array that is there: %v", err)
	}
	wrote := uint64(0)
	r, back, err := c.Restore(t.Context(), bytes.NewReader(file), holocompute.RestoreOptions{As: "again", Done: func(n, of uint64) {
		if wrote = n; of != k.Bytes {
			t.Errorf("%d of %d bytes", n, of)
		}
	}})
	if err != nil || back.Root != k.Root || wrote != k.Bytes || r.Info().Name != "again" {
		t.Fatalf("%+v, %v", back, err)
	}
	wantValues(t, r, values)

	_, values, k, file = checkpointed(t, c, "checkpointed/sealed", true)
	other := elsewhere(t)
	if _, _, err := other.Restore(t.Context(), bytes.NewReader(file), holocompute.RestoreOptions{}); holocompute.KindOf(err) != holocompute.NotFound || !strings.Contains(err.Error(), "backup.key") {
		t.Errorf("without a backup key: %v", err)
	}
	copyKey(t, other.config)
	r, back, err = other.Restore(t.Context(), bytes.NewReader(file), holocompute.RestoreOptions{})
	if err != nil || back.Root != k.Root || r.Info().Root != k.Root || r.Info().Name != "checkpointed/sealed" {
		t.Fatalf("in another cluster: %+v, root %s, %v", back, r.Info().Root, err)
	}
	wantValues(t, r, values)
}

type place struct {
	*holocompute.Cluster
	config string
}

// elsewhere is an empty cluster of somebody else.
func elsewhere(t *testing.T) place {
	t.Helper()
	root, err := os.MkdirTemp("", "holo-else-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	dir, p := filepath.Join(root, "node"), place{config: filepath.Join(root, "config")}
	if _, err := node.Init(t.Context(), node.InitConfig{Dir: dir, ConfigDir: p.config, NodeName: "other"}); err != nil {
		t.Fatal(err)
	}
	n, err := node.Start(t.Context(), node.Config{Dir: dir, MemoryBytes: 64 << 20, Socket: filepath.Join(dir, "holo.sock")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	if p.Cluster, err = holocompute.Connect(t.Context(), holocompute.Options{Socket: filepath.Join(dir, "holo.sock"), Config: p.config}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func copyKey(t *testing.T, config string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(os.Getenv("HOLO_CONFIG"), identity.BackupKeyFile))
	if err == nil {
		err = os.WriteFile(filepath.Join(config, identity.BackupKeyFile), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// switched gives other bytes when it is read for the second time.
type switched struct {
	*bytes.Reader
	then *bytes.Reader
}

func (s *switched) Seek(at int64, from int) (int64, error) {
	s.Reader = s.then
	return s.Reader.Seek(at, from)
}

// TestDamagedCheckpointMakesNoArray: changed, cut, with another's key, or changed
// between the two readings: it is said where, and nothing of it is in the cluster.
func TestDamagedCheckpointMakesNoArray(t *testing.T) {
	c := connect(t)
	a, _, _, file := checkpointed(t, c, "damaged/one", false)
	var second bytes.Buffer
	err := a.Fill(t.Context(), 0, 5, 7)
	if err == nil {
		_, err = a.Checkpoint(t.Context(), &second, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(file)
	changed[len(file)/2] ^= 1
	other := elsewhere(t)
	var mine bytes.Buffer
	b, err := holocompute.Create[uint8](t.Context(), other.Cluster, "mine", 9, holocompute.ArrayOptions{})
	if err == nil {
		_, err = b.Checkpoint(t.Context(), &mine, nil) // makes a backup key of its own
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name string
		in   *holocompute.Cluster
		src  io.ReadSeeker
		kind holocompute.Kind
		says string
	}{
		{"changed", c, bytes.NewReader(changed), holocompute.Corrupt, "page "},
		{"cut", c, bytes.NewReader(file[:len(file)*2/3]), holocompute.Corrupt, "page "},
		{"without its end", c, bytes.NewReader(file[:len(file)-3]), holocompute.Corrupt, "read checkpoint"},
		{"empty", c, bytes.NewReader(nil), holocompute.Corrupt, "head is damaged"},
		{"another's", other.Cluster, bytes.NewReader(file), holocompute.Denied, "another backup key"},
		{"changed meanwhile", c, &switched{bytes.NewReader(file), bytes.NewReader(changed)}, holocompute.Corrupt, "page "},
		{"another meanwhile", c, &switched{bytes.NewReader(file), bytes.NewReader(second.Bytes())}, holocompute.Corrupt, "changed while it was read"},
	} {
		_, _, err := x.in.Restore(t.Context(), x.src, holocompute.RestoreOptions{As: "restored"})
		if holocompute.KindOf(err) != x.kind || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v", x.name, err)
		}
		if _, err := x.in.OpenRaw(t.Context(), "restored"); holocompute.KindOf(err) != holocompute.NotFound {
			t.Errorf("%s: an array was left: %v", x.name, err)
		}
	}
}

var errNoSpace = errors.New("no space")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errNoSpace }

func TestCheckpointThatCannotBeWrittenIsAnError(t *testing.T) {
	c := connect(t)
	a, err := holocompute.Create[uint8](t.Context(), c, "unwritten", 1<<20, holocompute.ArrayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Checkpoint(t.Context(), full{}, nil); !errors.Is(err, errNoSpace) {
		t.Errorf("%v", err)
	}
}
