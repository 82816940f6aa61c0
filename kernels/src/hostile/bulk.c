/* Fills and copies 4 MiB again and again: each is one instruction. */
#include "../../holo.h"

HOLO_KERNEL(red, attack) {
	u32 size = 4 << 20;
	u8 *p = holo_alloc(2 * size, 64);
	if (!p)
		return HOLO_BAD_ACC;
	for (u8 x = 0;; x++) {
		__builtin_memset(p, x, size);
		*(volatile u8 *)(p + x) = 1; /* so that the copy is not another fill */
		__builtin_memcpy(p + size, p, size);
		*(volatile u8 *)d->acc += ((volatile u8 *)p)[size + x];
	}
}

/* A reduce has to say how it combines: this one never comes to it. */
HOLO_KERNEL(comb, attack) { return d->n_in != 1; }
