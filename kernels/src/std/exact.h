/* exact.h: sums that lose nothing.
 *
 * A sum is a fixed-point number of as many 32-bit digits as the largest sum of
 * its type needs, in units of the smallest value (or product) of that type. A
 * digit lies in an i64, so that many numbers can be added before it has to
 * carry. carry() leaves every digit but the last in [0, 2^32); the last one has
 * the sign. So equal sums have equal bytes, in whatever order they were added.
 *
 * Room: an array has at most 2^58 elements.
 *   integers: values below 2^64 take 122 bits and a sign, products below 2^128 take 186
 *   f32: from 2^-149 to 2^128, 277 + 58 bits; products from 2^-298 to 2^256, 554 + 58
 *   f64: from 2^-1074 to 2^1024, 2098 + 58 bits; products from 2^-2148 to 2^2048, 4196 + 58
 */
#ifndef EXACT_H
#define EXACT_H
#include "../../holo.h"

#define DIGIT 0xffffffffull

static inline int is_float(u8 type) { return type == HOLO_F32 || type == HOLO_F64; }
static inline int is_signed(u8 type) { return type >= HOLO_I8 && type <= HOLO_I64; }

/* sum_digits and product_digits: 0 for what is no type. */
static inline u32 sum_digits(u8 type) {
	return type == HOLO_F64 ? 68 : type == HOLO_F32 ? 11 : type >= HOLO_I8 && type <= HOLO_U64 ? 4 : 0;
}

static inline u32 product_digits(u8 type) {
	return type == HOLO_F64 ? 134 : type == HOLO_F32 ? 20 : type >= HOLO_I8 && type <= HOLO_U64 ? 6 : 0;
}

static inline void carry(i64 *digit, u32 n) {
	i64 over = 0;
	for (u32 i = 0; i + 1 < n; i++) {
		i64 v = digit[i] + over;
		digit[i] = v & (i64)DIGIT;
		over = v >> 32;
	}
	digit[n - 1] += over;
}

static inline void add_digits(i64 *digit, const i64 *other, u32 n) {
	for (u32 i = 0; i < n; i++)
		digit[i] += other[i];
	carry(digit, n);
}

/* A float apart: value = (negative ? -1 : 1) * mantissa * 2^place * unit, the
 * unit being the smallest number of the type. Not for NaN and infinity. */
struct parts {
	u64 mantissa;
	u32 place;
	i64 sign; /* 0, or -1 for negative */
};

static inline u64 f64_bits(f64 x) { return ((union { f64 f; u64 u; }){x}).u; }
static inline u32 f32_bits(f32 x) { return ((union { f32 f; u32 u; }){x}).u; }
static inline int f64_finite(f64 x) { return (f64_bits(x) >> 52 & 0x7ff) != 0x7ff; }
static inline int f32_finite(f32 x) { return (f32_bits(x) >> 23 & 0xff) != 0xff; }

static inline struct parts f64_parts(f64 x) {
	u64 b = f64_bits(x), e = b >> 52 & 0x7ff, normal = e != 0;
	return (struct parts){(b & 0xfffffffffffffull) | normal << 52, (u32)(e - normal), (i64)b >> 63};
}

static inline struct parts f32_parts(f32 x) {
	u32 b = f32_bits(x), e = b >> 23 & 0xff, normal = e != 0;
	return (struct parts){(b & 0x7fffff) | normal << 23, e - normal, (i64)((i32)b >> 31)};
}

/* signed_of gives v, or -v where sign is -1. */
static inline i64 signed_of(u64 v, i64 sign) { return ((i64)v ^ sign) - sign; }

/* put adds a mantissa of at most 53 bits at its place: 32 bits to one digit, at
 * most 52 to the next. After PUTS of them the digits must carry: 2^32 + 512 * 2^53 < 2^63. */
enum { PUTS = 512 };

static inline void put(i64 *digit, struct parts p) {
	u32 i = p.place >> 5, s = p.place & 31;
	digit[i] += signed_of(p.mantissa << s & DIGIT, p.sign);
	digit[i + 1] += signed_of(p.mantissa >> (32 - s), p.sign);
}

/* put_product adds a product of two mantissas of 53 bits: 106 bits, over four
 * digits, at most 42 bits to the last. */
static inline void put_product(i64 *digit, struct parts a, struct parts b) {
	u64 al = a.mantissa & DIGIT, ah = a.mantissa >> 32, bl = b.mantissa & DIGIT, bh = b.mantissa >> 32;
	u64 low = al * bl, mid = (low >> 32) + al * bh, more = (mid & DIGIT) + ah * bl;
	u64 lo = more << 32 | (low & DIGIT), hi = ah * bh + (mid >> 32) + (more >> 32);
	i64 sign = a.sign ^ b.sign;
	u32 place = a.place + b.place, i = place >> 5, s = place & 31;
	digit[i] += signed_of(lo << s & DIGIT, sign);
	digit[i + 1] += signed_of(lo >> (32 - s) & DIGIT, sign);
	digit[i + 2] += signed_of((hi << s | lo >> 1 >> (63 - s)) & DIGIT, sign);
	digit[i + 3] += signed_of(hi >> (32 - s), sign);
}

/* put_small adds a product of two mantissas of 24 bits. */
static inline void put_small(i64 *digit, struct parts a, struct parts b) {
	put(digit, (struct parts){a.mantissa * b.mantissa, a.place + b.place, a.sign ^ b.sign});
}

/* Products of integers, in four digits that have yet to carry. What is added to
 * a digit is below 3 * 2^32, and a call has at most 2^20 elements. */
struct digits {
	i64 d[4];
};

static inline void put_narrow(struct digits *s, i64 product) {
	s->d[0] += product & (i64)DIGIT;
	s->d[1] += product >> 32;
}

static inline void put_unsigned(struct digits *s, u64 product) {
	s->d[0] += (i64)(product & DIGIT);
	s->d[1] += (i64)(product >> 32);
}

static inline void put_i64(struct digits *s, i64 a, i64 b) {
	u64 al = (u64)a & DIGIT, bl = (u64)b & DIGIT, low = al * bl;
	i64 ah = a >> 32, bh = b >> 32, m = ah * (i64)bl, k = bh * (i64)al, high = ah * bh;
	s->d[0] += (i64)(low & DIGIT);
	s->d[1] += (i64)(low >> 32) + (m & (i64)DIGIT) + (k & (i64)DIGIT);
	s->d[2] += (m >> 32) + (k >> 32) + (high & (i64)DIGIT);
	s->d[3] += high >> 32;
}

static inline void put_u64(struct digits *s, u64 a, u64 b) {
	u64 al = a & DIGIT, bl = b & DIGIT, ah = a >> 32, bh = b >> 32;
	u64 low = al * bl, m = ah * bl, k = bh * al, high = ah * bh;
	s->d[0] += (i64)(low & DIGIT);
	s->d[1] += (i64)((low >> 32) + (m & DIGIT) + (k & DIGIT));
	s->d[2] += (i64)((m >> 32) + (k >> 32) + (high & DIGIT));
	s->d[3] += (i64)(high >> 32);
}

static inline void take(i64 *digit, const struct digits *s, u32 n) {
	for (u32 i = 0; i < 4 && i < n; i++)
		digit[i] += s->d[i];
	carry(digit, n);
}

#endif
