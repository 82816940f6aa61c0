package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/holocompute/holocompute/internal/lab"
)

// The lab's network. Everybody is on one link and of one IPv4 network; the
// nodes are told to answer a part of it.
const (
	network = "10.77.0.0/16"
	inside  = "10.77.0.0/24"
)

// world is a lab with five machines: three of the cluster, a stranger inside of
// the allowed network, and one outside of it.
type world struct {
	lab                 *lab.Lab
	machines            []*machine
	neighbour, outsider *machine
	wire                *wire
	invite              string // the first one, as it was passed on

	mu   sync.Mutex
	said bytes.Buffer // what was typed and printed, in order
}

func newWorld(holo string) (*world, error) {
	made, err := lab.New(holo)
	if err != nil {
		return nil, err
	}
	l := &world{lab: made}
	for i, ip := range []string{"10.77.0.1", "10.77.0.2", "10.77.0.3", "10.77.0.50", "10.77.9.9"} {
		m, err := l.newMachine(fmt.Sprintf("m%d", i+1), ip)
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

// machine is one of the lab, with what runs there.
type machine struct {
	*lab.Machine
	world   *world
	running []*exec.Cmd
	log     *os.File
}

func (l *world) newMachine(name, ip string) (*machine, error) {
	bridge := ""
	if name == "m3" { // its first interface, with an address and nothing behind it
		bridge = "ip -n m3 link add docker0 type bridge && ip -n m3 addr add 172.17.0.1/16 dev docker0 && ip -n m3 link set docker0 up && " +
			"ip -n m3 link add gone type veth peer name gone2 && ip -n m3 link set gone master docker0 && ip -n m3 link set gone up &&"
	}
	made, err := l.lab.Add(name, ip, bridge)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(made.Dir + ".log")
	return &machine{Machine: made, world: l, log: log}, err
}

// output types a line on the machine, and gives what it prints.
func (m *machine) output(format string, args ...any) (string, error) {
	line := fmt.Sprintf(format, args...)
	var out bytes.Buffer
	fmt.Fprintf(m.world, "%s$ %s\n", m.Name, line)
	cmd := m.Command(line)
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, m.world), m.world
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %s: %w", m.Name, line, err)
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
	fmt.Fprintf(m.world, "%s$ %s\n", m.Name, line)
	cmd := m.Command("exec " + line)
	both := io.MultiWriter(m.world, m.log)
	cmd.Stdout, cmd.Stderr = both, both
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %s: %w", m.Name, line, err)
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
	out, err := m.Query(fmt.Sprintf("%s probe %s:%d", self, ip, port))
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
	out, err := m.Query("holo status -o json")
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
func (l *world) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.Write(b)
}

func (l *world) transcript() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.String()
}

func (l *world) lastWords() string {
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

// close ends the nodes in order, and removes the lab.
func (l *world) close() error {
	var errs []error
	for _, m := range append(l.machines, l.neighbour, l.outsider) {
		if m != nil {
			errs = append(errs, m.stop(), m.log.Close())
		}
	}
	return errors.Join(append(errs, l.lab.Close())...)
}
