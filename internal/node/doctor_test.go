package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/transport"
)

// wrongClock is a node whose clock is ahead by some seconds. It takes its turns
// in the handshake by itself, because a transport reads the real clock.
func wrongClock(t *testing.T, local handshake.Local) string {
	t.Helper()
	return answering(t, "holo/1", func(ctx context.Context, c *quic.Conn) error {
		s, err := c.AcceptStream(ctx)
		if err != nil {
			return err
		}
		state := c.ConnectionState().TLS
		if local.Exporter, err = state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32); err != nil {
			return err
		}
		local.Transport = transport.Kind
		machine := handshake.Respond(local)
		for {
			head := make([]byte, 2)
			if _, err := io.ReadFull(s, head); err != nil {
				return err
			}
			message := make([]byte, binary.BigEndian.Uint16(head))
			if _, err := io.ReadFull(s, message); err != nil {
				return err
			}
			reply, _, err := machine.Process(message)
			if err != nil {
				return err
			}
			if _, err := s.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
				return err
			}
		}
	})
}

// answering is a QUIC server of a protocol that does something with its first
// connections.
func answering(t *testing.T, protocol string, serve func(context.Context, *quic.Conn) error) string {
	t.Helper()
	e, err := quic.ListenAddr(anyLoopback, &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{protocol}, Certificates: []tls.Certificate{selfSigned(t)},
	}, nil)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := e.Accept(ctx)
			if err != nil {
				return
			}
			if err := serve(ctx, c); err != nil {
				t.Logf("%s: %v", protocol, err)
				c.CloseWithError(0, "")
			}
		}
	}()
	t.Cleanup(func() { cancel(); e.Close(); <-ended })
	return e.Addr().String()
}

// otherVersion is a QUIC server that speaks another protocol.
func otherVersion(t *testing.T) string {
	t.Helper()
	return answering(t, "holo/2", func(context.Context, *quic.Conn) error { return nil })
}

// deaf is a UDP port at which somebody listens and nobody answers.
func deaf(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", anyLoopback)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().String()
}

// closed is a UDP port at which nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", anyLoopback)
	must(t, err)
	must(t, c.Close())
	return c.LocalAddr().String()
}

// TestDoctorNamesTheStepThatFails injects a fault for each step.
func TestDoctorNamesTheStepThatFails(t *testing.T) {
	t.Parallel()
	c, other := newCluster(t, 1), newCluster(t, 1)
	n := c.nodes[0]
	good := c.invite(time.Hour)
	at := func(address string) string {
		i := good
		i.Addresses = []string{address}
		return i.Text()
	}
	expired := good
	expired.Expires = time.Now().Add(-time.Minute)
	unknown := identity.NewInvite(n.cluster, n.home.settings.Owner, time.Now().Add(time.Hour))
	unknown.Addresses = good.Addresses
	renamed := good
	renamed.Owner = other.nodes[0].home.settings.Owner
	clockAt := func(now int64) string {
		static, err := handshake.NewStatic(n.home.signer, n.cluster, "n0", now)
		must(t, err)
		return wrongClock(t, handshake.Local{
			Kind: handshake.KindNode, Accept: []handshake.Kind{handshake.KindJoin}, Static: static, PSK: n.clusterPSK(), NowUnix: now,
			FindPSK: n.findPSK, Proof: n.members.proof(), Admit: n.members.admit,
		})
	}
	for _, k := range []struct {
		name, target string
		step         string // that fails, "" for none
		dir          string
	}{
		{"nothing is wrong", good.Text(), "", ""},
		{"an address of a node, without an invite", n.Addr(), "", ""},
		{"a key that others can read", "", StepDisk, openFolder(t)},
		{"a part of the invite is missing", good.Text()[:40], StepInvite, ""},
		{"the invite has expired", expired.Text(), StepInvite, ""},
		{"no such host", at("no-such-host.invalid:7600"), StepAddress, ""},
		{"a closed port", at(closed(t)), StepPort, ""},
		{"a firewall that swallows", at(deaf(t)), StepPort, ""},
		{"another version", at(otherVersion(t)), StepVersion, ""},
		{"another version, without an invite", otherVersion(t), StepVersion, ""},
		{"a node of another owner", renamed.Text(), StepPin, ""},
		{"a clock that is an hour ahead there", at(clockAt(unixNow() + 3600)), StepClock, ""},
		{"a clock that is two days behind there", at(clockAt(unixNow() - 48*3600)), StepClock, ""},
		{"an invite that nobody made", unknown.Text(), StepAdmit, ""},
	} {
		d := Diagnosis{Dir: c.dirs[0], ConfigDir: c.configDir(0)}
		if k.dir != "" {
			d.Dir = k.dir
		}
		if k.target != "" {
			d.Targets = []string{k.target}
		}
		before := n.refusals.all()[handshake.ReasonUnknownPSK]
		found := Diagnose(context.Background(), d)
		if k.step == StepAdmit { // it gets as far as the node, which refuses it
			refused(t, n, handshake.ReasonUnknownPSK, before)
			onRecord(t, n, "auth.failed", handshake.ReasonUnknownPSK)
		}
		failed := ""
		for _, f := range found {
			if !f.OK && failed != "" {
				t.Errorf("%s: step %s fails after %s", k.name, f.Step, failed)
			}
			if !f.OK {
				failed = f.Step
			}
			if f.Detail == "" || f.OK != (f.Err == nil) || f.OK != (f.Try == "") {
				t.Errorf("%s: %+v", k.name, f)
			}
		}
		if failed != k.step {
			t.Errorf("%s: step %q is said to fail, want %q: %+v", k.name, failed, k.step, found)
		}
	}
	if _, err := c.askToJoin("after", good); err != nil {
		t.Errorf("the invite was used up by looking at it: %v", err)
	}
}

func openFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, identity.WriteSigner(filepath.Join(dir, identity.NodeKeyFile), key.GenerateSigner()))
	must(t, os.Chmod(filepath.Join(dir, identity.NodeKeyFile), 0o640))
	must(t, os.Chmod(dir, 0o700))
	return dir
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}
