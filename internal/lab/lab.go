// Package lab makes machines that are network namespaces on one bridge, for the
// programs that look at real nodes from outside. It needs Linux, root and ip, and
// belongs in a network namespace of its own (.ci/run makes it).
package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Lab is a bridge, and a folder for everything. All machines are on one link and
// of one IPv4 network.
type Lab struct {
	Dir      string // made new, and removed by Close
	machines []*Machine
	holo     string
}

// New makes the bridge br0, and has every machine find the program under the
// name holo.
func New(holo string) (*Lab, error) {
	dir, err := os.MkdirTemp("", "holo-lab-")
	if err != nil {
		return nil, err
	}
	l := &Lab{Dir: dir, holo: holo}
	if err := errors.Join(os.Symlink(holo, filepath.Join(dir, "holo")), Script("ip link add br0 type bridge && ip link set br0 up")); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Close removes the namespaces, the bridge and the folder. What runs there must
// have ended.
func (l *Lab) Close() error { return errors.Join(l.Leave(), os.RemoveAll(l.Dir)) }

// Leave is Close without the folder.
func (l *Lab) Leave() error {
	var errs []error
	for _, m := range l.machines {
		errs = append(errs, Script("ip netns del "+m.Name))
	}
	return errors.Join(append(errs, Script("ip link del br0"))...)
}

// Machine is a namespace, and the folder of whoever sits there.
type Machine struct {
	Name, IP string
	Dir      string // the home folder
	env      []string
}

// Add makes a machine with an address of 10.77.0.0/16, for example 10.77.0.1. Its
// first interface comes from more, a line of ip commands; "" for none but lo and
// the link.
func (l *Lab) Add(name, ip, more string) (*Machine, error) {
	m := &Machine{Name: name, IP: ip, Dir: filepath.Join(l.Dir, name)}
	m.env = []string{"PATH=" + l.Dir + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + m.Dir, "TERM=dumb"}
	if err := os.MkdirAll(m.Dir, 0o700); err != nil {
		return nil, err
	}
	if err := Script("ip netns add " + name); err != nil {
		return nil, err
	}
	l.machines = append(l.machines, m)
	return m, Script(strings.NewReplacer("NAME", name, "IP", ip).Replace(`
		ip -n NAME link set lo up && ` + more + `
		ip link add vNAME type veth peer name eth0 netns NAME && ip link set vNAME master br0 up &&
		ip -n NAME addr add IP/16 dev eth0 && ip -n NAME link set eth0 up && ip -n NAME route add default dev eth0`))
}

// Script runs lines of shell; what they print is in the error.
func Script(text string) error {
	if out, err := exec.Command("sh", "-c", text).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.TrimSpace(text), err, out)
	}
	return nil
}

// Command is a line of shell on the machine, in its folder.
func (m *Machine) Command(line string) *exec.Cmd {
	cmd := exec.Command("ip", "netns", "exec", m.Name, "sh", "-c", line)
	cmd.Dir, cmd.Env = m.Dir, m.env
	return cmd
}

// Query runs a line and gives what it prints.
func (m *Machine) Query(line string) (string, error) {
	var out, errs bytes.Buffer
	cmd := m.Command(line)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %s: %w: %s", m.Name, line, err, errs.String())
	}
	return out.String(), nil
}
