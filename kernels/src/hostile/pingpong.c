/* Two functions that call each other through the table, 500 deep, and then
 * again from the start, for ever. */
#include "../../holo.h"

typedef u64 (*side)(u64);
static u64 ping(u64 n), pong(u64 n);
static volatile side sides[2] = {ping, pong};

static u64 ping(u64 n) { return n ? sides[1](n - 1) + 1 : 0; }
static u64 pong(u64 n) { return n ? sides[0](n - 1) + 1 : 0; }

HOLO_KERNEL(red, attack) {
	for (;;)
		*(volatile u64 *)d->acc += sides[0](500);
}

/* A reduce has to say how it combines: this one never comes to it. */
HOLO_KERNEL(comb, attack) { return d->n_in != 1; }
