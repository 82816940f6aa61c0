//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "capacity: it reads what processes have in memory from /proc")
	os.Exit(1)
}
