package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/holocompute/holocompute/internal/identity"
)

// anotherUser runs the processes of these tests when the tests run as root,
// whom no protection between processes stops. It needs no account.
const anotherUser = 65534

// idle is a program that is not locked down: the control. It says that it runs
// and waits for the end of its input.
func idle() {
	fmt.Fprintln(os.Stderr, "ready")
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// peek tries to open the memory and the environment of a process, and says of
// each whether it could.
func peek() {
	for _, file := range []string{"mem", "environ"} {
		opened, err := os.Open(filepath.Join("/proc", os.Args[1], file))
		if err == nil {
			_, err = opened.Read(make([]byte, 1))
			if file == "mem" && err != nil && !os.IsPermission(err) {
				err = nil // it is open; nothing is mapped at address 0
			}
		}
		fmt.Println(file, err == nil || err == io.EOF)
	}
	os.Exit(0)
}

// lair is a folder in which another user can run this program: as holo, idle
// and peek.
type lair struct {
	t   *testing.T
	dir string
}

func newLair(t *testing.T) *lair {
	dir, err := os.MkdirTemp("", "holo-lair-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l := &lair{t: t, dir: dir}
	program, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(l.path("holo"), program, 0o755)
	}
	for _, name := range []string{"idle", "peek"} {
		if err == nil {
			err = os.Link(l.path("holo"), l.path(name))
		}
	}
	if err == nil {
		err = os.Mkdir(l.path("work"), 0o700)
	}
	if err == nil && os.Geteuid() == 0 {
		err = os.Chown(l.path("work"), anotherUser, anotherUser)
	}
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lair) path(name string) string { return filepath.Join(l.dir, name) }

// command runs a program of the lair in its work folder, as another user than
// root, allowed to leave a core of any size.
func (l *lair) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command("/bin/sh", append([]string{"-c", `ulimit -c unlimited && exec "$0" "$@"`, l.path(name)}, args...)...)
	cmd.Dir = l.path("work")
	cmd.Env = []string{"GOTRACEBACK=crash", "HOME=" + cmd.Dir, "CANARY=visible", "HOLO_DIR=" + filepath.Join(cmd.Dir, "n1"), "HOLO_CONFIG=" + filepath.Join(cmd.Dir, "config")}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: anotherUser, Gid: anotherUser}}
	}
	return cmd
}

// running is a process of the lair that has said that it is ready.
type running struct {
	t     *testing.T
	cmd   *exec.Cmd
	words bytes.Buffer // what it said after that, once it has ended
	said  chan struct{}
}

func (l *lair) start(ready, name string, args ...string) *running {
	l.t.Helper()
	r := &running{t: l.t, cmd: l.command(name, args...), said: make(chan struct{})}
	stdin, err := r.cmd.StdinPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	stderr, err := r.cmd.StderrPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { stdin.Close(); r.cmd.Process.Kill(); r.cmd.Wait() })
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadString('\n')
		if strings.Contains(line, ready) {
			break
		}
		if err != nil {
			l.t.Fatalf("%s ended before it was ready: %s %v", name, line, err)
		}
	}
	background(func() { io.Copy(&r.words, lines); close(r.said) })
	return r
}

// crash ends it by a signal and gives its last words.
func (r *running) crash(signal syscall.Signal) string {
	r.t.Helper()
	if err := r.cmd.Process.Signal(signal); err != nil {
		r.t.Fatal(err)
	}
	<-r.said
	if err := r.cmd.Wait(); err == nil {
		r.t.Fatalf("signal %s: it ended in order", signal)
	}
	return r.words.String()
}

// agent makes a cluster and starts its node.
func (l *lair) agent() *running {
	l.t.Helper()
	if _, err := os.Stat(l.path("work/n1")); err != nil {
		if out, err := l.command("holo", "init").CombinedOutput(); err != nil {
			l.t.Fatalf("init: %v: %s", err, out)
		}
	}
	return l.start("is ready", "holo", "agent")
}

func (l *lair) peeked(r *running) string {
	l.t.Helper()
	out, err := l.command("peek", fmt.Sprint(r.cmd.Process.Pid)).Output()
	if err != nil {
		l.t.Fatal(err)
	}
	return string(out)
}

// tracing is whether this machine lets a process read the memory of another
// one of its user at all.
func tracing() bool {
	text, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	return err != nil || strings.TrimSpace(string(text)) == "0"
}

func TestSameUserCannotReadTheMemoryOfANode(t *testing.T) {
	l := newLair(t)
	control := l.peeked(l.start("ready", "idle"))
	if !strings.Contains(control, "environ true") || tracing() && !strings.Contains(control, "mem true") {
		t.Fatalf("control: a process that is not locked down cannot be read either: %s", control)
	}
	if got := l.peeked(l.agent()); got != "mem false\nenviron false\n" {
		t.Errorf("another process of the node's user reads it: %s", got)
	}
}

func (l *lair) cores() (found []string) {
	l.t.Helper()
	entries, err := os.ReadDir(l.path("work"))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), "core") {
			found = append(found, e.Name())
		}
	}
	return found
}

// coresLandHere is whether this machine puts a core into the folder of the
// process; where it hands them to a program, that nothing is handed over
// cannot be seen from here.
func coresLandHere(t *testing.T) bool {
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		t.Fatal(err)
	}
	return !strings.ContainsAny(string(pattern), "|/")
}

func TestCrashedNodeLeavesNoCoreAndTellsNoKey(t *testing.T) {
	l := newLair(t)
	l.start("ready", "idle").crash(unix.SIGABRT)
	if left := l.cores(); coresLandHere(t) && len(left) != 1 {
		t.Fatalf("control: a process that is not locked down leaves %d cores", len(left))
	}
	for _, core := range l.cores() {
		if err := os.Remove(filepath.Join(l.path("work"), core)); err != nil {
			t.Fatal(err)
		}
	}
	for _, signal := range []syscall.Signal{unix.SIGQUIT, unix.SIGABRT, unix.SIGSEGV} {
		words := l.agent().crash(signal)
		if left := l.cores(); len(left) != 0 {
			t.Errorf("%s: the node left %v", signal, left)
		}
		if !strings.Contains(words, "goroutine ") {
			t.Errorf("%s: the node died without a trace: %q", signal, words)
		}
		l.wantNoKey(signal.String(), words)
	}
}

// wantNoKey looks for the node's keys in a text: as bytes, as digits, and as
// the words of memory that a trace prints of an argument.
func (l *lair) wantNoKey(what, text string) {
	l.t.Helper()
	for _, file := range []string{identity.NodeKeyFile, identity.ClusterKeyFile} {
		line, err := os.ReadFile(filepath.Join(l.path("work/n1"), file))
		if err != nil {
			l.t.Fatal(err)
		}
		secret, err := hex.DecodeString(strings.Fields(string(line))[1])
		if err != nil {
			l.t.Fatal(err)
		}
		for at := 0; at+8 <= len(secret); at += 8 {
			word := secret[at : at+8]
			little := bytes.Clone(word)
			for i, j := 0, 7; i < j; i, j = i+1, j-1 {
				little[i], little[j] = little[j], little[i]
			}
			for _, form := range []string{string(word), hex.EncodeToString(word), hex.EncodeToString(little), strings.Trim(fmt.Sprint(word), "[]")} {
				if strings.Contains(strings.ToLower(text), strings.ToLower(form)) {
					l.t.Errorf("%s: the last words hold a part of %s", what, file)
				}
			}
		}
	}
}
