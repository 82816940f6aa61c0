package main

import (
	"runtime/debug"

	"github.com/holocompute/holocompute/internal/node"
)

// processOwn is what a node's process takes besides pages: the program's own data,
// connections, the messages that are being read and written.
const processOwn = 8 << 20

// leastProcess is what a process is given however few pages it keeps: below it,
// entries for followers and messages under way alone, some 50 MiB, had the runtime
// collect all the time, which took half of the processors.
const leastProcess = 80 << 20

// limitMemory has the runtime collect so often that the process keeps to its page
// memory and a tenth, rather than to twice what is in use. Pages hold no pointers,
// so a collection costs little however many there are.
func limitMemory(pages uint64) {
	if pages == 0 {
		pages = node.DefaultMemory
	}
	debug.SetMemoryLimit(max(int64(pages)+int64(pages/10)+processOwn, leastProcess))
}
