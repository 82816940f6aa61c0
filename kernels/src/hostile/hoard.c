/* Takes memory page by page until it is refused, and fails then. */
#include "../../holo.h"

HOLO_KERNEL(red, attack) {
	while (__builtin_wasm_memory_grow(0, 1) != -1u)
		++*(volatile u64 *)d->acc;
	return HOLO_BAD_DATA;
}

/* A reduce has to say how it combines: this one never comes to it. */
HOLO_KERNEL(comb, attack) { return d->n_in != 1; }
