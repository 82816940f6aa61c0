package confine

import (
	"debug/elf"
	"io"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// landlockRights are the rights that each version of Landlock can take away.
// A version adds to those before it.
var landlockRights = []struct {
	version    int
	files, net uint64
	scoped     uint64
}{
	{1, unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1, 0, 0},
	{2, unix.LANDLOCK_ACCESS_FS_REFER, 0, 0},
	{3, unix.LANDLOCK_ACCESS_FS_TRUNCATE, 0, 0},
	{4, 0, unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP, 0},
	{5, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV, 0, 0},
	{6, 0, 0, unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL},
}

// landlock takes all files from the calling thread and from what it starts, but
// this very program, to execute it. A program that is linked dynamically needs
// its loader and libraries too.
func landlock() error {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return errno
	}
	var attr unix.LandlockRulesetAttr
	for _, r := range landlockRights {
		if r.version <= int(version) {
			attr.Handled_access_fs |= r.files
			attr.Handled_access_net |= r.net
			attr.Scoped |= r.scoped
		}
	}
	rules, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return errno
	}
	defer unix.Close(int(rules))
	if err := allowProgram(int(rules)); err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, rules, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// program is the running executable, also when its file was replaced or removed.
const program = "/proc/self/exe"

// libraries are where loaders look.
var libraries = []string{"/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"}

func allowProgram(rules int) error {
	places := []string{program}
	if loader := interpreter(); loader != "" {
		places = append(append(places, filepath.Dir(loader)), libraries...)
	}
	for i, place := range places {
		if err := allow(rules, place); err != nil && (i == 0 || err != unix.ENOENT) {
			return err
		}
	}
	return nil
}

func allow(rules int, path string) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	const rights = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE // executing is reading too
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(rules), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// interpreter is the loader that the program needs; "" for one that is linked
// statically, as releases are. One that cannot be read is taken for static: a
// wrong answer stops the child from starting at all.
func interpreter() string {
	f, err := elf.Open(program)
	if err != nil {
		return ""
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			b, _ := io.ReadAll(io.LimitReader(p.Open(), unix.PathMax))
			return unix.ByteSliceToString(b)
		}
	}
	return ""
}
