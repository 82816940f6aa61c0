package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// machine says how much of the processors others left to some processes, so that a
// bar in seconds means the same on a machine that has other work.
type machine struct {
	trees []int  // processes that count with their children: a node's workers are the node's
	alone []int  // and those that do not
	total uint64 // ticks of all processors, idle ones too
	busy  uint64
	ours  uint64
	err   error
}

// watchMachine is about this program, whose clients they are, and its nodes. They
// are its children, and are not counted twice.
func watchMachine(nodes []*node) *machine { return watch(pidsOf(nodes), os.Getpid()) }

// watchNodes is about the nodes alone: this program is one of the others.
func watchNodes(nodes []*node) *machine { return watch(pidsOf(nodes)) }

func pidsOf(nodes []*node) (pids []int) {
	for _, n := range nodes {
		pids = append(pids, n.agent.Process.Pid)
	}
	return pids
}

func watch(trees []int, alone ...int) *machine {
	m := &machine{trees: trees, alone: alone}
	m.total, m.busy, m.ours, m.err = m.ticks()
	return m
}

// share is the part of the processors' time since then that others did not take.
func (m *machine) share() (float64, error) {
	total, busy, ours, err := m.ticks()
	if err := errors.Join(m.err, err); err != nil {
		return 0, err
	}
	others := min(max(int64(busy-m.busy)-int64(ours-m.ours), 0), int64(total-m.total)-1)
	return 1 - float64(others)/float64(total-m.total), nil
}

// tick is the unit of the kernel's counts of processor time.
const tick = 10 * time.Millisecond

// spent is the processor time that the processes took since then.
func (m *machine) spent() (time.Duration, error) {
	_, _, ours, err := m.ticks()
	return time.Duration(ours-m.ours) * tick, errors.Join(m.err, err)
}

func (m *machine) ticks() (total, busy, ours uint64, err error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, 0, err
	}
	first, _, _ := strings.Cut(string(b), "\n")
	const idle, ioWait, guest = 3, 4, 8 // what guests take is in user time too
	for i, f := range strings.Fields(first)[1:] {
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			return 0, 0, 0, err
		}
		if i < guest {
			total += n
		}
		if i < guest && i != idle && i != ioWait {
			busy += n
		}
	}
	trees, err := sumOf(m.trees, treeTicks)
	if err != nil {
		return 0, 0, 0, err
	}
	alone, err := sumOf(m.alone, processTicks)
	return total, busy, trees + alone, err
}

func sumOf(pids []int, ticks func(pid int) (uint64, error)) (sum uint64, err error) {
	for _, pid := range pids {
		t, err := ticks(pid)
		if err != nil {
			return 0, err
		}
		sum += t
	}
	return sum, nil
}

// processTicks is the processor time of a process in ticks, user and kernel.
func processTicks(pid int) (uint64, error) { return statTicks(pid, 2) }

// treeTicks is that of a process and its children, those that have ended too.
func treeTicks(pid int) (uint64, error) {
	sum, err := statTicks(pid, 4)
	for _, child := range children(pid) {
		if t, err := statTicks(child, 2); err == nil { // or it has ended just now
			sum += t
		}
	}
	return sum, err
}

// statTicks adds up so many of a process's times: user and kernel, and those of its
// children that have ended.
func statTicks(pid, fields int) (sum uint64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:])) // from the state, the third field, on
	for _, ticks := range f[11 : 11+fields] {
		n, err := strconv.ParseUint(ticks, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// children are the processes that a process started, whichever thread of it.
func children(pid int) (pids []int) {
	lists, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "children"))
	for _, name := range lists {
		list, _ := os.ReadFile(name)
		for _, child := range strings.Fields(string(list)) {
			if n, err := strconv.Atoi(child); err == nil {
				pids = append(pids, n)
			}
		}
	}
	return pids
}

// sealing is how many bytes a second one processor of this machine encrypts where
// nothing disturbs it: the best of many.
func sealing() float64 {
	const piece, tries = 1 << 20, 200
	aead, err := chacha20poly1305.New(make([]byte, chacha20poly1305.KeySize))
	if err != nil {
		panic(err) // the key has its size
	}
	buf, nonce := make([]byte, piece+aead.Overhead()), make([]byte, aead.NonceSize())
	best := time.Hour
	for range tries {
		began := time.Now()
		aead.Seal(buf[:0], nonce, buf[:piece], nil)
		best = min(best, time.Since(began))
	}
	return piece / best.Seconds()
}
