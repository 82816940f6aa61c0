package node

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
)

// The attack of T2-3: one byte of a file that decides about the cluster is
// changed while the node is off. It does not start, and says which file.
func TestNodeWithAChangedFileDoesNotStart(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	c.create(c.nodes[0], "an-array", 1<<20)
	must(t, c.nodes[0].Close())
	c.nodes[0] = nil
	dir := c.dirs[0]
	for file, places := range map[string]func(b []byte) []int{
		identity.ClusterFile:    everySo(17),
		identity.ChainFile:      everySo(29),
		identity.ClusterKeyFile: everySo(13),
		identity.NodeKeyFile:    everySo(13),
		filepath.Join(raftDir, "raft.db"): func(b []byte) []int { // the array's name in the log
			return []int{bytes.Index(b, []byte("an-array")), bytes.Index(b, []byte("an-array")) + 3}
		},
	} {
		path := filepath.Join(dir, file)
		good, err := os.ReadFile(path)
		must(t, err)
		for _, at := range places(good) {
			changed := slices.Clone(good)
			changed[at] ^= 2
			must(t, os.WriteFile(path, changed, 0o600))
			n, err := Start(context.Background(), c.config(0))
			if err == nil {
				n.Close()
				t.Fatalf("byte %d of %s was changed, and the node starts", at, file)
			}
			if !strings.Contains(err.Error(), path) || holo.KindOf(err) != holo.Corrupt && holo.KindOf(err) != holo.Denied {
				t.Errorf("byte %d of %s: %v", at, file, err)
			}
		}
		must(t, os.WriteFile(path, good, 0o600))
	}
	c.start(0)
	await(t, "unchanged, it starts", func() bool {
		_, err := c.nodes[0].GetArray(context.Background(), door.Caller{}, "an-array")
		return err == nil
	})
}

func everySo(step int) func([]byte) []int {
	return func(b []byte) (at []int) {
		for i := 0; i < len(b); i += step {
			at = append(at, i)
		}
		return append(at, len(b)-1)
	}
}
