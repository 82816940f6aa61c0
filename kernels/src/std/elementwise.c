/* Arithmetic and comparisons, element by element. An operand is an array or a
 * constant. Integers wrap around. There is no fused multiply-add: muladd rounds
 * the product and then the sum, the same on every machine. */
#include "../../holo.h"

/* Parameters: none when every operand is an array; else which of them are
 * constants (bit i for operand i), and a value for each operand, of the arrays'
 * type in its first bytes. Arrays take the other operands, in order. */
struct operands_params {
	u32 constants, reserved;
	u64 value[];
};

enum { MOST = 3, BLOCK = 1024 }; /* operands; elements that are done at once */

static u64 filled[MOST][BLOCK]; /* constants as often as a block wants them */

struct operands {
	const u8 *at[MOST];
	u32 step[MOST]; /* bytes from one block to the next: 0 for a constant */
};

/* The bits of a constant, whatever the type that they are read as. */
typedef u8 __attribute__((may_alias)) any8;
typedef u16 __attribute__((may_alias)) any16;
typedef u32 __attribute__((may_alias)) any32;
typedef u64 __attribute__((may_alias)) any64;

#define FILL(T) { T *out = (T *)to; for (u32 i = 0; i < BLOCK; i++) out[i] = (T)value; }

static void fill(u64 *to, u32 size, u64 value) {
	switch (size) {
	case 1: FILL(any8) break;
	case 2: FILL(any16) break;
	case 4: FILL(any32) break;
	default: FILL(any64)
	}
}

/* find finds the operands of an operation that wants so many, all of one type. */
static i32 find(struct holo_desc *d, u32 want, struct operands *o) {
	const struct operands_params *p = d->params;
	u32 constants = 0, size = HOLO_IN(d, 0)->stride, used = 0;
	if (d->params_len != 0) {
		if (d->params_len != sizeof *p + 8 * want || p->reserved != 0 || p->constants >> want != 0)
			return HOLO_BAD_PARAMS;
		constants = p->constants;
	}
	if (d->n_out != 1 || d->n_in + (u32)__builtin_popcount(constants) != want)
		return HOLO_BAD_VIEWS;
	for (u32 i = 0; i < want; i++) {
		if (constants >> i & 1) {
			fill(filled[i], size, p->value[i]);
			o->at[i] = (const u8 *)filled[i], o->step[i] = 0;
			continue;
		}
		if (HOLO_IN(d, used)->type != HOLO_IN(d, 0)->type)
			return HOLO_BAD_VIEWS;
		o->at[i] = HOLO_IN(d, used++)->ptr, o->step[i] = size * BLOCK;
	}
	return HOLO_OK;
}

#define EACH(T, OUT, EXPRESSION) { OUT *restrict out = HOLO_OUT(d, 0)->ptr; \
	for (u32 left = d->n, n; left > 0; left -= n, out += n) { \
		const T *a = (const T *)o.at[0], *b = (const T *)o.at[1], *c = (const T *)o.at[2]; \
		n = left < BLOCK ? left : BLOCK; \
		for (u32 i = 0; i < n; i++) out[i] = (OUT)(EXPRESSION); \
		for (u32 i = 0; i < MOST; i++) o.at[i] += o.step[i]; \
		(void)c; } \
	return HOLO_OK; }

#define BODY(WANT, OUT_TYPE, SWAP, ...) { \
	struct operands o = {0}; \
	i32 bad = find(d, WANT, &o); \
	u8 type = HOLO_IN(d, 0)->type; \
	if (bad) return bad; \
	if (HOLO_OUT(d, 0)->type != OUT_TYPE) return HOLO_BAD_VIEWS; \
	if (SWAP) { struct operands p = o; o.at[0] = p.at[1], o.step[0] = p.step[1], o.at[1] = p.at[0], o.step[1] = p.step[0]; } \
	switch (type) { __VA_ARGS__ } \
	return HOLO_BAD_VIEWS; }

#define OPERATION(NAME, WANT, ...) HOLO_KERNEL(map, NAME) BODY(WANT, type, 0, __VA_ARGS__)

/* The same for either sign: at least 32 bits wide, so that nothing overflows by promotion. */
#define INTEGERS(E8, E64) \
	case HOLO_I8: case HOLO_U8: EACH(u8, u8, E8) \
	case HOLO_I16: case HOLO_U16: EACH(u16, u16, E8) \
	case HOLO_I32: case HOLO_U32: EACH(u32, u32, E64) \
	case HOLO_I64: case HOLO_U64: EACH(u64, u64, E64)
#define FLOATS(E32, E64) case HOLO_F32: EACH(f32, f32, E32) case HOLO_F64: EACH(f64, f64, E64)

OPERATION(add, 2, INTEGERS((u32)a[i] + b[i], a[i] + b[i]) FLOATS(a[i] + b[i], a[i] + b[i]))
OPERATION(sub, 2, INTEGERS((u32)a[i] - b[i], a[i] - b[i]) FLOATS(a[i] - b[i], a[i] - b[i]))
OPERATION(mul, 2, INTEGERS((u32)a[i] * b[i], a[i] * b[i]) FLOATS(a[i] * b[i], a[i] * b[i]))
OPERATION(muladd, 3, INTEGERS((u32)a[i] * b[i] + c[i], a[i] * b[i] + c[i]) FLOATS(a[i] * b[i] + c[i], a[i] * b[i] + c[i]))

/* div: floats only. An integer divided by 0 would end a job in mid-array. */
OPERATION(div, 2, FLOATS(a[i] / b[i], a[i] / b[i]))

#define SIGNS(CASE, E) CASE(I8, i8, E) CASE(I16, i16, E) CASE(I32, i32, E) CASE(I64, i64, E) CASE(U8, u8, E) CASE(U16, u16, E) CASE(U32, u32, E) CASE(U64, u64, E)
#define SAME(NAME, T, E) case HOLO_##NAME: EACH(T, T, E)
#define TRUTH(NAME, T, E) case HOLO_##NAME: EACH(T, u8, E)

/* min, max: of floats NaN if either is; -0 is less than +0. */
OPERATION(min, 2, SIGNS(SAME, a[i] < b[i] ? a[i] : b[i]) FLOATS(__builtin_wasm_min_f32(a[i], b[i]), __builtin_wasm_min_f64(a[i], b[i])))
OPERATION(max, 2, SIGNS(SAME, a[i] > b[i] ? a[i] : b[i]) FLOATS(__builtin_wasm_max_f32(a[i], b[i]), __builtin_wasm_max_f64(a[i], b[i])))

/* Comparisons write u8: 1 where it holds, 0 elsewhere. NaN is not equal to
 * anything, and neither less nor more. */
#define FLOAT_TRUTHS(E) TRUTH(F32, f32, E) TRUTH(F64, f64, E)

static i32 equal(struct holo_desc *d, u8 not) BODY(2, HOLO_U8, 0,
	case HOLO_U8: TRUTH(I8, u8, (a[i] == b[i]) ^ not) case HOLO_U16: TRUTH(I16, u16, (a[i] == b[i]) ^ not)
	case HOLO_U32: TRUTH(I32, u32, (a[i] == b[i]) ^ not) case HOLO_U64: TRUTH(I64, u64, (a[i] == b[i]) ^ not)
	FLOAT_TRUTHS((a[i] == b[i]) ^ not))
static i32 less(struct holo_desc *d, int swap) BODY(2, HOLO_U8, swap, SIGNS(TRUTH, a[i] < b[i]) FLOAT_TRUTHS(a[i] < b[i]))
static i32 at_most(struct holo_desc *d, int swap) BODY(2, HOLO_U8, swap, SIGNS(TRUTH, a[i] <= b[i]) FLOAT_TRUTHS(a[i] <= b[i]))

HOLO_KERNEL(map, eq) { return equal(d, 0); }
HOLO_KERNEL(map, ne) { return equal(d, 1); }
HOLO_KERNEL(map, lt) { return less(d, 0); }
HOLO_KERNEL(map, gt) { return less(d, 1); }
HOLO_KERNEL(map, le) { return at_most(d, 0); }
HOLO_KERNEL(map, ge) { return at_most(d, 1); }
