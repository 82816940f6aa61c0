package node

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/holocompute/holocompute/internal/audit"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/wire"
)

// NewKeyConfig says which node gets a new key, and by which invite it comes
// back. Dir, ConfigDir and Invite are required.
type NewKeyConfig struct {
	Dir       string // the node's folder
	ConfigDir string // where the user's key is
	Invite    string // as pasted
	Policy    Policy // of the link
	Keys      identity.Keys
	Logger    *slog.Logger // nil: nothing is logged
	Waiting   func(have, need int)
}

// NewKey gives a node another identity key. A node is its key, so this is the
// replacement of one member by another, in the order that nothing is lost by:
// the owner has drained and removed the node, and invites the new key, which
// joins under the old one's name and settings. No node key can appoint its own
// successor. The old key and all secrets are then removed from this machine;
// the old audit log stays, in the folder that the new node's does not need.
//
// It works beside the node's folder and puts the whole new one in its place at
// the end, so it may be repeated after it broke off at whichever moment.
func NewKey(ctx context.Context, c NewKeyConfig) (*Cluster, error) {
	s, err := newSwap(c)
	if err != nil {
		return nil, err
	}
	if s.joined() && !s.there() { // killed between the two renames
		return s.finish()
	}
	if done, err := s.done(); done != nil || err != nil {
		return done, err
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	if !s.joined() {
		if err := s.join(ctx); err != nil {
			return nil, err
		}
	}
	return s.finish()
}

// swap is a node's folder, and the one that is to take its place.
type swap struct {
	config    NewKeyConfig
	dir, next string
	old       *identity.Cluster
}

func newSwap(c NewKeyConfig) (*swap, error) {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, holo.Errorf(holo.Invalid, "replace node key: %w", err)
	}
	if dir, err = resolved(dir); err != nil {
		return nil, err
	}
	return &swap{config: c, dir: dir, next: dir + ".next"}, nil
}

// resolved follows the link that a folder may be named by: what is renamed is
// the folder.
func resolved(dir string) (string, error) {
	to, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, os.ErrNotExist) {
		return dir, nil
	}
	if err != nil {
		return "", holo.Errorf(holo.Unavailable, "replace node key: %w", err)
	}
	return to, nil
}

func (s *swap) at(name string) string          { return filepath.Join(s.dir, name) }
func (s *swap) beside(n string) string         { return filepath.Join(s.next, n) }
func (s *swap) joined() bool                   { return exists(s.beside(identity.ClusterFile)) }
func (s *swap) there() bool                    { return exists(s.at(identity.ClusterFile)) }
func exists(path string) bool                  { _, err := os.Lstat(path); return err == nil }
func former(dir string, of holo.NodeID) string { return dir + ".former-" + of.Hex()[:16] }

// done tells that the node in the folder is the one that this invite admitted:
// an attempt before this one was killed when only the cleaning was left to do.
func (s *swap) done() (*Cluster, error) {
	invite, err := identity.ParseInvite(s.config.Invite)
	if err != nil {
		return nil, err
	}
	h, err := readHome(s.dir, s.config.Keys)
	if err != nil { // an old node that knows of its removal is no member any more
		return nil, nil
	}
	defer h.signer.Wipe()
	by := invite.Signer().Public()
	if !slices.ContainsFunc(h.records, func(r wire.ChainRecord) bool { return r.Node == h.self() && r.InviteKey == by }) {
		return nil, nil
	}
	return &Cluster{ID: h.settings.ID, Owner: h.settings.Owner, Node: h.self()}, s.clean()
}

// prepare checks that the invite is for this node's cluster and that the node
// does not run, and records in its log what is about to happen to its key.
func (s *swap) prepare() (err error) {
	if s.old, err = identity.ReadCluster(s.at(identity.ClusterFile)); err != nil {
		return err
	}
	invite, err := identity.ParseInvite(s.config.Invite)
	if err != nil {
		return err
	}
	if invite.Client || invite.Cluster != s.old.ID { // whose it is shows the chain, when the new key joins
		return holo.Refuse(holo.Invalid, catalog.ReasonInviteKind, "replace node key: the invite is not for a node of cluster %s", s.old.ID)
	}
	old, err := s.config.Keys.ReadSigner(s.at(identity.NodeKeyFile))
	if err != nil {
		return err
	}
	defer old.Wipe()
	if err := identity.PrepareDir(s.next); err != nil {
		return err
	}
	next, err := s.config.Keys.NextSigner(s.at(identity.NodeKeyFile), s.beside(identity.NodeKeyFile))
	if err != nil {
		return err
	}
	defer next.Wipe()
	if err := s.config.Keys.AsProtected(s.at(identity.ClusterKeyFile), s.beside(identity.ClusterKeyFile)); err != nil {
		return err
	}
	log, err := audit.Open(audit.Config{Dir: s.at(auditDir), Cluster: s.old.ID, Signer: old})
	if err != nil {
		return holo.Refuse(holo.KindOf(err), holo.ReasonOf(err), "replace node key: stop the node first: %w", err)
	}
	r := &wire.AuditRecord{
		Event: "key.rotate_node", Resource: wire.AuditText("next key " + holo.NodeID(next.Public()).Hex()),
		Actor: wire.Actor{Kind: wire.ActorNode, Key: old.Public()},
	}
	return errors.Join(log.Report(r), log.Close())
}

// join has the new key admitted, under the old name and settings.
func (s *swap) join(ctx context.Context) error {
	_, err := Join(ctx, JoinConfig{
		Dir: s.next, ConfigDir: s.config.ConfigDir, Invite: s.config.Invite, NodeName: s.old.NodeName,
		Known: s.old.Owner, Listen: s.old.Listen, Also: s.old.Also, Allow: s.old.Allow, Advertise: s.old.Advertise,
		Policy: s.config.Policy, Keys: s.config.Keys, Logger: s.config.Logger, Waiting: s.config.Waiting,
	})
	if holo.ReasonOf(err) == catalog.ReasonNameTaken {
		return holo.Refuse(holo.KindOf(err), catalog.ReasonNameTaken, "replace node key: node %s is a member still: first holo node drain %s, then holo node remove %s: %w", s.old.NodeName, s.old.NodeName, s.old.NodeName, err)
	}
	return err
}

// finish puts the new folder in the old one's place and removes what is secret
// in the old one.
func (s *swap) finish() (*Cluster, error) {
	settings, err := identity.ReadCluster(s.beside(identity.ClusterFile))
	if err != nil {
		return nil, err
	}
	if s.old != nil {
		settings.Clients = s.old.Clients
		if err := identity.WriteCluster(s.beside(identity.ClusterFile), settings); err != nil {
			return nil, err
		}
	}
	signer, err := s.config.Keys.ReadSigner(s.beside(identity.NodeKeyFile))
	if err != nil {
		return nil, err
	}
	defer signer.Wipe()
	if s.there() {
		if err := s.setAside(); err != nil {
			return nil, err
		}
	}
	if err := os.Rename(s.next, s.dir); err != nil {
		return nil, holo.Errorf(holo.Unavailable, "replace node key: %w", err)
	}
	if err := s.clean(); err != nil {
		return nil, err
	}
	return &Cluster{ID: settings.ID, Owner: settings.Owner, Node: signer.Public()}, nil
}

func (s *swap) setAside() error {
	old, err := s.config.Keys.ReadSigner(s.at(identity.NodeKeyFile))
	if err != nil {
		return err
	}
	defer old.Wipe()
	if err := os.Rename(s.dir, former(s.dir, old.Public())); err != nil {
		return holo.Errorf(holo.Unavailable, "replace node key: %w", err)
	}
	return nil
}

// clean removes from every former folder what is secret: the keys, and the
// catalogue, which holds those of open invites. Modules are named by their
// hashes, and the new node needs them as the old one did.
func (s *swap) clean() error {
	dirs, err := filepath.Glob(s.dir + ".former-*")
	for _, dir := range dirs {
		if from := filepath.Join(dir, modulesDir); exists(from) && !exists(s.at(modulesDir)) {
			err = errors.Join(err, os.Rename(from, s.at(modulesDir)))
		}
		for _, name := range []string{identity.NodeKeyFile, identity.ClusterKeyFile, identity.FormerKeyFile, raftDir} {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, name)))
		}
	}
	if err != nil {
		return holo.Errorf(holo.Unavailable, "replace node key: what was before is not removed: %w", err)
	}
	return nil
}
