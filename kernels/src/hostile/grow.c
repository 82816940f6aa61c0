/* Asks for all memory that there can be, again and again. */
#include "../../holo.h"

HOLO_KERNEL(red, attack) {
	for (;;)
		*(volatile i64 *)d->acc += (i64)__builtin_wasm_memory_grow(0, 65535);
}

/* A reduce has to say how it combines: this one never comes to it. */
HOLO_KERNEL(comb, attack) { return d->n_in != 1; }
