package node

import (
	"encoding/json"
	"path/filepath"
	"slices"

	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// The files of a node beside those of package identity. None is secret.
const (
	contactsFile = "contacts.json" // where the other nodes were last known to be
	partingFile  = "parting"       // the owner's word that this node was put out, where there is one
	raftDir      = "raft"
	modulesDir   = "modules"
	codeDir      = "machinecode" // of compiled kernels

	maxChainFile    = 8 << 20
	maxContactsFile = 64 << 10
	maxPartingFile  = 64 << 10 // it came in one message of a handshake
)

// home is what a node's folder holds: who it is and where it belongs.
type home struct {
	dir        string
	keys       identity.Keys // how key files are read
	settings   *identity.Cluster
	signer     key.Signer
	clusterKey key.Secret
	formerKey  key.Secret // zero: none
	records    []wire.ChainRecord
	contacts   []wire.Contact
	user       holo.PrincipalID // of this machine; known while it is made or joins
}

// readHome reads a node's folder and verifies that the node is a member of its
// cluster by the owner's word.
func readHome(dir string, keys identity.Keys) (*home, error) {
	settings, err := identity.ReadCluster(filepath.Join(dir, identity.ClusterFile))
	if holo.KindOf(err) == holo.NotFound {
		return nil, holo.Errorf(holo.NotFound, "start node in %s: it belongs to no cluster: run `holo init` or `holo join`", dir)
	}
	if err != nil {
		return nil, err
	}
	h := &home{dir: dir, keys: keys, settings: settings}
	if err := h.checkFolders(); err != nil {
		return nil, err
	}
	if h.signer, err = keys.ReadSigner(h.path(identity.NodeKeyFile)); err != nil {
		return nil, err
	}
	if h.clusterKey, err = keys.ReadSecret(h.path(identity.ClusterKeyFile)); err != nil {
		return nil, err
	}
	if h.formerKey, err = keys.ReadSecret(h.path(identity.FormerKeyFile)); err != nil && holo.KindOf(err) != holo.NotFound {
		return nil, err
	}
	if err := h.readChain(); err != nil {
		return nil, err
	}
	return h, h.readContacts()
}

// checkFolders refuses a folder that others can enter: beside the keys it is
// the catalogue's, which holds the pre-shared keys of open invites.
func (h *home) checkFolders() error {
	for _, dir := range []string{h.dir, h.path(raftDir)} {
		if err := identity.CheckDir(dir); err != nil && holo.KindOf(err) != holo.NotFound {
			return err
		}
	}
	return nil
}

func (h *home) path(name string) string { return filepath.Join(h.dir, name) }

func (h *home) self() holo.NodeID { return h.signer.Public() }

func (h *home) readChain() error {
	b, err := identity.ReadPublic(h.path(identity.ChainFile), maxChainFile)
	if err != nil {
		return err
	}
	if h.records, err = openChain(b); err != nil {
		return damagedChain(h.path(identity.ChainFile), err)
	}
	members, err := catalog.VerifyChain(h.settings.ID, h.settings.Owner, h.records)
	if err != nil {
		return damagedChain(h.path(identity.ChainFile), err)
	}
	self := h.self()
	if !slices.ContainsFunc(members, func(m catalog.ChainMember) bool { return m.Node == self }) {
		return holo.Refuse(holo.Denied, reasonEvicted, "start node %s: it is not a member of cluster %s any more", self, h.settings.ID)
	}
	return nil
}

func damagedChain(path string, err error) error {
	return holo.Refuse(holo.KindOf(err), holo.ReasonOf(err), "read %s: %w", path, err)
}

// contactJSON is a line of contacts.json.
type contactJSON struct {
	Node    string `json:"node"`
	Address string `json:"address"`
}

func (h *home) readContacts() error {
	var list []contactJSON
	if err := readJSON(h.path(contactsFile), maxContactsFile, &list); err != nil {
		return err
	}
	for _, c := range list {
		id, err := holo.ParseNodeID(c.Node)
		if err != nil {
			return err
		}
		h.contacts = append(h.contacts, wire.Contact{Node: id, Address: c.Address})
	}
	return nil
}

func (h *home) writeContacts(contacts []wire.Contact) error {
	list := make([]contactJSON, len(contacts))
	for i, c := range contacts {
		list[i] = contactJSON{c.Node.Hex(), c.Address}
	}
	return writeJSON(h.path(contactsFile), list)
}

// write makes a whole new folder. cluster.json comes last: a folder without it
// belongs to no cluster, and is begun anew.
func (h *home) write() error {
	if err := h.keys.WriteSecret(h.path(identity.ClusterKeyFile), h.clusterKey); err != nil {
		return err
	}
	if err := identity.WritePublic(h.path(identity.ChainFile), sealChain(h.records)); err != nil {
		return err
	}
	if err := h.writeContacts(h.contacts); err != nil {
		return err
	}
	return identity.WriteCluster(h.path(identity.ClusterFile), h.settings)
}

// readJSON reads a file that WritePublic made; one that is not there is empty.
func readJSON(path string, limit int, into any) error {
	b, err := identity.ReadPublic(path, limit)
	if holo.KindOf(err) == holo.NotFound && err != nil {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return holo.Errorf(holo.Corrupt, "read %s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, from any) error {
	b, err := json.MarshalIndent(from, "", "  ")
	if err != nil {
		return holo.Errorf(holo.Internal, "write %s: %w", path, err)
	}
	return identity.WritePublic(path, append(b, '\n'))
}
