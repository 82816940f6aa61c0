/* The bits of what float arithmetic makes, as integers: the kernel that shows
 * whether a NaN is the same on every processor. */
#include "../holo.h"

HOLO_STRICT_NAN

#define EACH(T, U, E) { const T *a = HOLO_IN(d, 0)->ptr, *b = HOLO_IN(d, 1)->ptr; U *out = HOLO_OUT(d, 0)->ptr; \
	for (u32 i = 0; i < d->n; i++) { union { T real; U bits; } x = {E}; out[i] = x.bits; } (void)b; return HOLO_OK; }

#define OPERATIONS(T, U, S) { switch (*(const u32 *)d->params) { \
	case 0: EACH(T, U, a[i] + b[i]) \
	case 1: EACH(T, U, a[i] - b[i]) \
	case 2: EACH(T, U, a[i] * b[i]) \
	case 3: EACH(T, U, a[i] / b[i]) \
	case 4: EACH(T, U, __builtin_sqrt##S(a[i])) \
	case 5: EACH(T, U, __builtin_wasm_min_##T(a[i], b[i])) \
	case 6: EACH(T, U, __builtin_wasm_max_##T(a[i], b[i])) \
	case 7: EACH(T, U, __builtin_ceil##S(a[i])) \
	case 8: EACH(T, U, __builtin_floor##S(a[i])) \
	case 9: EACH(T, U, __builtin_trunc##S(a[i])) \
	case 10: EACH(T, U, __builtin_rint##S(a[i])) } \
	return HOLO_BAD_PARAMS; }

/* map bits: two inputs of f32 or f64, an output of u32 or u64. Parameters: the
 * number of the operation, u32. Operation 11 of f64 goes by f32 and back. */
HOLO_KERNEL(map, bits) {
	if (d->n_in != 2 || d->n_out != 1 || HOLO_IN(d, 1)->type != HOLO_IN(d, 0)->type)
		return HOLO_BAD_VIEWS;
	if (d->params_len != 4)
		return HOLO_BAD_PARAMS;
	if (HOLO_IN(d, 0)->type == HOLO_F32 && HOLO_OUT(d, 0)->type == HOLO_U32)
		OPERATIONS(f32, u32, f)
	if (HOLO_IN(d, 0)->type != HOLO_F64 || HOLO_OUT(d, 0)->type != HOLO_U64)
		return HOLO_BAD_VIEWS;
	if (*(const u32 *)d->params == 11)
		EACH(f64, u64, (f64)(f32)a[i])
	OPERATIONS(f64, u64, )
}
