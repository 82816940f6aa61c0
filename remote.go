package holocompute

import (
	"context"
	"net"
	"net/http/httptrace"
	"os"
	"path/filepath"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/remote"
)

// place is where a cluster is to be reached: a socket of this machine, or nodes
// of others.
type place struct {
	socket string // "": on other machines
	remote remote.Wanted
}

// place decides between this machine and others: what the options name, then
// what the environment names, then the cluster that Enrol or Remember left in
// the folder, then the default socket.
func (o Options) place(config string) (place, error) {
	if o.Address != "" && o.Socket != "" {
		return place{}, holo.Errorf(Invalid, "connect: an address and a socket are named, want one of them")
	}
	address := o.Address
	if address == "" && o.Socket == "" {
		address = os.Getenv("HOLO_ADDRESS")
	}
	far := place{remote: remote.Wanted{Fingerprint: o.Pin, Trust: o.Trust}}
	if address != "" {
		addresses, err := identity.SplitAddresses(address)
		far.remote.Addresses = addresses
		return far, err
	}
	if o.Socket == "" && os.Getenv("HOLO_SOCKET") == "" && os.Getenv("HOLO_DIR") == "" {
		known, err := identity.ReadKnown(filepath.Join(config, identity.KnownFile))
		if err != nil {
			return place{}, err
		}
		if known.Default != (holo.ClusterID{}) {
			return far, nil
		}
	}
	if o.Pin != "" {
		return place{}, holo.Errorf(Invalid, "connect: a pin is for a cluster on other machines, and the node of this one is meant")
	}
	socket, err := o.socket()
	return place{socket: socket}, err
}

// connectFar makes a link to a cluster on other machines.
func connectFar(ctx context.Context, config string, signer key.Signer, token string, w remote.Wanted) (*client, error) {
	link, err := remote.Open(ctx, config, signer, w)
	if err != nil {
		return nil, err
	}
	c := newClient(func(ctx context.Context) (net.Conn, error) { return link.Dial(ctx) }, signer, token)
	c.link = link
	return c, nil
}

// Enrol lets this machine's user in with an invite for a client, which
// InviteClient made elsewhere: the key in the configuration folder, made where it
// is missing, becomes known to the cluster, the cluster is pinned by the
// invite's word, and Connect without options leads to it from then on. It may be
// repeated after it broke off.
func Enrol(ctx context.Context, o Options, invite string) (fingerprint string, err error) {
	i, err := identity.ParseInvite(invite)
	if err != nil {
		return "", err
	}
	if pin := (identity.Pin{Cluster: i.Cluster, Owner: i.Owner}); o.Pin != "" && !pin.Matches(o.Pin) {
		return "", holo.Refuse(Denied, identity.ReasonPinMismatch, "enrol: the invite is for the cluster of fingerprint %s, not the one given", pin.Fingerprint())
	}
	config, err := o.config()
	if err != nil {
		return "", err
	}
	if err := identity.PrepareDir(config); err != nil {
		return "", err
	}
	signer, err := o.keys().SignerAt(filepath.Join(config, identity.UserKeyFile))
	if err != nil {
		return "", err
	}
	pin, err := remote.Enrol(ctx, config, signer, i)
	return pin.Fingerprint(), err
}

// Remember makes this cluster, which must be on other machines, the one that
// Connect leads to without options.
func (c *Cluster) Remember() error {
	if c.client.link == nil {
		return holo.Errorf(Invalid, "remember cluster: it was reached over a socket of this machine")
	}
	return c.client.link.Remember()
}

// Fingerprint is that of the cluster's pin, "" of one that was reached over a
// socket.
func (c *Cluster) Fingerprint() string {
	if c.client.link == nil {
		return ""
	}
	return c.client.link.Pin().Fingerprint()
}

// noting gives a context in which the connection of a call is noted.
func noting(ctx context.Context, conn *net.Conn) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { *conn = i.Conn }})
}

// vouched refuses a session whose node or cluster is not what the link has
// proven. What is signed to open a session names both, so a node could pass the
// signature on to another, and be this client there.
func (c *client) vouched(b *holov1.BeginResponse, conn net.Conn) error {
	if c.link == nil {
		return nil
	}
	far, ok := conn.(remote.Conn)
	pin := c.link.Pin()
	if !ok || far.Peer() != holo.NodeID(b.GetNode()) || pin.Cluster != holo.ClusterID(b.GetCluster()) {
		return holo.Refuse(Denied, "wrong_peer", "open session: the node does not say who it is")
	}
	return nil
}
