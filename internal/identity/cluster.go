package identity

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/protocol"
)

// Cluster is what a node knows of its cluster without asking anybody: which it
// is, whose key rules it (the pin), and its own place in it. It is kept in
// cluster.json and holds nothing secret.
type Cluster struct {
	ID        holo.ClusterID
	Name      string           // of the cluster
	Owner     holo.PrincipalID // whose signatures admit and evict
	NodeName  string           // of this node
	Listen    string           // host:port
	Also      []string         // further addresses to listen on
	Allow     []string         // networks to talk with, CIDR; empty: all
	Advertise []string         // addresses to tell others, empty: Listen
	Clients   bool             // whether it lets clients of other machines in
	Protocol  protocol.Version // that the cluster is known to be at; 0: the first
}

const maxClusterFile = 16 << 10

// clusterJSON is how it is written; IDs are in hexadecimal.
type clusterJSON struct {
	Version   int      `json:"version"`
	Cluster   string   `json:"cluster"`
	Name      string   `json:"name"`
	Owner     string   `json:"owner"`
	NodeName  string   `json:"node_name"`
	Listen    string   `json:"listen"`
	Also      []string `json:"listen_also,omitempty"`
	Allow     []string `json:"allow,omitempty"`
	Advertise []string `json:"advertise,omitempty"`
	Clients   bool     `json:"clients,omitempty"`
	Protocol  uint8    `json:"protocol,omitempty"`
	Check     string   `json:"check"` // SHA-256 of the rest: most changes would leave it readable
}

// ReadCluster reads cluster.json. It is strict: what is read is byte for byte
// what WriteCluster would write, so no two readers see two things in it.
func ReadCluster(path string) (*Cluster, error) {
	data, err := ReadPublic(path, maxClusterFile)
	if err != nil {
		return nil, err
	}
	var j clusterJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return nil, damaged(path, "%w", err)
	}
	if j.Version != 1 {
		return nil, damaged(path, "version %d, want 1", j.Version)
	}
	id, err := holo.ParseClusterID(j.Cluster)
	if err != nil {
		return nil, damaged(path, "%w", err)
	}
	owner, err := holo.ParsePrincipalID(j.Owner)
	if err != nil {
		return nil, damaged(path, "%w", err)
	}
	if err := key.CheckPublic(owner); err != nil {
		return nil, damaged(path, "the owner's key: %w", err)
	}
	c := &Cluster{ID: id, Name: j.Name, Owner: owner, NodeName: j.NodeName, Listen: j.Listen, Also: j.Also, Allow: j.Allow, Advertise: j.Advertise, Clients: j.Clients, Protocol: protocol.Version(j.Protocol)}
	if again, err := c.encode(); err != nil || !bytes.Equal(again, data) {
		return nil, damaged(path, "it is not as it was written")
	}
	return c, nil
}

// WriteCluster replaces cluster.json, or makes it.
func WriteCluster(path string, c *Cluster) error {
	data, err := c.encode()
	if err != nil {
		return err
	}
	return WritePublic(path, data)
}

// Equal reports whether two say the same.
func (c *Cluster) Equal(other *Cluster) bool {
	return c.ID == other.ID && c.Name == other.Name && c.Owner == other.Owner && c.NodeName == other.NodeName && c.Listen == other.Listen &&
		slices.Equal(c.Also, other.Also) && slices.Equal(c.Allow, other.Allow) && slices.Equal(c.Advertise, other.Advertise) && c.Clients == other.Clients && c.Protocol == other.Protocol
}

func (c *Cluster) encode() ([]byte, error) {
	j := clusterJSON{
		Version: 1, Cluster: c.ID.String(), Name: c.Name, Owner: c.Owner.Hex(), NodeName: c.NodeName, Listen: c.Listen,
		Also: c.Also, Allow: c.Allow, Advertise: c.Advertise, Clients: c.Clients, Protocol: uint8(c.Protocol),
	}
	data, err := json.MarshalIndent(j, "", "  ")
	if err == nil {
		j.Check = fmt.Sprintf("%x", sha256.Sum256(data))
		data, err = json.MarshalIndent(j, "", "  ")
	}
	if err != nil || len(data) >= maxClusterFile {
		return nil, holo.Errorf(holo.Invalid, "write cluster %s: %d bytes: %w", c.ID, len(data), err)
	}
	return append(data, '\n'), nil
}
