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
	for file, places := range map[string]func(b []byte) [][]int{
		identity.ClusterFile:    everySo(17),
		identity.ChainFile:      everySo(29),
		identity.ClusterKeyFile: everySo(13),
		identity.NodeKeyFile:    everySo(13),
		filepath.Join(raftDir, "raft.db"): func(b []byte) [][]int { // the array's name in the log
			return [][]int{everywhere(b, "an-array", 0), everywhere(b, "an-array", 3)}
		},
	} {
		path := filepath.Join(dir, file)
		good, err := os.ReadFile(path)
		must(t, err)
		for _, at := range places(good) {
			changed := slices.Clone(good)
			for _, i := range at {
				changed[i] ^= 2
			}
			must(t, os.WriteFile(path, changed, 0o600))
			n, err := Start(context.Background(), c.config(0))
			if err == nil {
				n.Close()
				t.Fatalf("bytes %d of %s were changed, and the node starts", at, file)
			}
			if !strings.Contains(err.Error(), path) || holo.KindOf(err) != holo.Corrupt && holo.KindOf(err) != holo.Denied {
				t.Errorf("bytes %d of %s: %v", at, file, err)
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

func everySo(step int) func([]byte) [][]int {
	return func(b []byte) (at [][]int) {
		for i := 0; i < len(b); i += step {
			at = append(at, []int{i})
		}
		return append(at, []int{len(b) - 1})
	}
}

// everywhere finds a byte of all copies of a word: bbolt leaves old pages behind
// that mean nothing any more.
func everywhere(b []byte, word string, offset int) (at []int) {
	for from := 0; ; {
		i := bytes.Index(b[from:], []byte(word))
		if i < 0 {
			return at
		}
		at = append(at, from+i+offset)
		from += i + 1
	}
}
