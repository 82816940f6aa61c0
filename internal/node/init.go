package node

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/consensus"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/protocol"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

// InitConfig says what cluster to make. Dir and ConfigDir are required.
type InitConfig struct {
	Dir         string        // the first node's folder
	ConfigDir   string        // where the owner's and the user's keys are, or are made
	ClusterName string        // for people; empty: "holo"
	NodeName    string        // letters, digits and . _ -; empty: the machine's name
	Listen      string        // host:port; empty: a free port of the loopback interface
	Also        []string      // further addresses to listen on
	Allow       []string      // networks to talk with, CIDR; empty: all
	Advertise   []string      // addresses to tell others; empty: where it listens
	MemoryBytes uint64        // page memory offered; 0: DefaultMemory
	Keys        identity.Keys // how keys that are there already are read
}

// Cluster names a cluster that was made or joined.
type Cluster struct {
	ID    holo.ClusterID
	Owner holo.PrincipalID
	Node  holo.NodeID
}

// Init makes a cluster of one node: the owner's key signs its genesis, which
// becomes the first command of its catalogue. The owner's key stays in the
// configuration folder; a running node never reads it.
func Init(ctx context.Context, c InitConfig) (*Cluster, error) {
	h, err := newHome(c.Dir, c.ConfigDir, c.NodeName, c.Keys)
	if err != nil {
		return nil, err
	}
	owner, err := c.Keys.SignerAt(filepath.Join(c.ConfigDir, identity.OwnerKeyFile))
	if err != nil {
		return nil, err
	}
	h.settings.Owner = owner.Public()
	h.settings.Name = c.ClusterName
	if h.settings.Name == "" {
		h.settings.Name = "holo"
	}
	h.settings.Listen, h.settings.Also, h.settings.Allow, h.settings.Advertise = c.Listen, c.Also, c.Allow, c.Advertise
	if _, err := parseAllow(c.Allow); err != nil {
		return nil, err
	}
	rand.Read(h.settings.ID[:])
	h.clusterKey = key.Random()
	genesis := h.genesis(owner, unixNow())
	h.records = []wire.ChainRecord{*genesis}
	place := wire.Place{Addresses: c.Advertise, Capacity: memoryOr(c.MemoryBytes)}
	if err := h.found(ctx, &wire.ClusterInit{Genesis: *genesis, Place: place, Speaks: protocol.Spoken(), Key: h.clusterKey}, h.firstGrant(owner)); err != nil {
		return nil, err
	}
	if err := h.write(); err != nil {
		return nil, err
	}
	return &Cluster{ID: h.settings.ID, Owner: h.settings.Owner, Node: h.self()}, nil
}

// newHome prepares a folder for a node that belongs to no cluster yet. The
// node's key outlives an attempt that failed.
func newHome(dir, configDir, name string, keys identity.Keys) (*home, error) {
	if err := identity.PrepareDir(dir); err != nil {
		return nil, err
	}
	if err := identity.PrepareDir(configDir); err != nil {
		return nil, err
	}
	h := &home{dir: dir, keys: keys, settings: &identity.Cluster{NodeName: nameOr(name)}}
	if _, err := os.Lstat(h.path(identity.ClusterFile)); err == nil {
		return nil, holo.Errorf(holo.Exists, "use folder %s: the node in it belongs to a cluster already", dir)
	}
	if len(h.settings.NodeName) > handshake.MaxName {
		return nil, holo.Errorf(holo.Invalid, "node name %q: at most %d bytes", h.settings.NodeName, handshake.MaxName)
	}
	var err error
	if h.signer, err = keys.SignerAt(h.path(identity.NodeKeyFile)); err != nil {
		return nil, err
	}
	user, err := keys.SignerAt(filepath.Join(configDir, identity.UserKeyFile))
	if err != nil {
		return nil, err
	}
	h.user = user.Public()
	return h, nil
}

// nameOr is the name, or the machine's, with what a name may not hold left out.
func nameOr(name string) string {
	if name != "" {
		return name
	}
	host, _ := os.Hostname()
	clean := make([]byte, 0, handshake.MaxName)
	for i := range len(host) {
		b := host[i]
		letter := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
		if letter || len(clean) > 0 && (b == '-' || b == '.' || b == '_') {
			clean = append(clean, b)
		}
		if len(clean) == handshake.MaxName {
			break
		}
	}
	if len(clean) == 0 {
		return "node"
	}
	return string(clean)
}

func (h *home) genesis(owner key.Signer, unix int64) *wire.ChainRecord {
	r := &wire.ChainRecord{
		Kind: wire.ChainGenesis, Time: unix, Node: h.self(), Name: h.settings.NodeName, Owner: h.settings.Owner,
	}
	copy(r.OwnerSig[:], owner.Sign(wire.GenesisProof(h.settings.ID, r.Owner, r.Node, r.Name, r.Time)))
	return r
}

// firstGrant is the founding user's: to work with arrays and kernels. Who may
// do what else the owner's key says, later and on record.
func (h *home) firstGrant(owner key.Signer) *wire.GrantPut {
	m := &wire.GrantPut{
		Access: wire.Access{Principal: h.user, Label: h.settings.NodeName, Role: holo.RoleUser}, Epoch: catalog.FirstEpoch, By: h.settings.Owner,
	}
	copy(m.Sig[:], owner.Sign(api.GrantProof(h.settings.ID, m.Epoch, h.user, m.Access.Label, m.Access.Role, &m.Access.Scope, false)))
	return m
}

// nobody are the streams of a cluster of one.
type nobody struct{}

func (nobody) Dial(context.Context, holo.NodeID) (net.Conn, error) { return nil, net.ErrClosed }

func (nobody) Accept(ctx context.Context) (net.Conn, holo.NodeID, error) {
	<-ctx.Done()
	return nil, holo.NodeID{}, net.ErrClosed
}

// found makes the catalogue on disk, with the genesis as its first command and
// the founding user's grant as its second.
// What an attempt that failed has left is not a cluster, since cluster.json is
// missing, and gives way.
func (h *home) found(ctx context.Context, first ...wire.Message) (err error) {
	if err := os.RemoveAll(h.path(raftDir)); err != nil {
		return holo.Errorf(holo.Unavailable, "make catalogue: %w", err)
	}
	replica := newReplica(h.settings.ID, h.settings.Owner)
	g, err := consensus.Open(consensus.Config{Self: h.self(), Dir: h.path(raftDir), Streams: nobody{}, FSM: replica, Logger: quiet})
	if err != nil {
		return err
	}
	defer func() {
		if closed := g.Close(); err == nil {
			err = closed
		}
	}()
	if err := g.Bootstrap(); err != nil {
		return err
	}
	for _, body := range first {
		cmd := wire.Encode(&wire.Command{Request: newRequestID(), Time: unixNow(), Body: body})
		if err := untilLeading(ctx, g, func() error {
			v, err := g.Propose(ctx, cmd)
			if err != nil {
				return err
			}
			return v.(applied).err
		}); err != nil {
			return err
		}
	}
	return nil
}

// untilLeading calls f when the group leads, again when it did not after all.
func untilLeading(ctx context.Context, g *consensus.Group, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, controlDeadline)
	defer cancel()
	var none wait.Signal
	return wait.Retry(ctx, controlDeadline, &none, func(context.Context) error {
		if !g.IsLeader() {
			return holo.Refuse(holo.Unavailable, reasonNoLeader, "make catalogue: no leader within %s", controlDeadline.Round(time.Second))
		}
		return f()
	})
}
