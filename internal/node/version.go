package node

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/protocol"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

// version is the version of the protocol that the cluster is at, as far as this
// node knows: the newest that it was ever told. It begins as its folder has it,
// so that a program which was put back is refused at its start.
type version struct {
	at      atomic.Uint32
	changed wait.Signal
}

// Protocol is the version that the cluster is at, as far as this node knows; 0
// before it was told.
func (n *Node) Protocol() protocol.Version { return protocol.Version(n.version.at.Load()) }

// openVersion takes up what the folder says, and refuses a cluster that is past
// what this program speaks. One that was behind it may have risen meanwhile:
// that the others know, who refuse this node where it has not.
func (n *Node) openVersion() error {
	at := n.home.settings.Protocol
	if err := protocol.CheckKnown(at); err != nil {
		return holo.Refuse(holo.Denied, protocol.ReasonSkew, "start node: %w", err)
	}
	if protocol.Spoken().Has(at) {
		n.version.at.Store(uint32(at))
	}
	return nil
}

// learnVersion is told the cluster's version. It keeps it, has sessions say it
// from then on, and ends a node that does not speak it.
func (n *Node) learnVersion(at protocol.Version) {
	n.saving.Lock()
	defer n.saving.Unlock()
	if at <= n.Protocol() {
		return
	}
	if err := protocol.CheckCluster(at, protocol.Spoken()); err != nil {
		n.end(err)
		return
	}
	settings := *n.home.settings
	settings.Protocol = at
	if err := identity.WriteCluster(n.home.path(identity.ClusterFile), &settings); err != nil {
		n.log.Error("the cluster's version is not saved", "error", err)
	}
	n.version.at.Store(uint32(at))
	n.log.Info("the cluster is at another version of the protocol", "event", "cluster.version", "version", uint64(at))
	n.version.changed.Fire()
}

// tellProgram tells the catalogue which program this node runs, as soon as the
// cluster is at a version that has such a word.
func (n *Node) tellProgram(ctx context.Context) {
	word := &wire.NodeProgram{Node: n.self, Program: program()}
	for {
		changed := n.version.changed.Wait()
		if n.Protocol() >= wire.Since(word) && n.tellProgramOnce(ctx, word) == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-time.After(followEvery):
		}
	}
}

func (n *Node) tellProgramOnce(ctx context.Context, word *wire.NodeProgram) error {
	told, err := n.programs(ctx)
	if err != nil || told[n.self] == word.Program {
		return err
	}
	_, err = n.propose(ctx, word)
	return err
}

// programs is which program each member runs, by its own word; nothing in a
// cluster whose version has no such word.
func (n *Node) programs(ctx context.Context) (map[holo.NodeID]string, error) {
	told := map[holo.NodeID]string{}
	q := wire.CatalogQuery{What: wire.QueryPrograms}
	if n.Protocol() < wire.Since(&q) {
		return told, nil
	}
	found, err := queryAll[*wire.NodeProgram](ctx, n, q)
	for _, p := range found {
		told[p.Node] = p.Program
	}
	return told, err
}

// program names this program for people: its version, revision and system.
func program() string {
	name := "devel"
	if info, ok := debug.ReadBuildInfo(); ok {
		name = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				name += " " + s.Value[:min(len(s.Value), 12)]
			}
		}
	}
	name += " " + runtime.GOOS + "/" + runtime.GOARCH
	return name[:min(len(name), wire.MaxProgram)]
}

// versionsOut is nothing where a node has not said it.
func versionsOut(r protocol.Range) *holov1.Versions {
	if !r.Valid() {
		return nil
	}
	return &holov1.Versions{Oldest: uint32(r.Oldest), Newest: uint32(r.Newest)}
}

// versionWarnings say what keeps the cluster from the next version.
func versionWarnings(at protocol.Version, nodes []*wire.NodeRecord) (out []string) {
	var behind []string
	newest := at
	for _, r := range nodes {
		newest = max(newest, r.Speaks.Newest)
	}
	for _, r := range nodes {
		switch {
		case r.Speaks.Newest >= newest:
		case !r.Speaks.Valid():
			behind = append(behind, r.Name+" (has not said what it speaks)")
		case !r.Alive:
			behind = append(behind, fmt.Sprintf("%s (off, spoke %s last)", r.Name, r.Speaks))
		default:
			behind = append(behind, fmt.Sprintf("%s (speaks %s)", r.Name, r.Speaks))
		}
	}
	slices.Sort(behind)
	if newest > at && len(behind) > 0 {
		out = append(out, fmt.Sprintf("The cluster stays at version %d of the protocol, though some nodes speak %d, until these are upgraded or evicted: %s.", at, newest, strings.Join(behind, ", ")))
	}
	return out
}

// halt ends a voter whose log or snapshot goes on in a version that this program
// does not speak: it applies nothing of it, so that it parts from nobody.
func (r *replica) halt(at protocol.Version) {
	if r.mu.halted == nil {
		r.mu.halted = protocol.CheckKnown(at)
	}
}

// halted is why this replica stands still, nil while it does not.
func (r *replica) halted() error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.mu.halted
}
