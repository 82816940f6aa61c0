package confine

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// rule lets one system call pass. Without clauses it always passes; with them,
// if all conditions of one clause hold. What no rule lets pass ends the process.
type rule struct {
	call    uint32
	clauses []clause
	errno   uint32 // not 0: the call is answered with this error instead
}

type clause []condition

// condition holds when the argument's low 32 bits, masked, are a value. All
// arguments that rules look at are ints.
type condition struct {
	argument    uint32
	mask, value uint32
}

// What a filter answers, and where it finds a call's parts.
const (
	retAllow = uint32(unix.SECCOMP_RET_ALLOW)
	retKill  = uint32(unix.SECCOMP_RET_KILL_PROCESS)
	retErrno = uint32(unix.SECCOMP_RET_ERRNO)

	offCall = 0
	offArch = 4
	offArgs = 16 // 8 bytes each, the low word first: all three architectures are little endian

	x32 = 0x40000000 // marks calls of the x32 ABI of amd64
)

var architectures = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64, "riscv64": unix.AUDIT_ARCH_RISCV64}

// assemble makes the program of a filter. Each rule is a block that ends in an
// answer, so the accumulator holds the call's number wherever a rule begins: a
// value that a condition loaded is never taken for a number.
func assemble(arch uint32, rules []rule) ([]bpf.Instruction, error) {
	kill := bpf.RetConstant{Val: retKill}
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arch, SkipTrue: 1},
		kill,
		bpf.LoadAbsolute{Off: offCall, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: x32, SkipTrue: 1},
		kill,
	}
	for _, r := range rules {
		block := r.block(kill)
		if len(block) > 255 {
			return nil, fmt.Errorf("the rule of system call %d is too long", r.call)
		}
		program = append(program, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: r.call, SkipTrue: uint8(len(block))})
		program = append(program, block...)
	}
	return append(program, kill), nil
}

func (r rule) block(otherwise bpf.Instruction) []bpf.Instruction {
	if r.errno != 0 {
		return []bpf.Instruction{bpf.RetConstant{Val: retErrno | r.errno}}
	}
	if len(r.clauses) == 0 {
		return []bpf.Instruction{bpf.RetConstant{Val: retAllow}}
	}
	var block []bpf.Instruction
	for _, c := range r.clauses {
		block = append(block, c.block()...)
	}
	return append(block, otherwise)
}

// block answers when all conditions hold, and else goes on behind itself. A
// condition is three instructions, and the answer is the last one.
func (c clause) block() []bpf.Instruction {
	var block []bpf.Instruction
	for i, k := range c {
		left := 3 * (len(c) - i - 1)
		block = append(block,
			bpf.LoadAbsolute{Off: offArgs + 8*k.argument, Size: 4},
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: k.mask},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: k.value, SkipTrue: uint8(left + 1)},
		)
	}
	return append(block, bpf.RetConstant{Val: retAllow})
}

// filter puts the list in force for all threads of this process, now and later.
func filter() error {
	arch, ok := architectures[runtime.GOARCH]
	if !ok {
		return fmt.Errorf("no list of system calls for %s", runtime.GOARCH)
	}
	program, err := assemble(arch, allowed(unix.Getpid()))
	if err != nil {
		return err
	}
	raw, err := bpf.Assemble(program)
	if err != nil {
		return err
	}
	code := make([]unix.SockFilter, len(raw))
	for i, x := range raw {
		code[i] = unix.SockFilter{Code: x.Op, Jt: x.Jt, Jf: x.Jf, K: x.K}
	}
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	switch {
	case errno != 0:
		return errno
	case thread != 0:
		return fmt.Errorf("thread %d has another filter", thread)
	}
	return nil
}
