package confine

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// call is a system call as a filter sees it.
type call struct {
	arch, number uint32
	arguments    [6]uint64
}

// run gives what a filter answers to a call.
func run(t *testing.T, vm *bpf.VM, c call) uint32 {
	t.Helper()
	b := make([]byte, 64) // the machine reads big endian words; a filter reads the system's own
	binary.BigEndian.PutUint32(b[offCall:], c.number)
	binary.BigEndian.PutUint32(b[offArch:], c.arch)
	for i, v := range c.arguments {
		binary.BigEndian.PutUint32(b[offArgs+8*i:], uint32(v))
		binary.BigEndian.PutUint32(b[offArgs+8*i+4:], uint32(v>>32))
	}
	got, err := vm.Run(b)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(got)
}

// model is what rules mean, the dumbest way.
func model(rules []rule, c call) uint32 {
	if c.arch != unix.AUDIT_ARCH_X86_64 || c.number >= x32 {
		return retKill
	}
	for _, r := range rules {
		if r.call != c.number {
			continue
		}
		if r.errno != 0 {
			return retErrno | r.errno
		}
		for _, clause := range r.clauses {
			holds := true
			for _, k := range clause {
				holds = holds && uint32(c.arguments[k.argument])&k.mask == k.value
			}
			if holds {
				return retAllow
			}
		}
		if len(r.clauses) == 0 {
			return retAllow
		}
		return retKill
	}
	return retKill
}

func machine(t *testing.T, rules []rule) *bpf.VM {
	t.Helper()
	program, err := assemble(unix.AUDIT_ARCH_X86_64, rules)
	if err != nil {
		t.Fatal(err)
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

// Random rules and random calls, whose arguments are drawn from the numbers of
// calls: an argument that is left in the accumulator and taken for a number
// shows here (a library that is in use does that).
func TestFiltersMeanWhatTheirRulesSay(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var rules []rule
		for n := range uint32(r.IntN(60)) {
			next := rule{call: n + uint32(r.IntN(2))}
			if len(rules) > 0 && rules[len(rules)-1].call == next.call {
				continue
			}
			for range r.IntN(3) {
				var c clause
				for range 1 + r.IntN(3) {
					mask := uint32(r.IntN(256))
					c = append(c, condition{uint32(r.IntN(6)), mask, uint32(r.IntN(256)) & mask})
				}
				next.clauses = append(next.clauses, c)
			}
			if r.IntN(10) == 0 {
				next.errno = uint32(unix.ENOSYS)
			}
			rules = append(rules, next)
		}
		vm := machine(t, rules)
		for range 300 {
			c := call{unix.AUDIT_ARCH_X86_64, uint32(r.IntN(64)), [6]uint64{}}
			switch r.IntN(20) {
			case 0:
				c.arch = unix.AUDIT_ARCH_I386
			case 1:
				c.number |= x32
			}
			for i := range c.arguments {
				c.arguments[i] = uint64(r.IntN(256)) | uint64(r.IntN(2))<<32
			}
			if got, want := run(t, vm, c), model(rules, c); got != want {
				t.Fatalf("rules %+v, call %+v: %#x, want %#x", rules, c, got, want)
			}
		}
	}
}

// What the list lets pass, one call after the other, by its edges.
func TestTheListLetsPassWhatItSays(t *testing.T) {
	self := os.Getpid()
	vm := machine(t, allowed(self))
	const thread = unix.CLONE_THREAD | unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM
	for _, c := range []struct {
		name      string
		number    uint32
		arguments [6]uint64
		want      uint32
	}{
		{"read", unix.SYS_READ, [6]uint64{}, retAllow},
		{"write", unix.SYS_WRITE, [6]uint64{1}, retAllow},
		{"a thread", unix.SYS_CLONE, [6]uint64{thread}, retAllow},
		{"a process", unix.SYS_CLONE, [6]uint64{uint64(unix.SIGCHLD)}, retKill},
		{"a vfork", unix.SYS_CLONE, [6]uint64{unix.CLONE_VM | unix.CLONE_VFORK}, retKill},
		{"a thread with users of its own", unix.SYS_CLONE, [6]uint64{thread | unix.CLONE_NEWUSER}, retKill},
		{"clone3", unix.SYS_CLONE3, [6]uint64{}, retErrno | uint32(unix.ENOSYS)},
		{"a signal to itself", unix.SYS_TGKILL, [6]uint64{uint64(self)}, retAllow},
		{"a signal to its parent", unix.SYS_TGKILL, [6]uint64{uint64(os.Getppid())}, retKill},
		{"kill", unix.SYS_KILL, [6]uint64{uint64(self)}, retKill},
		{"memory", unix.SYS_MMAP, [6]uint64{0, 4096, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | unix.MAP_ANON}, retAllow},
		{"memory to execute", unix.SYS_MMAP, [6]uint64{0, 4096, unix.PROT_READ | unix.PROT_EXEC, unix.MAP_PRIVATE | unix.MAP_ANON}, retKill},
		{"shared memory", unix.SYS_MMAP, [6]uint64{0, 4096, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_ANON}, retKill},
		{"code that is written no more", unix.SYS_MPROTECT, [6]uint64{0, 4096, unix.PROT_READ | unix.PROT_EXEC}, retAllow},
		{"code that is written", unix.SYS_MPROTECT, [6]uint64{0, 4096, unix.PROT_READ | unix.PROT_WRITE | unix.PROT_EXEC}, retKill},
		{"a mapping's name", unix.SYS_PRCTL, [6]uint64{unix.PR_SET_VMA}, retAllow},
		{"being dumpable again", unix.SYS_PRCTL, [6]uint64{unix.PR_SET_DUMPABLE, 1}, retKill},
		{"a descriptor's flags", unix.SYS_FCNTL, [6]uint64{0, unix.F_GETFL}, retAllow},
		{"another descriptor", unix.SYS_FCNTL, [6]uint64{0, unix.F_DUPFD}, retKill},
		{"openat", unix.SYS_OPENAT, [6]uint64{}, retKill}, {"socket", unix.SYS_SOCKET, [6]uint64{}, retKill},
		{"connect", unix.SYS_CONNECT, [6]uint64{}, retKill}, {"sendmsg", unix.SYS_SENDMSG, [6]uint64{}, retKill},
		{"execve", unix.SYS_EXECVE, [6]uint64{}, retKill}, {"execveat", unix.SYS_EXECVEAT, [6]uint64{}, retKill},
		{"ptrace", unix.SYS_PTRACE, [6]uint64{}, retKill}, {"process_vm_readv", unix.SYS_PROCESS_VM_READV, [6]uint64{}, retKill},
		{"prlimit", unix.SYS_PRLIMIT64, [6]uint64{}, retKill}, {"seccomp", unix.SYS_SECCOMP, [6]uint64{}, retKill},
		{"io_uring", unix.SYS_IO_URING_SETUP, [6]uint64{}, retKill}, {"bpf", unix.SYS_BPF, [6]uint64{}, retKill},
		{"unshare", unix.SYS_UNSHARE, [6]uint64{}, retKill}, {"memfd", unix.SYS_MEMFD_CREATE, [6]uint64{}, retKill},
	} {
		if got := run(t, vm, call{unix.AUDIT_ARCH_X86_64, c.number, c.arguments}); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, got, c.want)
		}
	}
	if n := len(allowed(self)); n != 36 {
		t.Errorf("%d calls are on the list: say why the new one, and what it cannot do, in calls_linux.go and here", n)
	}
}

// All architectures that have a list read a call's parts where it says.
func TestListedArchitecturesAreLittleEndian(t *testing.T) {
	for name, id := range architectures {
		const littleEndian = 0x40000000
		if id&littleEndian == 0 {
			t.Errorf("%s is not", name)
		}
	}
}
