//go:build unix && !linux

package workers

import "os"

// regionFile makes a temporary file and removes its name.
func regionFile() (*os.File, error) {
	f, err := os.CreateTemp("", "holo-region-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	if err := f.Truncate(regionBytes); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// sealRegion cannot fix the size here: see guarded.
func sealRegion(*os.File) error { return nil }
