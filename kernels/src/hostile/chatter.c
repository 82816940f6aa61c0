/* Logs without end: escape sequences, as much as a call can hand over. */
#include "../../holo.h"

HOLO_KERNEL(red, attack) {
	char *text = d->scratch;
	for (u32 i = 0; i < d->scratch_len; i++)
		text[i] = "\033[2J\n"[i % 5];
	for (u32 size = 1;; size = size * 2 % d->scratch_len + 1)
		holo_log(text, size);
}

HOLO_KERNEL(comb, attack) { return d->n_in != 1; }
