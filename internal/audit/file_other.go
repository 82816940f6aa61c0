//go:build !linux

package audit

import "errors"

// reserve is not there: a full disk is found when a write fails.
func (f plainFile) reserve(int64) error { return errors.ErrUnsupported }
