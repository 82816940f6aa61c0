package memory

import "github.com/holocompute/holocompute/internal/storage"

// trim has what somebody appended to the files of the spill folder cut off, and
// counts it. A disk that fails is asked again by the next call, and is told of where
// pages are written to it.
func (n *Node) trim(store *storage.Store) {
	strange, _ := store.Trim()
	if strange > 0 {
		n.refused(storage.ReasonAppended)
		n.log.Error("somebody put bytes behind the records of the spill folder: they were cut off", "bytes", strange)
	}
}
