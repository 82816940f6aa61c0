package jobs

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// child is a process that this one has started: it runs, or was not waited for yet.
type child struct {
	pid  int
	stat []string // fields of its stat file, from the third on
}

// children are those of this process.
func children(t *testing.T) (list []child) {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if c, ok := look(number(filepath.Base(name))); ok && c.stat[1] == strconv.Itoa(os.Getpid()) {
			list = append(list, c)
		}
	}
	return list
}

// look is at one process, unless it is gone.
func look(pid int) (child, bool) {
	stat, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	c := child{pid, statFields(stat)}
	return c, len(c.stat) > 21
}

func (c child) runs() bool  { return c.stat[0] == "R" } // or wants to
func (c child) ended() bool { return c.stat[0] == "Z" }

// ticks is the processor time that it used, in hundredths of a second.
func (c child) ticks() (user, kernel int) { return number(c.stat[11]), number(c.stat[12]) }

// resident is its memory, in pages.
func (c child) resident() int { return number(c.stat[21]) }

func (c child) kill() {
	if p, err := os.FindProcess(c.pid); err == nil {
		_ = p.Kill() // it may have ended
	}
}

// statFields are those from the third on, the state.
func statFields(stat []byte) []string {
	return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
