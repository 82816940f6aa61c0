/* Grows a table, which the engine does not count as memory. */
#include "../../holo.h"

static __externref_t table[0];

HOLO_KERNEL(red, attack) {
	for (;;)
		*(volatile i64 *)d->acc += __builtin_wasm_table_grow(table, __builtin_wasm_ref_null_extern(), 1000000);
}

/* A reduce has to say how it combines: this one never comes to it. */
HOLO_KERNEL(comb, attack) { return d->n_in != 1; }
