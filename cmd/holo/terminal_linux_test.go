package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/node"
)

// terminal runs this program on a terminal of its own, as a person would, and
// gives what was shown and the exit code.
func terminal(t *testing.T, args ...string) (shown string, code int) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	must(t, err)
	defer master.Close()
	must(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	must(t, err)
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	cmd := exec.Command(holoProgram(t), args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	must(t, cmd.Start())
	must(t, slave.Close())
	var out bytes.Buffer
	_, _ = out.ReadFrom(master) // ends with an error when nobody holds the other side
	_ = cmd.Wait()              // the code tells
	return out.String(), cmd.ProcessState.ExitCode()
}

// holoProgram is this test's program under the name of the product's, which
// makes it that.
func holoProgram(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	path := filepath.Join(t.TempDir(), "holo")
	must(t, os.Symlink(self, path))
	return path
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// On a terminal the first contact shows the fingerprint, which the second need
// not; with --pinned there is no first contact.
func TestFirstContactOnATerminalShowsTheFingerprint(t *testing.T) {
	root, err := os.MkdirTemp("", "holo-tty-") // short: a socket's path must be
	must(t, err)
	defer os.RemoveAll(root)
	dir, config, far := filepath.Join(root, "n"), filepath.Join(root, "c"), filepath.Join(root, "far")
	_, err = node.Init(t.Context(), node.InitConfig{Dir: dir, ConfigDir: config, NodeName: "n1"})
	must(t, err)
	yes := true
	n, err := node.Start(t.Context(), node.Config{Dir: dir, Clients: &yes})
	must(t, err)
	defer n.Close()
	c, err := identity.ReadCluster(filepath.Join(dir, identity.ClusterFile))
	must(t, err)
	fingerprint := identity.Pin{Cluster: c.ID, Owner: c.Owner}.Fingerprint()
	known := filepath.Join(far, identity.KnownFile)

	shown, code := terminal(t, "connect", n.Addr(), "--config", far, "--pinned")
	if _, err := os.Stat(known); code != exitDenied || !bytes.Contains([]byte(shown), []byte("first contact")) || err == nil {
		t.Fatalf("pinned: exit code %d, pinned %v:\n%s", code, err == nil, shown)
	}
	// The key is nobody's, which ends the command later; the contact was made.
	for i, want := range []bool{true, false} {
		shown, code = terminal(t, "connect", n.Addr(), "--config", far)
		if got := bytes.Contains([]byte(shown), []byte(fingerprint)); got != want || code != exitDenied {
			t.Errorf("contact %d: exit code %d, fingerprint %v:\n%s", i+1, code, got, shown)
		}
		k, err := identity.ReadKnown(known)
		if err != nil || len(k.Pins) != 1 || k.Pins[0].Fingerprint() != fingerprint {
			t.Errorf("contact %d: pinned %+v, %v", i+1, k, err)
		}
	}
}
