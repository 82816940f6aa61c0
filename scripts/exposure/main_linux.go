// Command exposure runs a cluster of three machines that are network namespaces
// on one bridge, and looks from outside at what they expose. It reads every
// packet on the bridge while it does. Usage: exposure HOLO
//
// What it checks, each with a control that shows that the check can fail:
//
//	a second machine joins with one pasted text, in 30 s, and a job runs on both
//	nobody sees, types or copies a key, a certificate or a token meanwhile
//	the address that a node tells is one that works, a dead bridge notwithstanding
//	each node has one UDP socket and no other towards the network
//	nodes send to members only, and ask for nobody else's address
//	an address outside of --allow gets no byte back, and is counted
//	who holds an invite with a dead address finds the cluster in the local
//	network if it announces itself, and is told what to do if it cannot be found
//	the printed firewall rules let members talk and nobody else
//
// It makes network namespaces, so it needs root, ip and nft; .ci/run starts it in
// a network and mount namespace of its own.
package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	port     = 7600
	patience = 60 * time.Second
	joinGoal = 30 * time.Second // mission: from "I have a second laptop" to a job on both
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "probe" { // what a stranger runs
		if err := probe(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "probe:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: exposure HOLO")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "exposure:", err)
		os.Exit(1)
	}
}

func run(holo string) (err error) {
	holo, err = filepath.Abs(holo)
	if err != nil {
		return err
	}
	l, err := newWorld(holo)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	for _, step := range []struct {
		name string
		do   func(*world) error
	}{
		{"a second machine in one command", secondMachine},
		{"no key, certificate or token in the transcript", transcriptIsClean},
		{"the third tells the address that works", thirdBehindADeadBridge},
		{"one UDP socket per node", oneSocket},
		{"silence to who is outside", silence},
		{"firewall rules", firewall},
		{"packets go to members only", egress},
		{"discovery, and what is said where it is blocked", discovery},
	} {
		start := time.Now()
		if err := step.do(l); err != nil {
			return fmt.Errorf("%s: %w\n%s", step.name, err, l.lastWords())
		}
		fmt.Printf("exposure: %s: ok (%.1f s)\n", step.name, time.Since(start).Seconds())
	}
	return nil
}

// secondMachine does what the README tells: init and agent here, invite, join
// there, and a job on both.
func secondMachine(l *world) error {
	one, two := l.machines[0], l.machines[1]
	if err := one.sh("holo init --name one"); err != nil {
		return err
	}
	if err := one.background("holo agent --listen %s:%d --allow %s", one.IP, port, inside); err != nil {
		return err
	}
	if err := one.sh("holo status --wait 60s"); err != nil {
		return err
	}
	begun := time.Now()
	invite, err := one.output("holo invite")
	if err != nil {
		return err
	}
	l.invite = strings.TrimSpace(invite)
	if err := two.background("holo join %s --name two", l.invite); err != nil {
		return err
	}
	if err := one.sh("holo status --wait 60s --nodes 2"); err != nil {
		return err
	}
	if err := jobOnBoth(l); err != nil {
		return err
	}
	took := time.Since(begun)
	fmt.Printf("exposure: from the invite to a job on both machines: %.1f s\n", took.Seconds())
	if took > joinGoal {
		return fmt.Errorf("it took %s, more than %s", took, joinGoal)
	}
	return nil
}

// sample is the data of the first job.
var sample = make([]byte, 1<<20)

func digest(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

// jobOnBoth runs a kernel over an array and wants that both did some of it.
func jobOnBoth(l *world) error {
	one := l.machines[0]
	data := filepath.Join(one.Dir, "data")
	if err := os.WriteFile(data, sample, 0o600); err != nil {
		return err
	}
	for _, line := range []string{
		"holo kernel push sample:basic",
		"holo array import sample data --format raw --type i64 --copies 1 --extent 8192",
	} {
		if err := one.sh("%s", line); err != nil {
			return err
		}
	}
	if err := one.sh("holo job run basic stats -i sample --acc-bytes 120"); err != nil {
		return err
	}
	out, err := one.Query("holo job show 1 -o json")
	if err != nil {
		return err
	}
	var job struct {
		State    string
		Progress struct {
			Nodes []struct{ Committed int }
		}
	}
	if err := json.Unmarshal([]byte(out), &job); err != nil {
		return err
	}
	worked := 0
	for _, n := range job.Progress.Nodes {
		if n.Committed > 0 {
			worked++
		}
	}
	if job.State != "done" || worked != 2 {
		return fmt.Errorf("the job is %s, and %d nodes did some of it, not two:\n%s", job.State, worked, out)
	}
	return nil
}

// secrets are what keys, certificates and tokens look like in text: a run of 16
// bytes or more in hexadecimal, of 30 or more in base64 or base32, or a heading.
var secrets = regexp.MustCompile(`[0-9a-fA-F]{32,}|[A-Za-z0-9+_=-]{40,}|BEGIN [A-Z]+|eyJ[A-Za-z0-9]`)

// harmless is what looks alike: the name of the protocol of links. The
// cluster's ID and the digest of the imported file are left out beside it.
var harmless = regexp.MustCompile(`Noise_XX[A-Za-z0-9+_]+`)

// transcriptIsClean reads everything that was typed and printed up to the job on
// both machines. The invite is the one text that people pass on.
func transcriptIsClean(l *world) error {
	s, err := l.machines[0].status()
	if err != nil {
		return err
	}
	text := l.transcript()
	if strings.Count(text, l.invite) < 2 || !secrets.MatchString(text) {
		return errors.New("control: the transcript does not even hold the invite")
	}
	text = strings.NewReplacer(l.invite, "INVITE", s.Cluster, "CLUSTER", digest(sample), "DIGEST").Replace(harmless.ReplaceAllString(text, "PROTOCOL"))
	if found := secrets.FindAllString(text, 3); len(found) > 0 {
		return fmt.Errorf("the transcript holds %q:\n%s", found, text)
	}
	return nil
}

// thirdBehindADeadBridge joins a machine whose first interface is a bridge
// without members, as a container engine leaves it, and that listens everywhere.
func thirdBehindADeadBridge(l *world) error {
	one, three := l.machines[0], l.machines[2]
	invite, err := one.output("holo invite")
	if err != nil {
		return err
	}
	if err := three.sh("ip addr show docker0 | grep -q NO-CARRIER"); err != nil {
		return fmt.Errorf("control: the bridge is not dead: %w", err)
	}
	if err := three.background("holo join %s --name three --listen 0.0.0.0:%d", strings.TrimSpace(invite), port); err != nil {
		return err
	}
	if err := one.sh("holo status --wait 60s --nodes 3"); err != nil {
		return err
	}
	want := fmt.Sprintf("%s:%d", three.IP, port)
	return until("node three is known at "+want, func() (bool, error) {
		s, err := one.status()
		return err == nil && s.address("three") == want, err
	})
}

// oneSocket reads the system's own lists: a machine of the lab runs its node and
// nothing else.
func oneSocket(l *world) error {
	for _, m := range l.machines {
		for file, want := range map[string]int{"udp": -1, "tcp": 0, "tcp6": 0, "raw": 0, "raw6": 0, "packet": 0, "udplite": 0} {
			text, err := m.Query("cat /proc/net/" + file)
			if err != nil {
				return err
			}
			sockets := strings.Split(strings.TrimSpace(text), "\n")[1:]
			if file == "udp" {
				six, err := m.Query("cat /proc/net/udp6")
				if err != nil {
					return err
				}
				sockets = append(sockets, strings.Split(strings.TrimSpace(six), "\n")[1:]...)
				want = 1
			}
			if len(sockets) != want {
				return fmt.Errorf("%s has %d %s sockets, want %d:\n%s", m.Name, len(sockets), file, want, text)
			}
		}
	}
	return nil
}

// silence sends the packet that every QUIC server answers, from inside of the
// list and from outside.
func silence(l *world) error {
	one := l.machines[0]
	before, err := one.status()
	if err != nil {
		return err
	}
	if n, err := l.neighbour.probe(one.IP); err != nil || n == 0 {
		return fmt.Errorf("control: an address inside the list gets %d bytes, %v", n, err)
	}
	if n, err := l.outsider.probe(one.IP); err != nil || n != 0 {
		return fmt.Errorf("an address outside the list gets %d bytes, %v", n, err)
	}
	if sent := l.wire.between(one.IP, l.outsider.IP); sent != 0 {
		return fmt.Errorf("%d packets went to the address outside the list", sent)
	}
	after, err := one.status()
	if err != nil {
		return err
	}
	if after.Refusals["cidr"] <= before.Refusals["cidr"] {
		return fmt.Errorf("the refusal is not counted: %v", after.Refusals)
	}
	return nil
}

// firewall loads the printed rules on machine three, which answers everybody.
func firewall(l *world) error {
	one, three := l.machines[0], l.machines[2]
	for format, load := range map[string][2]string{
		"nft":      {"nft -f rules", "nft delete table inet holo"},
		"iptables": {"sh rules", "iptables -F INPUT; iptables -F OUTPUT; ip6tables -F INPUT; ip6tables -F OUTPUT"},
	} {
		if n, err := l.neighbour.probe(three.IP); err != nil || n == 0 {
			return fmt.Errorf("control: without rules a stranger gets %d bytes, %v", n, err)
		}
		if err := three.sh("holo firewall print --format %s > rules && %s && %s", format, load[0], load[0]); err != nil {
			return err
		}
		if n, err := l.neighbour.probe(three.IP); err != nil || n != 0 {
			return fmt.Errorf("%s: with the rules a stranger gets %d bytes, %v", format, n, err)
		}
		if err := membersTalk(one, three); err != nil {
			return fmt.Errorf("%s: %w", format, err)
		}
		if err := three.sh("%s", load[1]); err != nil {
			return err
		}
	}
	return nil
}

// membersTalk wants a whole round with node three: its lease still runs, and a
// lease is 3 s, after more than two of them.
func membersTalk(one, three *machine) error {
	time.Sleep(8 * time.Second)
	s, err := one.status()
	if err != nil {
		return err
	}
	if !s.leased("three") {
		return errors.New("node three has no lease any more")
	}
	return three.sh("holo array list")
}

// egress looks at every packet of the whole run.
func egress(l *world) error {
	if err := l.wire.drained(); err != nil {
		return err
	}
	member := map[string]bool{}
	for _, m := range l.machines {
		member[m.IP] = true
	}
	packets, strange := 0, map[string]int{}
	for f, n := range l.wire.flows() {
		if !member[f.from] {
			continue // of the probes, or of no node
		}
		packets += n
		answered := f.to == l.neighbour.IP && (f.fromPort == port || f.protocol == "arp") // what silence and firewall provoked
		if f.protocol == "arp" && member[f.to] || f.from == f.to {
			continue // who is where, among members
		}
		if !answered && (!member[f.to] || f.protocol != "udp" || f.fromPort != port && f.toPort != port) {
			strange[f.String()] += n
		}
	}
	fmt.Printf("exposure: %d packets of members\n", packets)
	if packets < 1000 || l.wire.dropped() > 0 {
		return fmt.Errorf("control: %d packets of members were seen and %d missed", packets, l.wire.dropped())
	}
	if len(strange) > 0 {
		return fmt.Errorf("members sent elsewhere: %v", strange)
	}
	return nil
}

// discovery makes a cluster on the neighbour's machine whose invites lead to an
// address at which nobody is, and joins it from the outsider's.
func discovery(l *world) error {
	here, there := l.neighbour, l.outsider
	if err := here.sh("holo init --name here"); err != nil {
		return err
	}
	agent := fmt.Sprintf("holo agent --listen %s:%d --advertise 10.77.0.250:%d", here.IP, port, port)
	if err := here.background("%s --announce", agent); err != nil {
		return err
	}
	if err := here.sh("holo status --wait 60s"); err != nil {
		return err
	}
	join := func(dir, more string) (string, time.Duration, error) {
		invite, err := here.output("holo invite")
		if err != nil {
			return "", 0, err
		}
		begun := time.Now()
		out, err := there.output("holo join %s --dir %s --no-run %s 2>&1", strings.TrimSpace(invite), dir, more)
		return out, time.Since(begun), err
	}
	if out, _, err := join("found", ""); err != nil {
		return fmt.Errorf("announced, and not found: %w: %s", err, out)
	}
	if err := here.sh("nft add table ip t && nft add chain ip t i '{ type filter hook input priority 0; }' && nft add rule ip t i ip daddr 239.0.0.0/8 drop"); err != nil {
		return err
	}
	out, took, err := join("blocked", "")
	if err == nil || !strings.Contains(out, "holo join INVITE --address HOST:PORT") || !strings.Contains(out, "search the local network") {
		return fmt.Errorf("blocked: %v: %s", err, out)
	}
	fmt.Printf("exposure: a join that finds nobody gave up after %.1f s\n", took.Seconds())
	if took > giveUp {
		return fmt.Errorf("it took %s to say that nobody is found", took)
	}
	if out, _, err := join("by-hand", fmt.Sprintf("--address %s:%d", here.IP, port)); err != nil {
		return fmt.Errorf("the manual form: %w: %s", err, out)
	}
	return silentByDefault(l, here, there, agent)
}

// giveUp is five seconds for the address of the invite, five for the search,
// and some for a busy machine.
const giveUp = 20 * time.Second

// silentByDefault starts the agent again without --announce, and asks.
func silentByDefault(l *world, here, there *machine, agent string) error {
	if err := here.stop(); err != nil {
		return err
	}
	if err := here.background("%s", agent); err != nil {
		return err
	}
	if err := here.sh("holo status --wait 60s"); err != nil {
		return err
	}
	invite, err := here.output("holo invite")
	if err != nil {
		return err
	}
	if err := here.sh("nft delete table ip t"); err != nil {
		return err
	}
	before := l.wire.between(here.IP, there.IP)
	if out, err := there.output("holo join %s --dir silent --no-run 2>&1", strings.TrimSpace(invite)); err == nil {
		return fmt.Errorf("a node that announces nothing is found: %s", out)
	}
	if sent := l.wire.between(here.IP, there.IP) - before; sent != 0 {
		return fmt.Errorf("a node that announces nothing sent %d packets to who asked", sent)
	}
	return nil
}
