//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "capture: raw sockets are read on Linux only")
	os.Exit(1)
}
