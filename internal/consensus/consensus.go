// Package consensus is an ordered log that a majority of the voters holds:
// hashicorp/raft, with our connections under it and our store beside it.
//
// What it adds is what that library leaves open. It has no authentication, so
// every RPC must come over a connection of the identity that it claims, and
// from a node that the Raft configuration names (link.go). Its outcomes become
// kinds of error, where Indeterminate says that a command may have been
// applied. Reads go through a barrier, once per term, and a round of the
// voters. A voter is added as a nonvoter first and counts only when it has the
// log, because an empty voter would count towards the majority at once
// (members.go). The log lies in a bbolt file, snapshots in files beside it.
//
// Nothing per page, per task or per heartbeat belongs here: a command costs a
// write to disk on a majority, some hundred per second (research/
// control-plane-dsm 1).
package consensus

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/holocompute/holocompute/internal/holo"
)

// Reasons of errors that callers branch on.
const (
	ReasonNotLeader = "not_leader" // ask the node that Leader names
	ReasonClosed    = "closed"     // the group is closed
	ReasonImpostor  = "raft_impostor"
	ReasonStranger  = "raft_stranger"
	ReasonDamaged   = "damaged" // a file is not as it was written
)

// FSM is what the log's commands change. Apply, Snapshot and Restore are
// called by one goroutine, one at a time and in the order of the log.
type FSM interface {
	// Apply changes the state by a committed command, alike on every node: it
	// may use nothing but the state, the command and the index. Its result
	// goes to the proposer. It must not modify or keep cmd, nor do I/O.
	Apply(index uint64, cmd []byte) any
	// Snapshot encodes the state.
	Snapshot() ([]byte, error)
	// Restore replaces the state by one that Snapshot encoded.
	Restore(snapshot []byte) error
}

// Streams carries Raft's RPCs between nodes that have authenticated each
// other. Connections must honour deadlines.
type Streams interface {
	// Dial opens a stream to a node.
	Dial(ctx context.Context, peer holo.NodeID) (net.Conn, error)
	// Accept waits for a stream that another node opened for Raft and says
	// which, as proven by its session.
	Accept(ctx context.Context) (net.Conn, holo.NodeID, error)
}

// Config says how to run a group.
type Config struct {
	Self    holo.NodeID
	Dir     string // for the log and the snapshots; made when it is not there
	Streams Streams
	FSM     FSM
	Logger  *slog.Logger                          // nil: slog.Default
	Refused func(reason string, peer holo.NodeID) // told of each RPC refused; must not block; nil: nobody counts
}

// Raft's times. A leader that nobody hears from for electionTimeout is
// replaced, and a leader that no majority answers steps down by then too.
const (
	electionTimeout = time.Second
	commitTimeout   = 50 * time.Millisecond
	rpcTimeout      = 2 * time.Second
)

// A snapshot is made after snapshotAfter entries and leaves keptEntries, so
// that a follower that was away for a moment needs no snapshot.
const (
	snapshotAfter = 4096
	keptEntries   = 2048
	keptSnapshots = 2
	cachedEntries = 256
)

// Group is this node's part in the consensus. It is safe for concurrent use.
type Group struct {
	config  Config
	raft    *raft.Raft
	link    *link
	store   *store
	changes chan bool
	group   *group // what runs until Raft has stopped
	calls   *group // calls to Raft that are waited for
	closing atomic.Bool
	barrier struct {
		sync.Mutex
		term uint64 // in which everything from before was seen to be applied
	}
}

// Open starts the group from what Dir holds. A new one waits until it is
// bootstrapped here, or until a leader that Expect names adds it.
func Open(c Config) (*Group, error) {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Self.IsZero() || c.Streams == nil || c.FSM == nil {
		return nil, holo.Errorf(holo.Invalid, "open consensus in %s: needs a node, streams and a state machine", c.Dir)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, holo.Errorf(holo.Unavailable, "open consensus: %w", err)
	}
	err := verifySnapshots(filepath.Join(c.Dir, "snapshots"))
	if err != nil {
		return nil, err
	}
	store, err := openStore(filepath.Join(c.Dir, "raft.db"))
	if err != nil {
		return nil, err
	}
	g := &Group{config: c, store: store, changes: make(chan bool, 1), group: newGroup(), calls: newGroup()}
	if err := g.start(); err != nil {
		g.group.cancel()
		g.group.wait()
		return nil, errors.Join(holo.Errorf(holo.Unavailable, "open consensus in %s: %w", c.Dir, err), store.Close())
	}
	return g, nil
}

func (g *Group) start() error {
	logger := newLogger(g.config.Logger)
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(g.config.Dir, keptSnapshots, logger)
	if err != nil {
		return err
	}
	cache, err := raft.NewLogCache(cachedEntries, g.store)
	if err != nil {
		return err
	}
	notify := make(chan bool)
	g.link = newLink(g.config, logger, g.group)
	r, err := raft.NewRaft(raftConfig(g.config.Self, logger, notify), machine{g.config.FSM}, cache, g.store,
		summed{snapshots, filepath.Join(g.config.Dir, "snapshots")}, g.link)
	if err != nil {
		return errors.Join(err, g.link.Close())
	}
	g.raft = r
	g.group.run(func(ctx context.Context) { g.watch(ctx, notify) })
	g.link.serve(func() raft.Configuration { return r.GetConfiguration().Configuration() })
	return nil
}

func raftConfig(self holo.NodeID, logger logger, notify chan<- bool) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = serverID(self)
	c.Logger = logger
	c.NotifyCh = notify
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = electionTimeout, electionTimeout, electionTimeout
	c.CommitTimeout = commitTimeout
	c.SnapshotThreshold, c.TrailingLogs = snapshotAfter, keptEntries
	return c
}

// watch empties Raft's channel at once, which Raft waits for, and keeps the
// latest word for Changes.
func (g *Group) watch(ctx context.Context, notify <-chan bool) {
	for {
		select {
		case leader := <-notify:
			select {
			case <-g.changes:
			default:
			}
			g.changes <- leader // has room: this is the only sender
		case <-ctx.Done():
			return
		}
	}
}

// Bootstrap makes this node the only voter of a new cluster: once in the
// cluster's life, on one node. It is refused with kind Exists where there is a
// log already.
func (g *Group) Bootstrap() error {
	self := raft.Server{Suffrage: raft.Voter, ID: serverID(g.config.Self), Address: address(g.config.Self)}
	err := g.raft.BootstrapCluster(raft.Configuration{Servers: []raft.Server{self}}).Error()
	if errors.Is(err, raft.ErrCantBootstrap) {
		return holo.Errorf(holo.Exists, "bootstrap: %s holds a log already", g.config.Dir)
	}
	return outcome("bootstrap", err)
}

// Empty reports whether this node has neither log nor configuration: it was
// never bootstrapped or added.
func (g *Group) Empty() bool { return g.raft.LastIndex() == 0 }

// Leader is the node believed to lead, false while none is known.
func (g *Group) Leader() (holo.NodeID, bool) {
	_, id := g.raft.LeaderWithID()
	node, err := holo.ParseNodeID(string(id))
	return node, err == nil
}

// IsLeader reports whether this node believes to lead. Only VerifyLeader
// knows.
func (g *Group) IsLeader() bool { return g.raft.State() == raft.Leader }

// Term is the present term.
func (g *Group) Term() uint64 { return g.raft.CurrentTerm() }

// Changes tells whether this node leads, each time that it begins or ceases
// to. Only the latest word waits: a reader that was slow compares Term.
func (g *Group) Changes() <-chan bool { return g.changes }

// AppliedIndex is the last entry that the state machine was given or is about
// to be.
func (g *Group) AppliedIndex() uint64 { return g.raft.AppliedIndex() }

// Close stops taking part and waits for everything that was started. Calls in
// progress end first, because Raft forgets to answer some when it stops.
func (g *Group) Close() error {
	if g.closing.Swap(true) {
		return nil
	}
	g.calls.wait()
	stopped := g.raft.Shutdown()
	err := g.link.Close() // Raft waits for its requests
	err = errors.Join(err, stopped.Error())
	g.group.cancel()
	g.group.wait()
	return errors.Join(err, g.store.Close())
}
