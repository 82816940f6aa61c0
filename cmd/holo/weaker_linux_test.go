package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// weaker is `weaker CODE REGEXP program argument...`: where no namespace can be
// had for kernels, the program must end with this code and say this. It runs in
// a namespace of users in which the limit on further ones is 0; a system that
// gives not even that is weaker already.
func weaker(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: weaker CODE REGEXP program [argument...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	run := func(flags uintptr, script string) (int, []byte, error) {
		cmd := exec.Command("sh", append([]string{"-c", script, "sh"}, args[2:]...)...)
		cmd.Dir, cmd.Env = ts.Getenv("WORK"), []string{"PATH=" + ts.Getenv("PATH"), "HOLO_DIR=" + ts.Getenv("HOLO_DIR"), "HOLO_CONFIG=" + ts.Getenv("HOLO_CONFIG")}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if flags != 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{
				Cloneflags: flags, UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
				GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
			}
		}
		if err := cmd.Start(); err != nil {
			return 0, nil, err
		}
		_ = cmd.Wait() // its code says all
		return cmd.ProcessState.ExitCode(), out.Bytes(), nil
	}
	code, out, err := run(syscall.CLONE_NEWUSER, `echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"`)
	if err != nil {
		code, out, err = run(0, `exec "$@"`)
	}
	ts.Check(err)
	ts.Logf("%s", out)
	if code != want || !regexp.MustCompile(args[1]).Match(out) {
		ts.Fatalf("exit code %d, want %d and %s", code, want, args[1])
	}
}

func init() { scriptCommands["weaker"] = weaker }
