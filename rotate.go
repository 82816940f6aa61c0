package holocompute

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/remote"
)

// What became of a key in a cluster.
const (
	KeyReplaced = "replaced" // everything that was the old key's is the new one's
	KeyUnknown  = "unknown"  // the cluster knows neither
)

// KeyPlace is a cluster in which a key was to be replaced.
type KeyPlace struct {
	Where   string `json:"where"` // the socket of this machine's node, or addresses
	Outcome string `json:"outcome"`
}

// KeyRotation is what RotateUserKey or RotateOwnerKey came to.
type KeyRotation struct {
	Old    string     `json:"old"` // public keys, hexadecimal
	New    string     `json:"new"`
	Places []KeyPlace `json:"places"`
}

// RotateUserKey replaces the user's key in the configuration folder, and has the
// new one take the old one's place in every cluster that the user has to do
// with: that of this machine's node, and all that are pinned. Each of them must
// answer. Within a node lease, 3 s, all nodes refuse the old key, and with it
// every token that was bound to it or issued for it. It may be repeated after it
// broke off, at whichever moment: until every cluster has changed over both keys
// lie in the folder, and then the new one takes the place of the old one's file.
func RotateUserKey(ctx context.Context, o Options) (*KeyRotation, error) {
	return o.rotate(ctx, replacing{
		what: "replace the user's key", file: identity.UserKeyFile, next: identity.NextKeyFile, ask: (*succession).askUser,
	})
}

// replacing is which key is replaced, and how a cluster is asked to.
type replacing struct {
	what       string
	file, next string // in the configuration folder
	ask        func(*succession, context.Context, *Cluster) error
}

func (o Options) rotate(ctx context.Context, r replacing) (*KeyRotation, error) {
	what := r.what
	if o.Token != "" {
		return nil, holo.Errorf(Invalid, "%s: it takes the key itself, and not a token", what)
	}
	config, err := o.config()
	if err != nil {
		return nil, err
	}
	path, nextPath := filepath.Join(config, r.file), filepath.Join(config, r.next)
	release, err := identity.Exclusive(path)
	if err != nil {
		return nil, err
	}
	defer release()
	old, err := o.keys().ReadSigner(path)
	if err != nil {
		return nil, err
	}
	places, err := o.keyPlaces(what, config)
	if err != nil {
		return nil, err
	}
	next, err := o.keys().NextSigner(path, nextPath)
	if err != nil {
		return nil, err
	}
	out := &KeyRotation{Old: holo.PrincipalID(old.Public()).Hex(), New: holo.PrincipalID(next.Public()).Hex()}
	s := &succession{replacing: r, o: o, config: config, old: old, next: next}
	replaced := false
	for _, at := range places {
		outcome, err := s.in(ctx, at)
		if err != nil {
			return nil, holo.Refuse(KindOf(err), ReasonOf(err), "%s at %s: %w (both keys are kept; do it again when that is put right)", what, at.where(), err)
		}
		replaced = replaced || outcome == KeyReplaced
		out.Places = append(out.Places, KeyPlace{at.where(), outcome})
	}
	if !replaced {
		return nil, holo.Refuse(NotFound, "unknown_principal", "%s: none of %d clusters knows it", what, len(places))
	}
	return out, o.keys().Promote(path, nextPath)
}

// keyPlaces are the clusters that a user of this machine has to do with. A node
// in the folder counts though it does not run: its cluster would know a key that
// is gone.
func (o Options) keyPlaces(what, config string) (list []place, err error) {
	socket, err := o.socket()
	if err != nil {
		return nil, err
	}
	for _, path := range []string{socket, filepath.Join(filepath.Dir(socket), identity.ClusterFile)} {
		if _, err := os.Lstat(path); err == nil {
			list = append(list, place{socket: socket})
			break
		}
	}
	known, err := identity.ReadKnown(filepath.Join(config, identity.KnownFile))
	if err != nil {
		return nil, err
	}
	for _, pin := range known.Pins {
		list = append(list, place{remote: remote.Wanted{Addresses: pin.Addresses, Fingerprint: pin.Fingerprint()}})
	}
	if len(list) == 0 {
		return nil, holo.Refuse(NotFound, reasonNoNode, "%s: there is no node on this machine at %s, and no cluster is pinned", what, socket)
	}
	return list, nil
}

func (p place) where() string {
	if p.socket != "" {
		return p.socket
	}
	return strings.Join(p.remote.Addresses, ",")
}

// succession is one key that takes the place of another.
type succession struct {
	replacing
	o         Options
	config    string
	old, next key.Signer
}

// in replaces the key in one cluster. Whether the next key is known decides what
// is so: an answer may have been lost, and an attempt before this one cut short.
func (s *succession) in(ctx context.Context, at place) (outcome string, err error) {
	if known, err := s.known(ctx, at); known || err != nil {
		return KeyReplaced, err
	}
	c, err := s.cluster(ctx, at, s.old)
	switch {
	case ReasonOf(err) == reasonUnknownKey:
		return KeyUnknown, nil
	case err != nil:
		return "", err
	}
	asked := errors.Join(s.ask(s, ctx, c), c.Close())
	if asked == nil {
		return KeyReplaced, nil
	}
	if known, _ := s.known(ctx, at); known {
		return KeyReplaced, nil
	}
	return "", asked
}

// known reports whether the cluster has the next key in the old one's place.
func (s *succession) known(ctx context.Context, at place) (bool, error) {
	c, err := s.cluster(ctx, at, s.next)
	if ReasonOf(err) == reasonUnknownKey {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, c.Close()
}

const reasonUnknownKey = "unknown_principal"

// cluster opens a session with one of the keys.
func (s *succession) cluster(ctx context.Context, at place, by key.Signer) (*Cluster, error) {
	c, err := s.client(ctx, at, by)
	if err != nil {
		return nil, err
	}
	cluster := newCluster(c, s.config, s.o.keys())
	err = c.persist(ctx, func([]byte) error { return nil })
	if err != nil {
		return nil, errors.Join(err, cluster.Close())
	}
	return cluster, nil
}

func (s *succession) client(ctx context.Context, at place, by key.Signer) (*client, error) {
	if at.socket == "" {
		return connectFar(ctx, s.config, by, "", at.remote)
	}
	if err := privateSocket(at.socket); err != nil {
		return nil, err
	}
	dialer := net.Dialer{}
	return newClient(func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, "unix", at.socket) }, by, ""), nil
}

// askUser signs the succession over the access epoch of now, again when somebody
// else changed something first.
func (s *succession) askUser(ctx context.Context, c *Cluster) error {
	cluster, err := c.client.clusterID(ctx)
	for try := 1; err == nil; try++ {
		list, listed := c.listTokens(ctx)
		if listed != nil {
			return listed
		}
		next, epoch := s.next.Public(), list.GetAccessEpoch()
		proof := api.SuccessionProof(cluster, epoch, s.old.Public(), next)
		req := &holov1.SucceedUserRequest{Next: next[:], Epoch: epoch, Signature: s.old.Sign(proof), NextSignature: s.next.Sign(proof)}
		_, err = change(ctx, c.client, "replace key", holov1connect.KeyServiceSucceedUserProcedure, c.rotations.SucceedUser, req)
		if ReasonOf(err) != "stale_policy" || try == staleTries {
			return err
		}
		err = nil
	}
	return err
}

// ClusterKeyEpoch says which one in the cluster's life the key is that its nodes
// share (Rekey).
func (c *Cluster) ClusterKeyEpoch(ctx context.Context) (uint64, error) {
	r, err := c.members(ctx)
	return r.GetKeyEpoch(), err
}

// DataKey is the key that a node seals the pages on its disk under. It lies in
// the memory of the node's process only, and ends with it.
type DataKey struct {
	Generation int       `json:"generation"` // counts the keys of the process; 0: the node has no spill folder
	Created    time.Time `json:"created"`
	Older      int       `json:"older"`   // keys before it under which pages lie
	Records    uint64    `json:"records"` // those pages
}

// DataKey asks the node which key it seals pages under.
func (c *Cluster) DataKey(ctx context.Context) (*DataKey, error) {
	k, err := read(ctx, c.client, "ask for the data key", c.rotations.Data, &holov1.DataKeyRequest{})
	if err != nil {
		return nil, err
	}
	return dataKeyOf(k), nil
}

// RotateDataKey has the node seal what it puts on its disk under another key
// from now on. Pages that lie under the one before are sealed anew in the
// background, and it is wiped when the last of them is. It needs the right
// KEY_ROTATE, or the owner's key in the configuration folder.
func (c *Cluster) RotateDataKey(ctx context.Context) (*DataKey, error) {
	const what = "replace the data key"
	now, err := c.DataKey(ctx)
	if err != nil {
		return nil, err
	}
	s, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	node, err := holo.ParseNodeID(s.Node)
	if err != nil {
		return nil, err
	}
	req := &holov1.RotateDataRequest{Node: node[:], Generation: uint32(now.Generation)}
	k, err := change(ctx, c.client, what, holov1connect.KeyServiceRotateDataProcedure, c.rotations.RotateData, req)
	if ReasonOf(err) == reasonNotGranted {
		if as, _, unowned := c.ownerOf(ctx); unowned == nil {
			k, err = change(ctx, as, what, holov1connect.KeyServiceRotateDataProcedure, c.rotations.RotateData, req)
		}
	}
	if err != nil {
		return nil, err
	}
	return dataKeyOf(k), nil
}

func dataKeyOf(k *holov1.DataKey) *DataKey {
	out := &DataKey{Generation: int(k.GetGeneration()), Older: int(k.GetOlder()), Records: k.GetRecords()}
	if k.GetGeneration() > 0 {
		out.Created = time.Unix(k.GetCreatedUnix(), 0).UTC()
	}
	return out
}
