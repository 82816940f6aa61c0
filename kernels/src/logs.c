/* A kernel that logs. */
#include "../holo.h"

/* map say: an input and an output of u8. Copies, and logs the parameters. */
HOLO_KERNEL(map, say) {
	if (d->n_in != 1 || d->n_out != 1 || HOLO_IN(d, 0)->type != HOLO_U8 || HOLO_OUT(d, 0)->type != HOLO_U8)
		return HOLO_BAD_VIEWS;
	holo_log(d->params, d->params_len);
	const u8 *in = HOLO_IN(d, 0)->ptr;
	u8 *out = HOLO_OUT(d, 0)->ptr;
	for (u32 i = 0; i < d->n; i++)
		out[i] = in[i];
	return HOLO_OK;
}

/* map fail: logs the parameters and fails. */
HOLO_KERNEL(map, fail) {
	holo_log(d->params, d->params_len);
	return HOLO_BAD_DATA;
}

/* map wild: logs what lies at an address. Parameters: address and bytes, u32. */
HOLO_KERNEL(map, wild) {
	if (d->params_len != 8)
		return HOLO_BAD_PARAMS;
	const u32 *at = d->params;
	holo_log((const void *)at[0], at[1]);
	return HOLO_OK;
}

/* red say: any input; counts its elements in a u64, and logs at each call and
 * each combination. */
HOLO_KERNEL(red, say) {
	if (d->acc_len != 8)
		return HOLO_BAD_ACC;
	HOLO_LOG("reduced");
	*(u64 *)d->acc += d->n;
	return HOLO_OK;
}

HOLO_KERNEL(comb, say) {
	HOLO_LOG("combined");
	*(u64 *)d->acc += *(const u64 *)HOLO_IN(d, 0)->ptr;
	return HOLO_OK;
}
