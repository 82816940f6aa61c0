package audit

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// tree is an RFC 6962 tree of which only the right edge is kept: of every
// level the last complete node. That is all that appending and the root need,
// and 2 KiB however long the log is. The zero value is the empty tree; a copy
// is a tree of its own.
type tree struct {
	size int64
	edge [64]tlog.Hash
}

// add appends a leaf.
func (t *tree) add(leaf []byte) error {
	hashes, err := tlog.StoredHashes(t.size, leaf, t)
	if err != nil {
		return err
	}
	copy(t.edge[:], hashes) // one of each level, from the leaf up
	t.size++
	return nil
}

// root is the hash of the whole tree.
func (t *tree) root() (tlog.Hash, error) { return tlog.TreeHash(t.size, t) }

// ReadHashes implements tlog.HashReader, for the edge.
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		if n != t.size>>level-1 {
			return nil, fmt.Errorf("bug: node %d of level %d is not on the edge of a tree of %d", n, level, t.size)
		}
		out[i] = t.edge[level]
	}
	return out, nil
}
