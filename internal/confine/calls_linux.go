package confine

import "golang.org/x/sys/unix"

// allowed are the system calls that a Go program needs which computes, and which
// reads and writes descriptors that it has: the Go runtime's own, with and
// without the C library, and making memory executable that is no longer
// writable, for machine code. process is its process ID.
//
// What is not here: opening or making files, sockets, processes, programs;
// looking at or signalling other processes; shared memory; and whatever else
// kernels have. Adding a call needs its reason here, and TestTheListIsThis.
func allowed(process int) []rule {
	only := func(argument uint32, value uint32) clause { return clause{{argument, ^uint32(0), value}} }
	list := []rule{
		// Its pipes.
		{call: unix.SYS_READ}, {call: unix.SYS_WRITE}, {call: unix.SYS_CLOSE},
		// Threads: of this process only, and clone3 hides its flags in memory.
		{call: unix.SYS_CLONE, clauses: []clause{{{0, unix.CLONE_THREAD | unix.CLONE_VM | newNamespaces, unix.CLONE_THREAD | unix.CLONE_VM}}}},
		{call: unix.SYS_CLONE3, errno: uint32(unix.ENOSYS)},
		{call: unix.SYS_EXIT}, {call: unix.SYS_EXIT_GROUP}, {call: unix.SYS_FUTEX}, {call: unix.SYS_GETTID}, {call: unix.SYS_GETPID},
		{call: unix.SYS_SET_ROBUST_LIST}, {call: unix.SYS_RSEQ}, {call: unix.SYS_SCHED_YIELD}, {call: unix.SYS_SCHED_GETAFFINITY},
		{call: unix.SYS_RESTART_SYSCALL},
		// Signals: the runtime pre-empts its own threads by one.
		{call: unix.SYS_RT_SIGACTION}, {call: unix.SYS_RT_SIGPROCMASK}, {call: unix.SYS_RT_SIGRETURN}, {call: unix.SYS_SIGALTSTACK},
		{call: unix.SYS_TGKILL, clauses: []clause{only(0, uint32(process))}},
		// Memory: private, and never writable and executable at once.
		{call: unix.SYS_MMAP, clauses: []clause{{{2, unix.PROT_EXEC, 0}, {3, unix.MAP_SHARED, 0}}}},
		{call: unix.SYS_MPROTECT, clauses: []clause{
			{{2, unix.PROT_EXEC, 0}}, {{2, unix.PROT_EXEC | unix.PROT_WRITE, unix.PROT_EXEC}},
		}},
		{call: unix.SYS_MUNMAP}, {call: unix.SYS_MADVISE}, {call: unix.SYS_BRK},
		{call: unix.SYS_PRCTL, clauses: []clause{only(0, unix.PR_SET_VMA)}}, // names of mappings
		// Time, and waiting for descriptors.
		{call: unix.SYS_NANOSLEEP}, {call: unix.SYS_CLOCK_NANOSLEEP}, {call: unix.SYS_CLOCK_GETTIME}, {call: unix.SYS_GETRANDOM},
		{call: unix.SYS_EPOLL_CREATE1}, {call: unix.SYS_EPOLL_CTL}, {call: unix.SYS_EPOLL_PWAIT}, {call: unix.SYS_EVENTFD2}, {call: unix.SYS_PPOLL},
		{call: unix.SYS_FCNTL, clauses: []clause{only(1, unix.F_GETFL), only(1, unix.F_GETFD)}},
	}
	return list
}

const newNamespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP
