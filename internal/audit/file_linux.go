package audit

import (
	"errors"

	"golang.org/x/sys/unix"
)

// reserve has the file system set blocks aside behind the end of the file.
func (f plainFile) reserve(end int64) error {
	size, err := f.Size()
	if err != nil || end <= size {
		return err
	}
	err = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, size, end-size)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return errors.ErrUnsupported
	}
	return err
}
