package main

import (
	"runtime/debug"

	"github.com/holocompute/holocompute/internal/node"
)

// processOwn is what a node's process takes besides pages: the program's own data,
// connections, the messages that are being read and written.
const processOwn = 8 << 20

// limitMemory has the runtime collect so often that the process keeps to its page
// memory and a tenth, rather than to twice what is in use. Pages hold no pointers,
// so a collection costs little however many there are.
func limitMemory(pages uint64) {
	if pages == 0 {
		pages = node.DefaultMemory
	}
	debug.SetMemoryLimit(int64(pages) + int64(pages/10) + processOwn)
}
