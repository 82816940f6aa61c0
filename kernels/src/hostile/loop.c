/* Never ends. */
#include "../../holo.h"

HOLO_KERNEL(red, attack) {
	volatile u64 *x = d->acc;
	for (;;)
		++*x;
}

/* A reduce has to say how it combines: this one never comes to it. */
HOLO_KERNEL(comb, attack) { return d->n_in != 1; }
