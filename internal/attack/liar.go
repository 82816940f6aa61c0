package attack

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/node"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

const (
	liarName = "liar"
	// liarMemory is what the liar offers: much, so that much is trusted to it.
	liarMemory = 1 << 30
	// leaseDeadline is how long it waits to be granted a lease.
	leaseDeadline = 30 * time.Second
	// meetEvery is how often it knocks at a member that does not know it yet.
	meetEvery = 50 * time.Millisecond

	contactsFile    = "contacts.json" // of the folder that Join makes
	maxContactsFile = 64 << 10
)

// Liar is a member of the cluster that an attacker wrote. It was admitted by a
// valid invite, holds a lease and takes part in everything honestly, except
// that in each run of pages which somebody reads from it one bit is wrong. The
// digest that it sends along is that of the wrong bytes, so no check of the
// transfer can notice: only the root under which the array was sealed can.
// (The pages of an array that is still open have no such root: there the home's
// word is all there is.)
//
// It does not serve Raft, and so never becomes a voter.
type Liar struct {
	cluster  holo.ClusterID
	self     holo.NodeID
	contacts map[holo.NodeID]string
	keys     atomic.Pointer[credentials] // nil until it is admitted

	transport *transport.Transport
	peers     *transport.Peers
	driver    *driver
	group     *group
	served    atomic.Uint64
}

// credentials are what a member shows in a handshake.
type credentials struct {
	static *handshake.Static
	psk    handshake.PSK
}

// JoinLiar has a liar join the cluster that the invite is for. It keeps its
// files in dir. It returns once the cluster's leader has granted it a lease and
// the other members let it in: from then on shards may be trusted to it.
func JoinLiar(ctx context.Context, dir, invite string) (*Liar, error) {
	l := &Liar{group: newGroup()}
	if err := l.join(ctx, dir, invite); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Liar) join(ctx context.Context, dir, invite string) (err error) {
	l.transport, err = transport.Listen(transport.Config{Listen: anyLoopback, Local: l.local, Logger: quiet})
	if err != nil {
		return err
	}
	address := l.transport.Addr().String()
	if _, err := node.Join(ctx, node.JoinConfig{
		Dir: dir, ConfigDir: filepath.Join(dir, "config"), Invite: invite, NodeName: liarName,
		Listen: address, Advertise: []string{address}, MemoryBytes: liarMemory,
	}); err != nil {
		return err
	}
	if err := l.read(dir); err != nil {
		return err
	}
	l.peers = transport.NewPeers(l.transport, transport.PeersConfig{Book: l.book, Local: l.local, Handler: l.serve})
	l.driver = newDriver(l)
	l.group.run(l.driver.run)
	l.group.run(func(ctx context.Context) { l.peers.Serve(ctx, func(s *transport.Session) { s.Close("not served") }) })
	if err := l.driver.awaitLease(ctx); err != nil {
		return err
	}
	return l.meet(ctx)
}

// meet waits until every other member lets it in. They learn of a newcomer
// within a second, and until then refuse it: who fell short of replication
// because of that would be replaced, and the liar be home of less.
func (l *Liar) meet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseDeadline)
	defer cancel()
	again := time.NewTicker(meetEvery)
	defer again.Stop()
	for id := range l.contacts {
		for {
			stream, err := l.peers.Open(ctx, id, transport.Data)
			if err == nil {
				stream.Reset()
				break
			}
			select {
			case <-again.C:
			case <-ctx.Done():
				return holo.Errorf(holo.Unavailable, "join as liar: node %s does not let it in: %w", id, err)
			}
		}
	}
	return nil
}

// read takes what the cluster handed over out of the folder.
func (l *Liar) read(dir string) error {
	settings, err := identity.ReadCluster(filepath.Join(dir, identity.ClusterFile))
	if err != nil {
		return err
	}
	signer, err := identity.ReadSigner(filepath.Join(dir, identity.NodeKeyFile))
	if err != nil {
		return err
	}
	clusterKey, err := identity.ReadSecret(filepath.Join(dir, identity.ClusterKeyFile))
	if err != nil {
		return err
	}
	l.cluster, l.self = settings.ID, signer.Public()
	if err := l.readContacts(filepath.Join(dir, contactsFile)); err != nil {
		return err
	}
	return l.prepare(signer, clusterKey)
}

func (l *Liar) prepare(signer key.Signer, clusterKey key.Secret) error {
	static, err := handshake.NewStatic(signer, l.cluster, liarName, time.Now().Unix())
	if err != nil {
		return err
	}
	l.keys.Store(&credentials{static, handshake.ClusterPSK(clusterKey, l.cluster)})
	return nil
}

// readContacts reads where the other members are.
func (l *Liar) readContacts(path string) error {
	b, err := identity.ReadPublic(path, maxContactsFile)
	if err != nil {
		return err
	}
	var list []struct{ Node, Address string }
	if err := json.Unmarshal(b, &list); err != nil {
		return holo.Errorf(holo.Corrupt, "read %s: %w", path, err)
	}
	l.contacts = make(map[holo.NodeID]string, len(list))
	for _, c := range list {
		id, err := holo.ParseNodeID(c.Node)
		if err != nil {
			return err
		}
		if id != l.self {
			l.contacts[id] = c.Address
		}
	}
	return nil
}

// book is the address book of the pool.
func (l *Liar) book(id holo.NodeID) (string, bool) {
	address, known := l.contacts[id]
	return address, known
}

// local is the liar's side of a handshake. Before it is admitted it has none,
// and every handshake fails.
func (l *Liar) local() handshake.Local {
	k := l.keys.Load()
	if k == nil {
		return handshake.Local{}
	}
	return handshake.Local{
		Kind: handshake.KindNode, Accept: []handshake.Kind{handshake.KindNode}, Static: k.static, PSK: k.psk, Admit: anybody,
		FindPSK: func(_ handshake.Kind, id [8]byte) (handshake.PSK, bool) { return k.psk, id == k.psk.ID },
	}
}

// Node is the identity under which it was admitted.
func (l *Liar) Node() holo.NodeID { return l.self }

// Served counts the pages that it gave out with a bit flipped.
func (l *Liar) Served() uint64 { return l.served.Load() }

// Close ends it. To the cluster it is a node that died.
func (l *Liar) Close() error {
	l.group.cancel()
	var errs []error
	if l.peers != nil {
		errs = append(errs, l.peers.Close())
	}
	if l.transport != nil {
		errs = append(errs, l.transport.Close())
	}
	l.group.close()
	return errors.Join(errs...)
}

// newMember names the life of this process in the cluster.
func newMember(self holo.NodeID) wire.Member {
	for {
		if i := holo.Incarnation(rand.Uint64()); i != 0 {
			return wire.Member{Node: self, Incarnation: i}
		}
	}
}
