/* A kernel to begin with: out = a * factor, and the sum of a column of f64. */
#include "holo.h"

/* map scale: an input and an output of f64. Parameters: the factor. */
HOLO_KERNEL(map, scale) {
	if (d->n_in != 1 || d->n_out != 1 || HOLO_IN(d, 0)->type != HOLO_F64 || HOLO_OUT(d, 0)->type != HOLO_F64)
		return HOLO_BAD_VIEWS;
	if (d->params_len != sizeof(f64))
		return HOLO_BAD_PARAMS;
	f64 factor = *(const f64 *)d->params;
	const f64 *a = HOLO_IN(d, 0)->ptr;
	f64 *out = HOLO_OUT(d, 0)->ptr;
	for (u32 i = 0; i < d->n; i++)
		out[i] = a[i] * factor;
	return HOLO_OK;
}

/* The accumulator of sum. All zeros is an empty one. */
struct sum {
	u64 count;
	f64 total;
};

HOLO_KERNEL(red, sum) {
	if (d->n_in != 1 || HOLO_IN(d, 0)->type != HOLO_F64)
		return HOLO_BAD_VIEWS;
	if (d->acc_len != sizeof(struct sum))
		return HOLO_BAD_ACC;
	struct sum *acc = d->acc;
	const f64 *a = HOLO_IN(d, 0)->ptr;
	for (u32 i = 0; i < d->n; i++)
		acc->total += a[i];
	acc->count += d->n;
	return HOLO_OK;
}

/* comb sum: adds the other accumulator, the only input. */
HOLO_KERNEL(comb, sum) {
	if (d->acc_len != sizeof(struct sum))
		return HOLO_BAD_ACC;
	struct sum *acc = d->acc;
	const struct sum *other = HOLO_IN(d, 0)->ptr;
	acc->count += other->count;
	acc->total += other->total;
	return HOLO_OK;
}
