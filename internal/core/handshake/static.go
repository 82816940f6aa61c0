package handshake

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"errors"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// A certificate is good for CertificateLife, which bounds what a stolen static
// key is worth, and clocks may differ by ClockSkew.
const (
	CertificateLife = 24 * 3600 // seconds
	ClockSkew       = 5 * 60    // seconds
)

// ErrClock is in the refusal of a certificate that is right but not now.
var ErrClock = errors.New("compare the clocks")

// Static is a process's Noise static key together with the certificate by
// which its node key vouches for it. The node key signs once and is not
// needed for handshakes. It is never written to disk, and safe to share.
type Static struct {
	cluster     holo.ClusterID
	private     *ecdh.PrivateKey
	certificate certificate
}

// certificate is what a side shows of itself: the node key's statement that
// this Noise key speaks for it, in this cluster, under this name, for so long.
type certificate struct {
	node                holo.NodeID
	name                string
	notBefore, notAfter int64 // Unix seconds
	signature           []byte
}

// NewStatic draws a static key and has it certified by the node's key, from
// nowUnix on. The name is for people: printable, up to MaxName bytes.
func NewStatic(signer key.Signer, cluster holo.ClusterID, name string, nowUnix int64) (*Static, error) {
	if signer.IsZero() || cluster == (holo.ClusterID{}) || len(name) > MaxName || !printable(name) || nowUnix <= 0 {
		return nil, invalid("static key for node %q of cluster %s at time %d", name, cluster, nowUnix)
	}
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, holo.Errorf(holo.Internal, "draw static key: %w", err)
	}
	s := &Static{cluster: cluster, private: private}
	s.certificate = certificate{node: signer.Public(), name: name, notBefore: nowUnix, notAfter: nowUnix + CertificateLife}
	s.certificate.signature = signer.Sign(s.certificate.statement(cluster, private.PublicKey().Bytes()))
	return s, nil
}

// Node is the identity that it speaks for.
func (s *Static) Node() holo.NodeID { return s.certificate.node }

// Cluster is the cluster that it is for.
func (s *Static) Cluster() holo.ClusterID { return s.cluster }

// Stale reports whether it is time for a new one: after half of its life.
func (s *Static) Stale(nowUnix int64) bool {
	return nowUnix >= s.certificate.notBefore+CertificateLife/2 || nowUnix < s.certificate.notBefore
}

func (s *Static) check(nowUnix int64) error {
	if nowUnix < s.certificate.notBefore-ClockSkew || nowUnix > s.certificate.notAfter {
		return invalid("own certificate, good from %d to %d, used at %d", s.certificate.notBefore, s.certificate.notAfter, nowUnix)
	}
	return nil
}

// statement is what the node's key signs. Its first bytes are used for nothing
// else, and everything of variable length has its length in front.
func (c *certificate) statement(cluster holo.ClusterID, static []byte) []byte {
	b := []byte("holocompute/noise-static/1\x00")
	b = appendLong(b, cluster[:])
	b = appendLong(b, []byte(c.name))
	b = append(b, static...)
	b = binary.BigEndian.AppendUint64(b, uint64(c.notBefore))
	return binary.BigEndian.AppendUint64(b, uint64(c.notAfter))
}

// verify reports whether the certificate vouches for the Noise key with which
// the peer has just proved itself, in this cluster, now.
func (c *certificate) verify(cluster holo.ClusterID, static []byte, nowUnix int64) error {
	switch {
	case !key.Verify(c.node, c.statement(cluster, static), c.signature):
		return refuse(ReasonBadIdentity, "certificate of node %s does not verify", c.node)
	case c.notAfter <= c.notBefore || c.notAfter-c.notBefore > CertificateLife:
		return refuse(ReasonBadIdentity, "certificate of node %s is for longer than %d s", c.node, CertificateLife)
	case nowUnix < c.notBefore-ClockSkew:
		return refuse(ReasonClockSkew, "certificate of node %s is good only in %d s: %w", c.node, c.notBefore-nowUnix, ErrClock)
	case nowUnix > c.notAfter+ClockSkew:
		return refuse(ReasonBadIdentity, "certificate of node %s ended %d s ago: %w", c.node, nowUnix-c.notAfter, ErrClock)
	}
	return nil
}

// compare refuses a peer whose clock differs by more than certificates allow
// for. What its clock shows is sealed in its message, so both sides of such a
// handshake know why it came to nothing, whichever of them is wrong.
func (i *identity) compare(nowUnix int64) error {
	if skew := i.clock - nowUnix; skew < -ClockSkew || skew > ClockSkew {
		return refuse(ReasonClockSkew, "the clock of node %s differs from the one here by %d s, at most %d: %w", i.node, skew, ClockSkew, ErrClock)
	}
	return nil
}
