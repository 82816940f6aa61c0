package workers

import (
	"os"

	"golang.org/x/sys/unix"
)

// regionFile makes memory without a name.
func regionFile() (*os.File, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("holo", flags|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL { // before Linux 6.3
		fd, err = unix.MemfdCreate("holo", flags)
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "region")
	if err := f.Truncate(regionBytes); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// sealRegion fixes its size: a worker that cut it off would have the node fault.
func sealRegion(f *os.File) error {
	_, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	return err
}
