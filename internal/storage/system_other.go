//go:build !unix

package storage

import (
	"errors"
	"io/fs"
	"os"
)

// own is not known on this system, and no folder is taken without.
func own(fs.FileInfo) bool { return false }

func lock(*os.File) error { return errors.ErrUnsupported }

func noSpace(error) bool { return false }
