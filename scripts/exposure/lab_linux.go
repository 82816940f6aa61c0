package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The lab's network. Everybody is on one link and of one IPv4 network; the
// nodes are told to answer a part of it.
const (
	network = "10.77.0.0/16"
	inside  = "10.77.0.0/24"
)

// lab is five network namespaces on a bridge: three machines of the cluster, a
// stranger inside of the allowed network, and one outside of it.
type lab struct {
	dir                 string
	machines            []*machine
	neighbour, outsider *machine
	wire                *wire
	invite              string // the first one, as it was passed on

	mu   sync.Mutex
	said bytes.Buffer // what was typed and printed, in order
}

func newLab(holo string) (*lab, error) {
	dir, err := os.MkdirTemp("", "holo-lab-")
	if err != nil {
		return nil, err
	}
	l := &lab{dir: dir}
	if err := script("ip link add br0 type bridge && ip link set br0 up"); err != nil {
		return nil, errors.Join(err, l.close())
	}
	for i, ip := range []string{"10.77.0.1", "10.77.0.2", "10.77.0.3", "10.77.0.50", "10.77.9.9"} {
		m, err := l.newMachine(holo, fmt.Sprintf("m%d", i+1), ip)
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		l.machines = append(l.machines, m)
	}
	l.neighbour, l.outsider, l.machines = l.machines[3], l.machines[4], l.machines[:3]
	l.wire, err = listen("br0")
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// machine is a namespace and the folder of whoever sits there.
type machine struct {
	lab      *lab
	name, ip string
	dir      string
	env      []string
	running  []*exec.Cmd
	log      *os.File
}

func (l *lab) newMachine(holo, name, ip string) (*machine, error) {
	m := &machine{lab: l, name: name, ip: ip, dir: filepath.Join(l.dir, name)}
	m.env = []string{"PATH=" + l.dir + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + m.dir, "TERM=dumb"}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.Symlink(holo, filepath.Join(l.dir, "holo")); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	log, err := os.Create(m.dir + ".log")
	if err != nil {
		return nil, err
	}
	m.log = log
	bridge := ""
	if name == "m3" { // its first interface, with an address and nothing behind it
		bridge = "ip -n m3 link add docker0 type bridge && ip -n m3 addr add 172.17.0.1/16 dev docker0 && ip -n m3 link set docker0 up && " +
			"ip -n m3 link add gone type veth peer name gone2 && ip -n m3 link set gone master docker0 && ip -n m3 link set gone up &&"
	}
	return m, script(strings.NewReplacer("NAME", name, "IP", ip).Replace(`
		ip netns add NAME && ip -n NAME link set lo up && ` + bridge + `
		ip link add vNAME type veth peer name eth0 netns NAME && ip link set vNAME master br0 up &&
		ip -n NAME addr add IP/16 dev eth0 && ip -n NAME link set eth0 up && ip -n NAME route add default dev eth0`))
}

func script(text string) error {
	if out, err := exec.Command("sh", "-c", text).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.TrimSpace(text), err, out)
	}
	return nil
}

func (m *machine) command(line string) *exec.Cmd {
	cmd := exec.Command("ip", "netns", "exec", m.name, "sh", "-c", line)
	cmd.Dir, cmd.Env = m.dir, m.env
	return cmd
}

// query runs a line that is no part of the transcript.
func (m *machine) query(line string) (string, error) {
	var out, errs bytes.Buffer
	cmd := m.command(line)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %s: %w: %s", m.name, line, err, errs.String())
	}
	return out.String(), nil
}

// output types a line on the machine, and gives what it prints.
func (m *machine) output(format string, args ...any) (string, error) {
	line := fmt.Sprintf(format, args...)
	var out bytes.Buffer
	fmt.Fprintf(m.lab, "%s$ %s\n", m.name, line)
	cmd := m.command(line)
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, m.lab), m.lab
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %s: %w", m.name, line, err)
	}
	return out.String(), nil
}

func (m *machine) sh(format string, args ...any) error {
	_, err := m.output(format, args...)
	return err
}

// background types a line that goes on until the lab is closed.
func (m *machine) background(format string, args ...any) error {
	line := fmt.Sprintf(format, args...)
	fmt.Fprintf(m.lab, "%s$ %s\n", m.name, line)
	cmd := m.command("exec " + line)
	both := io.MultiWriter(m.lab, m.log)
	cmd.Stdout, cmd.Stderr = both, both
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %s: %w", m.name, line, err)
	}
	m.running = append(m.running, cmd)
	return nil
}

// probe has this program probe an address from the machine, and gives the bytes
// that came back.
func (m *machine) probe(ip string) (n int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	out, err := m.query(fmt.Sprintf("%s probe %s:%d", self, ip, port))
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscan(out, &n)
	return n, err
}

// status is a part of what `holo status -o json` prints.
type status struct {
	Cluster string `json:"cluster"`
	Nodes   []struct {
		Name, Address string
		Lease         bool
	} `json:"nodes"`
	Refusals map[string]uint64 `json:"refusals"`
}

func (m *machine) status() (s status, err error) {
	out, err := m.query("holo status -o json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &s)
	}
	return s, err
}

func (s *status) address(name string) string {
	for _, n := range s.Nodes {
		if n.Name == name {
			return n.Address
		}
	}
	return ""
}

func (s *status) leased(name string) bool {
	for _, n := range s.Nodes {
		if n.Name == name {
			return n.Lease
		}
	}
	return false
}

// until asks until the answer is yes, an error, or patience ends.
func until(what string, holds func() (bool, error)) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		yes, err := holds()
		if yes || err != nil {
			return err
		}
	}
	return fmt.Errorf("not within %s: %s", patience, what)
}

// Write adds to the transcript.
func (l *lab) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.Write(b)
}

func (l *lab) transcript() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.String()
}

func (l *lab) lastWords() string {
	text := l.transcript()
	return "--- the end of the transcript\n" + text[max(0, len(text)-4000):]
}

// stop ends what runs on the machine, in order.
func (m *machine) stop() error {
	var errs []error
	for _, cmd := range m.running {
		cmd.Process.Signal(syscall.SIGINT)
	}
	for _, cmd := range m.running {
		errs = append(errs, cmd.Wait())
	}
	m.running = nil
	return errors.Join(errs...)
}

// close ends the nodes in order, and removes the namespaces.
func (l *lab) close() error {
	var errs []error
	for _, m := range append(l.machines, l.neighbour, l.outsider) {
		if m != nil {
			errs = append(errs, m.stop(), m.log.Close())
		}
	}
	for i := range 5 {
		exec.Command("ip", "netns", "del", fmt.Sprintf("m%d", i+1)).Run() // those that were made
	}
	return errors.Join(append(errs, script("ip link del br0"), os.RemoveAll(l.dir))...)
}
