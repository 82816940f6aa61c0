/* Calls itself without end, to use up the engine's stack. */
#include "../../holo.h"

static volatile u64 sink;

__attribute__((noinline)) static u64 down(u64 n) {
	sink = n;
	return down(n + 1) + sink;
}

HOLO_KERNEL(red, attack) { return (i32)down(d->n); }

/* A reduce has to say how it combines: this one never comes to it. */
HOLO_KERNEL(comb, attack) { return d->n_in != 1; }
