/* What can be said of one column: how many numbers, the least, the greatest,
 * the exact sum, and the exact sum of squares. */
#include "exact.h"

struct stats {
	u8 type; /* enum holo_type; 0: nothing was added yet */
	u8 reserved[7];
	u64 count, nans;    /* elements that are numbers, and that are not; together all */
	u64 above, below;   /* of count: +infinity and -infinity. They are in no sum */
	u64 least, greatest; /* of count > 0: an i64, u64 or f64 */
	u64 reserved2;
	i64 digits[]; /* the sum, and for stats the sum of squares */
};
_Static_assert(sizeof(struct stats) == 64, "stats");

#define MIN(a, b) ((b) < (a) ? (b) : (a))
#define MAX(a, b) ((b) > (a) ? (b) : (a))

/* Integers: W is the widest type of the same sign, SQUARE adds x * x. */
#define INTEGERS(T, W, SUM, SQUARE) { const T *a = HOLO_IN(d, 0)->ptr; \
	W lo = acc->count ? (W)acc->least : (W)a[0], hi = acc->count ? (W)acc->greatest : (W)a[0]; \
	for (u32 i = 0; i < n; i++) { W x = a[i]; lo = MIN(lo, x); hi = MAX(hi, x); } \
	acc->least = (u64)lo, acc->greatest = (u64)hi, acc->count += n; \
	struct digits sum = {0}, squares = {0}; \
	for (u32 i = 0; i < n; i++) { W x = a[i]; SUM; } \
	take(acc->digits, &sum, 4); \
	if (!deep) return HOLO_OK; \
	for (u32 i = 0; i < n; i++) { W x = a[i]; SQUARE; } \
	take(acc->digits + 4, &squares, 6); \
	return HOLO_OK; }

#define NARROW_SIGNED(T) INTEGERS(T, i64, sum.d[0] += x, put_narrow(&squares, x * x))
#define NARROW(T) INTEGERS(T, u64, sum.d[0] += (i64)x, put_unsigned(&squares, x * x))

/* Floats as integers of the same order, -0 before +0. NaNs lie beyond both
 * infinities. Each is its own inverse. */
static inline i64 f64_key(i64 bits) { return bits ^ (i64)((u64)(bits >> 63) >> 1); }
static inline i32 f32_key(i32 bits) { return bits ^ (i32)((u32)(bits >> 31) >> 1); }
enum { F32_INF = 0x7f800000 };
#define F64_INF 0x7ff0000000000000ll

static inline i64 f64_key_of(u64 least) { return f64_key((i64)least); }
static inline i32 f32_key_of(u64 least) { return f32_key((i32)f32_bits((f32)((union { u64 u; f64 f; }){least}).f)); }
static inline u64 f64_of_key(i64 key) { return (u64)f64_key(key); }
static inline u64 f32_of_key(i32 key) { return f64_bits((f64)((union { i32 i; f32 f; }){f32_key(key)}).f); }

/* Floats, in blocks after which the digits carry. NaNs are counted and left out. */
#define FLOATS(T, I, INF, SUMS, PRODUCTS, SQUARE) { const T *a = HOLO_IN(d, 0)->ptr; \
	const I *bits = HOLO_IN(d, 0)->ptr; \
	I lo = INF, hi = ~INF; u64 some = acc->count, nans = 0, above = 0, below = 0; \
	if (some) lo = T##_key_of(acc->least), hi = T##_key_of(acc->greatest); \
	for (u32 i = 0; i < n; i++) { I k = T##_key(bits[i]); int nan = k > INF || k < ~INF; \
		I low = nan ? INF : k, high = nan ? ~INF : k; \
		lo = MIN(lo, low), hi = MAX(hi, high); nans += nan, above += k == INF, below += k == ~INF; } \
	acc->nans += nans, acc->count += n - nans, acc->above += above, acc->below += below; \
	if (acc->count) acc->least = T##_of_key(lo), acc->greatest = T##_of_key(hi); \
	for (u32 from = 0; from < n; from += PUTS) { \
		u32 to = MIN(from + PUTS, n); \
		for (u32 i = from; i < to; i++) if (T##_finite(a[i])) put(acc->digits, T##_parts(a[i])); \
		carry(acc->digits, SUMS); \
		if (!deep) continue; \
		for (u32 i = from; i < to; i++) if (T##_finite(a[i])) { struct parts p = T##_parts(a[i]); SQUARE(acc->digits + SUMS, p, p); } \
		carry(acc->digits + SUMS, PRODUCTS); } \
	return HOLO_OK; }

static i32 reduce(struct holo_desc *d, int deep) {
	if (d->n_in != 1)
		return HOLO_BAD_VIEWS;
	if (d->params_len != 0)
		return HOLO_BAD_PARAMS;
	struct stats *acc = d->acc;
	u8 type = HOLO_IN(d, 0)->type;
	u32 n = d->n, sums = sum_digits(type), products = deep ? product_digits(type) : 0;
	if (sums == 0)
		return HOLO_BAD_VIEWS;
	if (d->acc_len != sizeof *acc + 8 * (sums + products) || (acc->type != 0 && acc->type != type))
		return HOLO_BAD_ACC;
	acc->type = type;
	switch (type) {
	case HOLO_I8: NARROW_SIGNED(i8)
	case HOLO_I16: NARROW_SIGNED(i16)
	case HOLO_I32: NARROW_SIGNED(i32)
	case HOLO_I64: INTEGERS(i64, i64, put_narrow(&sum, x), put_i64(&squares, x, x))
	case HOLO_U8: NARROW(u8)
	case HOLO_U16: NARROW(u16)
	case HOLO_U32: NARROW(u32)
	case HOLO_U64: INTEGERS(u64, u64, put_unsigned(&sum, x), put_u64(&squares, x, x))
	case HOLO_F32: FLOATS(f32, i32, F32_INF, 11, 20, put_small)
	case HOLO_F64: FLOATS(f64, i64, F64_INF, 68, 134, put_product)
	}
	return HOLO_BAD_VIEWS;
}

/* before: the order of a type's elements. */
static int before(u8 type, u64 a, u64 b) {
	if (is_float(type))
		return f64_key((i64)a) < f64_key((i64)b);
	return is_signed(type) ? (i64)a < (i64)b : a < b;
}

static i32 combine(struct holo_desc *d, int deep) {
	struct stats *a = d->acc;
	const struct stats *b = HOLO_IN(d, 0)->ptr;
	if (d->acc_len < sizeof *a)
		return HOLO_BAD_ACC;
	if (b->type == 0)
		return HOLO_OK;
	if (a->type == 0)
		a->type = b->type;
	u32 sums = sum_digits(a->type), products = deep ? product_digits(a->type) : 0;
	if (a->type != b->type || sums == 0 || d->acc_len != sizeof *a + 8 * (sums + products))
		return HOLO_BAD_ACC;
	if (b->count && (!a->count || before(a->type, b->least, a->least)))
		a->least = b->least;
	if (b->count && (!a->count || before(a->type, a->greatest, b->greatest)))
		a->greatest = b->greatest;
	a->count += b->count, a->nans += b->nans, a->above += b->above, a->below += b->below;
	add_digits(a->digits, b->digits, sums);
	if (deep)
		add_digits(a->digits + sums, b->digits + sums, products);
	return HOLO_OK;
}

/* red sum: all but the squares. Accumulator: 64 + 8 * digits of a sum. */
HOLO_KERNEL(red, sum) { return reduce(d, 0); }
HOLO_KERNEL(comb, sum) { return combine(d, 0); }

/* red stats: all. Accumulator: the digits of a product more. */
HOLO_KERNEL(red, stats) { return reduce(d, 1); }
HOLO_KERNEL(comb, stats) { return combine(d, 1); }
