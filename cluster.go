package holocompute

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
)

// Options say how to reach a cluster. The zero value is right for a node that
// runs in its default place on this machine, and for a machine without one that
// Enrol or Remember has told its cluster.
type Options struct {
	// Address is where nodes on other machines let clients in, as
	// host:port[,host:port...]. "": HOLO_ADDRESS.
	Address string
	// Pin is the fingerprint of the cluster at Address. "": the cluster that was
	// found there before, and at a first contact Trust decides.
	Pin string
	// Trust decides about a first contact by the cluster's fingerprint; true
	// pins it. nil: there is no first contact.
	Trust func(fingerprint string) bool
	// Socket is the node's socket. "": HOLO_SOCKET, or holo.sock in HOLO_DIR,
	// or in the default data folder.
	Socket string
	// Config is the folder of the user's keys. "": HOLO_CONFIG, or the default.
	Config string
	// Passphrase is asked for the passphrase of a key file that is protected by
	// one, with the file's path. Nil: such keys are refused.
	Passphrase func(path string) ([]byte, error)
	// Token is a client token. "": none, the user's own key is known to the
	// node. The key in Config is then the one that the token is bound to.
	Token string
}

// SocketName is the socket's name in a node's data folder.
const SocketName = "holo.sock"

func (o Options) socket() (string, error) {
	if o.Socket != "" {
		return o.Socket, nil
	}
	if s := os.Getenv("HOLO_SOCKET"); s != "" {
		return s, nil
	}
	if dir := os.Getenv("HOLO_DIR"); dir != "" {
		return filepath.Join(dir, SocketName), nil
	}
	dir, err := identity.DefaultDataDir()
	return filepath.Join(dir, SocketName), err
}

func (o Options) config() (string, error) {
	if o.Config != "" {
		return o.Config, nil
	}
	if dir := os.Getenv("HOLO_CONFIG"); dir != "" {
		return dir, nil
	}
	return identity.DefaultConfigDir()
}

// Cluster is a connection to a cluster, through the node on this machine or one
// of another. It is safe for use by several goroutines.
type Cluster struct {
	client    *client
	config    string
	keys      identity.Keys
	cluster   holov1connect.ClusterServiceClient
	arrays    holov1connect.ArrayServiceClient
	kernels   holov1connect.KernelServiceClient
	jobs      holov1connect.JobServiceClient
	drains    holov1connect.DrainServiceClient
	balances  holov1connect.BalanceServiceClient
	atomics   holov1connect.AtomicServiceClient
	leases    holov1connect.LeaseServiceClient
	buffers   holov1connect.BufferServiceClient
	receipts  holov1connect.ReceiptServiceClient
	traces    holov1connect.TraceServiceClient
	nodes     holov1connect.NodeServiceClient
	tokens    holov1connect.TokenServiceClient
	access    holov1connect.AccessServiceClient
	audit     holov1connect.AuditServiceClient
	rotations holov1connect.KeyServiceClient
	mu        struct {
		sync.Mutex
		owner *client // nil until the owner's key is used
	}
}

// keys reads key files, asking for their passphrase as the options say.
func (o Options) keys() identity.Keys { return identity.Keys{Ask: o.Passphrase} }

// Connect opens a session with a node, on this machine or another, as the user
// whose key lies in the configuration folder, or as the subject of a token that
// is bound to that key.
func Connect(ctx context.Context, o Options) (*Cluster, error) {
	config, err := o.config()
	if err != nil {
		return nil, err
	}
	at, err := o.place(config)
	if err != nil {
		return nil, err
	}
	c, err := o.reach(ctx, config, at)
	if err != nil {
		return nil, err
	}
	cluster := newCluster(c, config, o.keys())
	if _, err := c.session(ctx, nil); err != nil {
		return nil, errors.Join(err, cluster.Close())
	}
	return cluster, nil
}

// reach makes the client of a place, which has no session yet.
func (o Options) reach(ctx context.Context, config string, at place) (*client, error) {
	if at.socket != "" {
		if err := privateSocket(at.socket); err != nil {
			return nil, err
		}
	}
	signer, err := o.keys().ReadSigner(filepath.Join(config, identity.UserKeyFile))
	if err != nil {
		return nil, err
	}
	if o.Token != "" {
		if err := checkToken(o.Token, signer); err != nil {
			return nil, err
		}
	}
	if at.socket == "" {
		return connectFar(ctx, config, signer, o.Token, at.remote)
	}
	dialer := net.Dialer{}
	here := func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, "unix", at.socket) }
	return newClient(here, signer, o.Token), nil
}

func newCluster(c *client, config string, keys identity.Keys) *Cluster {
	plain := connect.WithAcceptCompression("gzip", nil, nil)
	return &Cluster{
		client: c, config: config, keys: keys,
		cluster:   holov1connect.NewClusterServiceClient(c.http, host, plain),
		arrays:    holov1connect.NewArrayServiceClient(c.http, host, plain),
		kernels:   holov1connect.NewKernelServiceClient(c.http, host, plain),
		jobs:      holov1connect.NewJobServiceClient(c.http, host, plain),
		drains:    holov1connect.NewDrainServiceClient(c.http, host, plain),
		balances:  holov1connect.NewBalanceServiceClient(c.http, host, plain),
		atomics:   holov1connect.NewAtomicServiceClient(c.http, host, plain),
		leases:    holov1connect.NewLeaseServiceClient(c.http, host, plain),
		buffers:   holov1connect.NewBufferServiceClient(c.http, host, plain),
		receipts:  holov1connect.NewReceiptServiceClient(c.http, host, plain),
		traces:    holov1connect.NewTraceServiceClient(c.http, host, plain),
		nodes:     holov1connect.NewNodeServiceClient(c.http, host, plain),
		tokens:    holov1connect.NewTokenServiceClient(c.http, host, plain),
		access:    holov1connect.NewAccessServiceClient(c.http, host, plain),
		audit:     holov1connect.NewAuditServiceClient(c.http, host, plain),
		rotations: holov1connect.NewKeyServiceClient(c.http, host, plain),
	}
}

// privateSocket refuses a socket that another user could have put there. That
// there is none is found when it is dialled.
func privateSocket(socket string) error {
	dir := filepath.Dir(socket)
	info, err := os.Stat(dir)
	if err != nil {
		return holo.Refuse(Unavailable, reasonNoNode, "connect to %s: no node answers on this machine: %w", socket, err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return holo.Refuse(Denied, "wrong_mode", "connect to %s: others can enter its folder (mode %04o): chmod 700 %s", socket, mode, dir)
	}
	return nil
}

// Close ends the connections. The node forgets the session by itself.
func (c *Cluster) Close() error {
	c.client.closeIdle()
	if c.client.link != nil {
		return c.client.link.Close()
	}
	return nil
}

// Status asks the node how the cluster is.
func (c *Cluster) Status(ctx context.Context) (*Status, error) {
	s, err := read(ctx, c.client, "ask for the status", c.cluster.Status, &holov1.StatusRequest{})
	if err != nil {
		return nil, err
	}
	return statusOf(s), nil
}

// Invite makes an invite for one machine: a text to paste there into
// `holo join`. It needs the owner's key in the configuration folder, and is
// good until it expires. The user of the machine gets the role user.
func (c *Cluster) Invite(ctx context.Context, lifetime time.Duration) (string, error) {
	return c.InviteAs(ctx, lifetime, holo.RoleUser.String())
}

// InviteAs is Invite with another role for the machine's user; "" gives none.
func (c *Cluster) InviteAs(ctx context.Context, lifetime time.Duration, role string) (string, error) {
	return c.invite(ctx, lifetime, role, false)
}

// InviteClient makes an invite for one client on another machine, which gets the
// role: a text to paste there into `holo connect`, or for Enrol. It needs the
// owner's key in the configuration folder, and is good until it expires.
func (c *Cluster) InviteClient(ctx context.Context, lifetime time.Duration, role string) (string, error) {
	return c.invite(ctx, lifetime, role, true)
}

func (c *Cluster) invite(ctx context.Context, lifetime time.Duration, role string, client bool) (string, error) {
	if lifetime < time.Minute || lifetime > 30*24*time.Hour {
		return "", holo.Errorf(Invalid, "make invite: a lifetime of %s, want a minute to 30 days", lifetime)
	}
	owner, err := c.keys.ReadSigner(filepath.Join(c.config, identity.OwnerKeyFile))
	if err != nil {
		return "", err
	}
	as := c.as(owner)
	cluster, err := as.clusterID(ctx)
	if err != nil {
		return "", err
	}
	invite := identity.NewInvite(cluster, holo.PrincipalID(owner.Public()), time.Now().Add(lifetime))
	invite.Client = client
	public, psk := invite.Signer().Public(), invite.PSK()
	expires, proof := invite.Expires.Unix(), api.InviteProof
	if client {
		proof = api.ClientInviteProof
	}
	req := &holov1.CreateInviteRequest{
		InviteKey: public[:], Psk: psk.Key.Bytes(), ExpiresUnix: expires, Client: client,
		OwnerSignature: owner.Sign(proof(cluster, public[:], expires)),
	}
	if role != "" {
		r, err := holo.ParseRole(role)
		if err != nil {
			return "", err
		}
		req.Role, req.RoleSignature = role, owner.Sign(api.InviteRoleProof(cluster, public[:], r))
	}
	made, err := change(ctx, as, "make invite", holov1connect.ClusterServiceCreateInviteProcedure, c.cluster.CreateInvite, req)
	if err != nil {
		return "", err
	}
	invite.Addresses = made.GetAddresses()
	return invite.Text(), nil
}
