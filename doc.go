// Package holocompute is the SDK of HoloCompute: several unlike machines as one
// computer that its owner can trust.
//
//	your program ── unix socket ── the node on this machine ══ the other nodes
//	            └── or a link ──── a node on another machine
//	                                 ║ Noise over QUIC ║
//	 array "delay"  [page][page][page][page][page][page] ...   64 KiB each
//	                  n1    n3    n2    n1    n3    n2         memory of all
//	 kernel "flights" runs where each page lies; only results move
//
// Connect reaches the node on this machine, or nodes on others, by their address
// or as Enrol left it: every byte is sealed, the cluster is the one that was
// pinned, and another node takes over when the one at hand dies. Create makes an
// Array of numbers whose pages lie in the memory of all nodes, each on as many as
// it has copies; a Grid sees it in up to three dimensions. Stats, Top, Dot and their like ask about whole arrays, and Apply
// does arithmetic on them, with kernels that every node has. PushKernel hands over
// a WebAssembly module of your own; Map and Reduce run its functions on the nodes
// that hold the pages, and a Job reports what was done where.
//
// Values move as slices, never one at a time. Every call takes a context, and
// cancelling it is the way to stop a call. A call that the cluster refuses
// while it re-arranges itself (a node has died, a new primary takes over) is
// tried again for up to RetryFor, with growing pauses; everything else fails at
// once with an *Error that has a Kind.
package holocompute
