package consensus

import (
	"io"

	"github.com/hashicorp/raft"

	"github.com/holocompute/holocompute/internal/holo"
)

// maxSnapshot bounds what Restore reads: 100,000 arrays take 20 MB.
const maxSnapshot = 1 << 30

// machine is an FSM as Raft calls it.
type machine struct{ fsm FSM }

func (m machine) Apply(entry *raft.Log) any { return m.fsm.Apply(entry.Index, entry.Data) }

func (m machine) Snapshot() (raft.FSMSnapshot, error) {
	state, err := m.fsm.Snapshot()
	return snapshot(state), err
}

func (m machine) Restore(r io.ReadCloser) error {
	defer r.Close()
	state, err := io.ReadAll(io.LimitReader(r, maxSnapshot+1))
	if err != nil {
		return holo.Errorf(holo.Unavailable, "restore snapshot: %w", err)
	}
	if len(state) > maxSnapshot {
		return holo.Errorf(holo.Corrupt, "restore snapshot: more than %d bytes", maxSnapshot)
	}
	return m.fsm.Restore(state)
}

// snapshot is an encoded state on its way to a file.
type snapshot []byte

func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(s); err != nil {
		sink.Cancel() // its error is not worth more than this one
		return err
	}
	return sink.Close()
}

func (snapshot) Release() {}
