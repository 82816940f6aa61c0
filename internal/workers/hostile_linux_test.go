package workers

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/holocompute/holocompute/internal/confine"
	"github.com/holocompute/holocompute/internal/core/handles"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/kernels"
)

// What the test binary is called when it is a worker that was taken over, a
// process that does the same with nothing to hold it, and a program with a pool.
const (
	hostileName = "hostile worker"
	halfName    = "hostile worker that is held only by what it inherited"
	controlName = "hostile control"
	hostName    = "worker host"
)

func init() {
	roles[hostileName] = func() { beHostile(true) }
	roles[halfName] = func() { beHostile(false) }
	roles[controlName], roles[hostName] = beControl, beHost
}

// beHostile starts as workers do and then does what the task's function names,
// with the parameters as argument: code that broke out of the engine.
func beHostile(confined bool) {
	r, err := mapRegion(os.NewFile(3, "region"))
	check(err)
	in := reader{bufio.NewReader(os.Stdin)}
	limit, err := in.limit()
	check(err)
	h := hello{engine: sandbox.Compiler}
	if confined {
		h.missing = confine.Self(limit)
	}
	s := &server{region: r}
	check(s.send(frame{what: frameHello, body: h.encode()}))
	for {
		f, err := in.next()
		check(err)
		if f.what == frameLoad {
			if l, _ := decodeLoad(f.body); l.module.ID == module.ID(kernels.Get("pingpong")) { // stands for one that crashes the compiler
				panic("out of memory")
			}
			check(s.send(frame{frameAnswer, f.sequence, answer{}.encode()}))
			continue
		}
		if f.what == frameRuns {
			list, _ := decodeBatches(f.body)
			check(s.send(frame{frameAnswer, f.sequence, several(list[0].function, len(list))}))
			continue
		}
		b, _ := decodeBatch(f.body)
		if b.function == "forge" {
			check(forge(s, &asker{&request{context.Background(), in, f.sequence, nil}, b.exchange.in(r)}))
			continue
		}
		beside(s, f, b.function)
		if b.function == "said" {
			continue
		}
		done, err := attack(b.function, string(b.params.in(r)))
		a := answer{gas: 1, pages: 1, err: holo.Refuse(holo.KernelTrapped, sandbox.Trap, "%s", done)}
		if err != nil {
			a.err = holo.Refuse(holo.KernelTrapped, sandbox.KernelError, "%s", clip(err.Error(), 200))
		}
		check(s.send(frame{frameAnswer, f.sequence, a.encode()}))
	}
}

// beControl does one attack: its arguments are the function and its argument.
func beControl() {
	done, err := attack(os.Args[1], os.Args[2])
	check(err)
	fmt.Println(done)
	os.Exit(0)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

// forge asks for what was not granted, as no kernel is kept from here, and answers with
// the statuses that it got.
func forge(s *server, q *asker) error {
	var got []int64
	for _, a := range forged {
		n, err := q.Ask(q, a, make([]byte, min(a.Bytes, handles.MaxBytes)))
		if err != nil {
			return err
		}
		got = append(got, n)
	}
	a := answer{gas: 1, pages: 1, err: holo.Refuse(holo.KernelTrapped, sandbox.KernelError, "%v", got)}
	return s.send(frame{frameAnswer, q.sequence, a.encode()})
}

// forged are questions of a task with handle 0 to read and handle 1 to write 4
// elements of 64 bits, and a budget of 31 bytes.
var forged = []handles.Ask{
	{Op: handles.ReadOp, Handle: 2, Bytes: 8}, {Op: handles.ReadOp, Handle: 1<<32 - 1, Bytes: 8}, {Op: handles.Length, Handle: 7},
	{Op: handles.WriteOp, Handle: 0, Bytes: 8}, {Op: handles.ReadOp, Handle: 1, Bytes: 8},
	{Op: handles.ReadOp, Offset: 4, Bytes: 8}, {Op: handles.WriteOp, Handle: 1, Offset: 1<<64 - 1, Bytes: 8}, {Op: handles.ReadOp, Offset: 1, Bytes: 32},
	{Op: handles.ReadOp, Bytes: 32}, {Op: handles.WriteOp, Handle: 1, Bytes: 32},
	{Op: handles.WriteOp, Handle: 1, Bytes: 1<<32 - 8}, {Op: handles.ReadOp, Bytes: 4},
	{Op: handles.WriteOp, Handle: 1, Bytes: 8}, {Op: handles.ReadOp, Offset: 3, Bytes: 8},
}

// beside are the attacks on the pipe itself.
func beside(s *server, f frame, what string) {
	ok := answer{gas: 1, pages: 1}
	switch what {
	case "garbage":
		os.Stdout.Write(bytes.Repeat([]byte("garbage!"), 4096))
	case "overlong":
		s.send(frame{frameAnswer, f.sequence, make([]byte, maxAnswer+1)})
	case "endless":
		for {
			os.Stdout.Write(make([]byte, 1<<16))
		}
	case "trailing":
		s.send(frame{frameAnswer, f.sequence, append(ok.encode(), 0)})
	case "replayed":
		s.send(frame{frameAnswer, f.sequence - 1, ok.encode()})
	case "half":
		os.Stdout.Write(frame{frameAnswer, f.sequence, ok.encode()}.encode()[:12])
		os.Stdout.Close()
		time.Sleep(time.Hour)
	case "silent":
		time.Sleep(time.Hour)
	case "chatter":
		for {
			os.Stderr.Write(bytes.Repeat([]byte("x"), 4096))
		}
	case "said": // as much as an answer may hold, with escape sequences, and far more counted
		ok.said = wire.Said{Lines: slices.Repeat([]string{"\x1b[2J" + strings.Repeat("x", 1000), "\xff", ""}, 16), Lost: 1 << 31}
		s.send(frame{frameAnswer, f.sequence, ok.encode()})
	case "asks-flood":
		q := frame{frameAsk, f.sequence, encodeAsk(handles.Ask{Op: handles.Length})}.encode()
		for {
			os.Stdout.Write(q)
			io.ReadFull(os.Stdin, make([]byte, headBytes+8))
		}
	case "asks-one":
		s.send(frame{frameAsk, f.sequence, encodeAsk(handles.Ask{Op: handles.Length})})
	case "asks-replayed":
		s.send(frame{frameAsk, f.sequence - 1, encodeAsk(handles.Ask{Op: handles.Length})})
	case "asks-trailing":
		s.send(frame{frameAsk, f.sequence, append(encodeAsk(handles.Ask{Op: handles.Length}), 0)})
	case "asks-short":
		s.send(frame{frameAsk, f.sequence, nil})
	case "asks-unknown":
		s.send(frame{frameAsk, f.sequence, encodeAsk(handles.Ask{Op: handles.WriteOp + 1})})
	case "gas":
		s.send(frame{frameAnswer, f.sequence, answer{gas: 1 << 62, pages: 1}.encode()})
	case "outside":
		s.send(frame{frameAnswer, f.sequence, answer{gas: 1, pages: 1, arena: linearBytes - 1<<16}.encode()})
	case "cause":
		s.send(frame{frameAnswer, f.sequence, answer{gas: 1, err: holo.Refuse(holo.DataLost, "lost", "all data is lost")}.encode()})
	case "text":
		body := answer{gas: 1, err: holo.Refuse(holo.KernelTrapped, sandbox.Trap, "%s", "12345678")}.encode()
		s.send(frame{frameAnswer, f.sequence, bytes.Replace(body, []byte("12345678"), []byte("\x1b[2J\x1b[H!"), 1)})
	case "truncate":
		if err := unix.Ftruncate(3, 0); err == nil {
			return
		}
		s.send(frame{frameAnswer, f.sequence, ok.encode()})
	case "segv":
		unix.Kill(os.Getpid(), unix.SIGCHLD) // not allowed: the process ends here
	case "crash":
		var p *int
		*p = 1
	case "exit":
		os.Exit(0)
	case "threads":
		for range 500 {
			go unix.Syscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&unix.Timespec{Sec: 60})), 0, 0) // a thread each
		}
		time.Sleep(time.Hour)
	}
}

// attack tries what a worker must not be able to do, and says what it could.
func attack(what, argument string) (string, error) {
	pid, _ := strconv.Atoi(argument)
	switch what {
	case "open":
		b, err := os.ReadFile(argument)
		return fmt.Sprintf("read %d bytes", len(b)), err
	case "create":
		return "made a file", os.WriteFile(argument, []byte("x"), 0o600)
	case "connect":
		c, err := net.Dial("tcp", argument)
		if err == nil {
			c.Close()
		}
		return "connected", err
	case "datagram":
		c, err := net.Dial("udp", argument)
		if err == nil {
			_, err = c.Write([]byte("x"))
		}
		return "sent a datagram", err
	case "socket":
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		return fmt.Sprint("socket ", fd), err
	case "execve":
		p, err := os.StartProcess(argument, []string{argument}, &os.ProcAttr{})
		if err == nil {
			p.Wait()
		}
		return "ran " + argument, err
	case "fork":
		r, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		if r == 0 && errno == 0 {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
		return "forked", errnoOr(errno)
	case "ptrace":
		err := syscall.PtraceAttach(pid)
		if err == nil {
			syscall.Wait4(pid, nil, syscall.WALL, nil)
			err = syscall.PtraceDetach(pid)
		}
		return "attached", err
	case "kill":
		return "signalled", unix.Kill(pid, 0)
	case "memory":
		f, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
		if err == nil {
			f.Close()
		}
		return "opened its memory", err
	case "vmread":
		b := make([]byte, 8)
		_, err := unix.ProcessVMReadv(pid, []unix.Iovec{{Base: &b[0], Len: 8}}, []unix.RemoteIovec{{Base: 0x400000, Len: 8}}, 0)
		if errors.Is(err, unix.EFAULT) {
			err = nil // it was let in, and nothing is there
		}
		return "read its memory", err
	case "mount":
		return "unshared", unix.Unshare(unix.CLONE_NEWNS)
	case "memfd":
		_, err := unix.MemfdCreate("x", 0)
		return "made a file in memory", err
	case "io_uring":
		var params [120]byte
		_, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 8, uintptr(unsafe.Pointer(&params[0])), 0)
		return "io_uring", errnoOr(errno)
	case "writable_code":
		_, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
		return "mapped memory to write and execute", err
	case "shared_memory":
		_, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON)
		return "mapped memory that no limit counts", err
	case "hoard":
		gib, _ := strconv.Atoi(argument)
		return "allocated", hoard(gib)
	case "inherited":
		return inherited(), nil
	}
	return "", fmt.Errorf("no attack %q", what)
}

func errnoOr(errno syscall.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}

// hoard takes that many GiB, and has a look at each of their pages.
func hoard(gib int) error {
	for range gib << 4 {
		b, err := unix.Mmap(-1, 0, 1<<26, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
		if err != nil {
			return err
		}
		_ = b
	}
	return nil
}

// inherited lists the descriptors, the variables and the folder that it has.
func inherited() string {
	var open []string
	for fd := range 1024 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			open = append(open, strconv.Itoa(fd))
		}
	}
	return fmt.Sprintf("descriptors %s, %d variables", strings.Join(open, " "), len(os.Environ()))
}
