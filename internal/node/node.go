// Package node assembles a node: the place where machines meet devices, the
// clock and chance.
//
// One goroutine, the loop, owns the machines (shard replicas, the lease, and
// on the Raft leader the keeper of all leases); everybody else posts to it and
// waits (loop.go). What a peer may ask is one table (routes.go). The catalogue
// is asked through its leader, wherever that is (control.go, leader.go). Who is
// a member this node verifies for itself from the owner's key (members.go), and
// nobody becomes one but by an invite (admit.go, join.go). All that is done to
// pages is internal/memory's (pages.go). Clients come in by the door, whose
// backend this is (backend.go and the files beside it).
package node

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holocompute/holocompute/internal/audit"
	"github.com/holocompute/holocompute/internal/buffer"
	"github.com/holocompute/holocompute/internal/code"
	"github.com/holocompute/holocompute/internal/consensus"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/jobs"
	"github.com/holocompute/holocompute/internal/memory"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wait"
)

// DefaultMemory is the page memory that a node offers when nobody says
// otherwise: 1 GiB.
const DefaultMemory = 1 << 30

// anyLoopback is where a node listens when nobody says otherwise: clients
// and strangers are on this machine or nowhere.
const anyLoopback = "127.0.0.1:0"

// resignTimeout bounds the wait for another leader while closing.
const resignTimeout = 2 * time.Second

var quiet = slog.New(slog.DiscardHandler)

func memoryOr(bytes uint64) uint64 {
	if bytes == 0 {
		return DefaultMemory
	}
	return bytes
}

// Config says how to run a node.
type Config struct {
	Dir         string        // made by Init or Join
	Listen      string        // host:port; empty: what it was before, at first a free loopback port
	Also        []string      // further addresses to listen on, with Listen
	Allow       []string      // networks to talk with, CIDR; empty: what it was before, at first all
	Announce    bool          // answer questions in the local network where this cluster is
	Advertise   []string      // addresses to tell others; empty: what it was before, at first where it listens
	MemoryBytes uint64        // page memory offered; 0: DefaultMemory
	SpillDir    string        // where pages go that do not fit; empty: nowhere
	SpillLimit  uint64        // of files there, at least storage.MinLimit
	ScrubRate   uint64        // bytes per second that are read again to find damage; 0: scrub.DefaultRate
	MoveRate    uint64        // bytes a second that are moved only to even things out, while this node leads; 0: liveness.DefaultMoveRate
	HelpAfter   time.Duration // what a node must save at least to take a task from where its pages lie, in jobs that this node coordinates; 0: 200 ms
	Socket      string        // path of the client socket; empty: none
	Clients     *bool         // let clients of other machines in; nil: as before, at first not
	Policy      Policy        // of its links
	Keys        identity.Keys // how its keys are read
	Logger      *slog.Logger  // nil: nothing is logged

	// StrictIsolation has the node run kernels only where every layer of
	// isolation can be had, and not start elsewhere.
	StrictIsolation bool
}

// Node is a running node. It is safe for concurrent use.
type Node struct {
	config      Config
	log         *slog.Logger
	home        *home
	cluster     holo.ClusterID
	self        holo.NodeID
	incarnation holo.Incarnation

	clock    *clock
	group    *wait.Group
	refusals *refusals
	blames   *blames
	happened *happenings
	quotas   *quotas

	audit      *audit.Log
	transport  *transport.Transport
	peers      *transport.Peers
	consensus  *consensus.Group
	raft       *raftStreams
	catalog    *replica
	members    *members
	partings   partings
	keys       *keyring
	access     *access
	tokens     *tokenView
	drains     *drains
	clients    *clientLinks
	loop       *loop
	turns      *wait.Turns // of the loop
	memory     *memory.Node
	buffers    *buffer.Buffers
	outboxes   *outboxes
	leadership *leadership
	modules    *modules
	code       *code.Store
	runner     *jobs.Runner
	door       *door.Door
	doorOpen   chan struct{} // closed when door is set

	removed atomic.Int64 // when, seconds since 1970, by who told it while this node was off; 0: it was there
	version version
	ended   chan struct{} // closed when this node has no more business to run
	resumed chan struct{} // closed when the jobs of an earlier process are known
	jobLeft chan struct{} // holds a token while a job may be this node's that it does not run

	led wait.Signal // who leads the catalogue changed

	inviteQuery chan struct{} // holds a token while the leader is asked for an invite
	saving      sync.Mutex    // of the members' files, and of the settings'

	mu struct {
		sync.Mutex
		hint    holo.NodeID // who led the catalogue last, as others said
		vouched holo.NodeID // who leads, by the word of a voter
		static  *handshake.Static
		closed  bool
		cause   error // why this node has no more business to run
	}
}

// Start runs the node of a folder until Close.
func Start(ctx context.Context, c Config) (*Node, error) {
	if err := errors.Join(c.Policy.check(), checkScrubRate(c.ScrubRate)); err != nil {
		return nil, err
	}
	h, err := readHome(c.Dir, c.Keys)
	if err != nil {
		return nil, err
	}
	n := assemble(c, h)
	if err := n.open(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// assemble makes a node's parts that need no device.
func assemble(c Config, h *home) *Node {
	c.MemoryBytes = memoryOr(c.MemoryBytes)
	n := &Node{
		config: c, log: c.Logger, home: h, cluster: h.settings.ID, self: h.self(), incarnation: newIncarnation(),
		clock: newClock(), group: wait.NewGroup(), refusals: newRefusals(), blames: newLedger[blame](), happened: newHappenings(), quotas: newQuotas(),
		catalog: newReplica(h.settings.ID, h.records[0].Owner), members: newMembers(h.settings.ID, h.settings.Owner, h.self()), keys: newKeyring(h), access: newAccess(), tokens: newTokenView(h.settings.ID, h.settings.Owner),
		clients: newClientLinks(), drains: newDrains(), doorOpen: make(chan struct{}),
		modules: newModules(h.path(modulesDir)),
		resumed: make(chan struct{}), jobLeft: make(chan struct{}, 1), inviteQuery: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	if n.log == nil {
		n.log = quiet
	}
	n.log = n.log.With("node", n.self.String())
	n.raft = newRaftStreams(n)
	n.leadership = newLeadership(n)
	n.loop = newLoop(n)
	n.turns = wait.NewTurns("node "+n.self.String(), n.clock.now, n.group.Done())
	n.memory = memory.New(n.memoryConfig())
	n.buffers = buffer.New(n.memory)
	n.outboxes = newOutboxes(n)
	n.catalog.refused = func(err error) { n.refusals.addErr(err) }
	n.catalog.stopped = n.end
	return n
}

// newIncarnation draws the name of this process's memory.
func newIncarnation() holo.Incarnation {
	for {
		if i := holo.Incarnation(rand.Uint64()); i != 0 {
			return i
		}
	}
}

// open starts the devices and then what drives them, the door last. Nothing is
// served before the audit log is open.
func (n *Node) open(ctx context.Context) (err error) {
	if err := n.openVersion(); err != nil {
		return err
	}
	if _, _, err := n.members.extend(0, n.home.records); err != nil {
		return err
	}
	if err := n.recallParting(); err != nil {
		return err
	}
	n.members.meet(n.home.contacts)
	n.recallAccess()
	if err := n.readTokens(); err != nil {
		return err
	}
	if err := n.listen(); err != nil {
		return err
	}
	if err := n.openAudit(); err != nil {
		return err
	}
	if err := n.memory.Open(); err != nil {
		return err
	}
	n.peers = transport.NewPeers(n.transport, transport.PeersConfig{Book: n.members.address, Local: n.local, Former: n.formerLocal, Rival: n.rival, Handler: n.serve})
	n.consensus, err = consensus.Open(consensus.Config{
		Self: n.self, Dir: n.home.path(raftDir), Streams: n.raft, FSM: n.catalog, Logger: n.log, Refused: n.blameRaft,
	})
	if err != nil {
		return cmp.Or(n.catalog.halted(), err)
	}
	if n.code, err = n.openCode(); err != nil {
		return err
	}
	n.runner = jobs.New(n.group.Context(), taskSide{n}, jobs.Options{Strict: n.config.StrictIsolation, Logger: n.log, Count: n.refusals.add, Retried: n.taskRetried, Code: n.code, Schedule: sched.Options{Overhead: holo.Duration(n.config.HelpAfter)}})
	if n.config.StrictIsolation {
		if _, err := n.runner.Workers(ctx); err != nil {
			return err
		}
	}
	if err := n.openResponder(); err != nil {
		return err
	}
	n.logPosture()
	n.run()
	if n.config.Socket == "" && !n.home.settings.Clients {
		return nil
	}
	n.door, err = door.Open(door.Config{Path: n.config.Socket, Backend: n, Logger: n.log, Refused: n.refusals.add})
	if err == nil {
		close(n.doorOpen)
	}
	return err
}

// run starts the node's goroutines.
func (n *Node) run() {
	n.group.Run(n.loop.run)
	n.group.Run(n.leadership.watch)
	n.group.Run(n.leadership.verify)
	for range proposers {
		n.group.Run(n.leadership.propose)
	}
	n.group.Run(n.leadership.promote)
	n.group.Run(n.leadership.rekey)
	n.group.Run(n.leadership.sweep)
	n.group.Run(n.follow)
	n.group.Run(n.askWhy)
	n.group.Run(n.announce)
	n.group.Run(n.tellProgram)
	n.group.Run(n.watchHomes)
	n.group.Run(n.resumeOwn)
	n.group.Run(n.watchRights)
	n.group.Run(n.tryIsolation)
	n.group.Run(n.watchRefusals)
	n.group.Run(n.memory.Scrub)
	n.group.Run(n.memory.Review)
	n.group.Run(func(ctx context.Context) { n.peers.Serve(ctx, n.serveOther) })
}

// saveMembers keeps the verified chain and the contacts on disk.
func (n *Node) saveMembers() error {
	n.saving.Lock()
	defer n.saving.Unlock()
	records, contacts := n.members.state()
	if err := identity.WritePublic(n.home.path(identity.ChainFile), sealChain(records)); err != nil {
		return err
	}
	if err := n.saveOwner(); err != nil {
		return err
	}
	return n.home.writeContacts(contacts)
}

// Self is this node's identity.
func (n *Node) Self() holo.NodeID { return n.self }

// Cluster is the cluster that the node is a member of.
func (n *Node) Cluster() holo.ClusterID { return n.cluster }

// Addr is where the node listens.
func (n *Node) Addr() string { return n.transport.Addr().String() }

// SocketPath is the client socket in a node's folder.
func SocketPath(dir string) string { return filepath.Join(dir, "holo.sock") }

// resign has another voter lead, so that the others need not find out.
func (n *Node) resign() {
	if n.group.Context().Err() != nil || !n.consensus.IsLeader() || len(n.consensus.Voters()) < 2 {
		return
	}
	ctx, cancel := context.WithTimeout(n.group.Context(), resignTimeout)
	defer cancel()
	if err := n.consensus.TransferLeadership(ctx); err != nil {
		n.log.Info("leadership not handed over", "error", err)
	}
}

// Close ends everything in order: clients first, then jobs, then Raft, then
// the links, the audit log last, which the node's key signs; then that is
// wiped. The others notice at once, because the sessions end.
func (n *Node) Close() error {
	n.mu.Lock()
	closed := n.mu.closed
	n.mu.closed = true
	n.mu.Unlock()
	if closed {
		return nil
	}
	var errs []error
	if n.door != nil {
		errs = append(errs, n.door.Close())
	}
	if n.runner != nil {
		n.runner.Close()
	}
	errs = append(errs, n.code.Close())
	if n.consensus != nil {
		n.resign()
	}
	n.group.Cancel()
	if n.consensus != nil {
		errs = append(errs, n.consensus.Close())
	}
	if n.peers != nil {
		errs = append(errs, n.peers.Close())
	}
	if n.transport != nil {
		errs = append(errs, n.transport.Close())
	}
	n.group.Close()
	errs = append(errs, n.memory.Close())
	errs = append(errs, n.closeAudit())
	n.wipe()
	return errors.Join(errs...)
}
