package node

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/claim"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// badKeys bind nobody: the eight points of small order, with which one
// signature is good for many messages, and encodings that are not canonical,
// with which one holder would have two names.
var badKeys = []string{
	"0100000000000000000000000000000000000000000000000000000000000000", // order 1
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // order 2
	"0000000000000000000000000000000000000000000000000000000000000000", // order 4
	"0000000000000000000000000000000000000000000000000000000000000080",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", // order 8
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"0100000000000000000000000000000000000000000000000000000000000080", // not canonical, small
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // not canonical: y = 3 above the prime
	"0200000000000000000000000000000000000000000000000000000000000000", // no point at all
}

// entrance is where a public key comes into a node from outside. Everything
// else about what it carries is right, signatures by other keys included.
type entrance struct {
	name  string
	enter func(t *testing.T, public [32]byte) error
}

// keyCluster is a catalogue with an owner whose key the test has.
type keyCluster struct {
	id    holo.ClusterID
	owner key.Signer
}

func (k keyCluster) catalog(t *testing.T) *catalog.Catalog {
	c := catalog.New(k.id, k.owner.Public(), claim.Reader{})
	h := &home{settings: &identity.Cluster{ID: k.id, Owner: k.owner.Public(), NodeName: "n"}, signer: key.GenerateSigner()}
	_, err := c.Apply(1, &wire.Command{Time: 100, Body: &wire.ClusterInit{Genesis: *h.genesis(k.owner, 100), Place: wire.Place{Capacity: 1 << 30}}})
	must(t, err)
	return c
}

func (k keyCluster) invite(public [32]byte) *wire.InvitePut {
	psk := key.Random()
	m := &wire.InvitePut{InviteKey: public, PSKID: handshake.NewPSK(psk).ID, PSK: psk, Expires: 1000}
	copy(m.OwnerSig[:], k.owner.Sign(api.InviteProof(k.id, public[:], 1000)))
	return m
}

func (k keyCluster) putInvite(t *testing.T, public [32]byte) error {
	_, err := k.catalog(t).Apply(2, &wire.Command{Time: 100, Body: k.invite(public)})
	return err
}

func (k keyCluster) admitNode(t *testing.T, public [32]byte) error {
	c, invite := k.catalog(t), key.GenerateSigner()
	_, err := c.Apply(2, &wire.Command{Time: 100, Body: k.invite(invite.Public())})
	must(t, err)
	m := &wire.Admit{Node: public, Name: "x", Place: wire.Place{Capacity: 1 << 30}, InviteKey: invite.Public()}
	copy(m.InviteSig[:], invite.Sign(wire.AdmitProof(k.id, m.Node, m.HandshakeHash)))
	_, err = c.Apply(3, &wire.Command{Time: 100, Body: m})
	return err
}

// foundCluster is a genesis by an owner of that key, with the signature that
// fits one message in eight under a key of small order.
func (k keyCluster) foundCluster(_ *testing.T, public [32]byte) (err error) {
	forged := [64]byte{1}
	for unix := int64(1); unix <= 64; unix++ {
		r := wire.ChainRecord{Kind: wire.ChainGenesis, Time: unix, Node: key.GenerateSigner().Public(), Name: "n", Owner: public, OwnerSig: forged}
		if _, err = catalog.VerifyChain(k.id, public, []wire.ChainRecord{r}); err == nil {
			return nil
		}
	}
	return err
}

func pasteInvite(_ *testing.T, public [32]byte) error {
	i := identity.NewInvite(holo.ClusterID{1}, public, time.Unix(1<<30, 0))
	i.Addresses = []string{"127.0.0.1:1"}
	_, err := identity.ParseInvite(i.Text())
	return err
}

func readPin(t *testing.T, public [32]byte) error {
	path := filepath.Join(t.TempDir(), identity.ClusterFile)
	must(t, identity.WriteCluster(path, &identity.Cluster{ID: holo.ClusterID{1}, Owner: public}))
	_, err := identity.ReadCluster(path)
	return err
}

func (k keyCluster) grantTo(t *testing.T, public [32]byte) error {
	c := k.catalog(t)
	m := &wire.GrantPut{Access: wire.Access{Principal: public, Role: holo.RoleReader}, Epoch: c.AccessEpoch(), By: k.owner.Public()}
	copy(m.Sig[:], k.owner.Sign(api.GrantProof(k.id, m.Epoch, public, "", m.Access.Role, &m.Access.Scope, false)))
	_, err := c.Apply(2, &wire.Command{Time: 100, Body: m})
	return err
}

func TestKeysThatBindNobodyAreRefusedWhereverTheyEnter(t *testing.T) {
	t.Parallel()
	k := keyCluster{id: holo.ClusterID{1}, owner: key.GenerateSigner()}
	for _, e := range []entrance{
		{"the key of an invite", k.putInvite},
		{"the key of a node that joins", k.admitNode},
		{"the owner's key in a pasted invite", pasteInvite},
		{"the owner's key in cluster.json", readPin},
		{"the key of a grant", k.grantTo},
	} {
		if err := e.enter(t, key.GenerateSigner().Public()); err != nil {
			t.Errorf("control: %s: a good key is refused: %v", e.name, err)
		}
		for _, encoding := range badKeys {
			public, err := hex.DecodeString(encoding)
			must(t, err)
			if err := e.enter(t, [32]byte(public)); err == nil || strings.Contains(err.Error(), "signature") {
				t.Errorf("%s: %s passes, or is refused for another reason: %v", e.name, encoding, err)
			}
		}
	}
	for _, encoding := range badKeys {
		public, err := hex.DecodeString(encoding)
		must(t, err)
		if k.foundCluster(t, [32]byte(public)) == nil {
			t.Errorf("a forged genesis under the owner's key %s verifies", encoding)
		}
	}
}

func TestNodeRefusesAFolderThatOthersCanEnter(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	c.kill(0)
	for _, dir := range []string{c.dirs[0], filepath.Join(c.dirs[0], raftDir)} {
		must(t, os.Chmod(dir, 0o750))
		_, err := readHome(c.dirs[0], identity.Keys{})
		wantRefused(t, err, holo.Denied, identity.ReasonWrongMode)
		must(t, os.Chmod(dir, 0o700))
	}
	_, err := readHome(c.dirs[0], identity.Keys{})
	must(t, err)
}
