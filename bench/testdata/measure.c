/* The kernels that BenchmarkElevenKernels measures, from a sum to a product of
 * matrices: half of them wait for memory, half compute. Each does what its loop
 * in ../eleven_test.go does, operation by operation, so that both give the same
 * bytes. Built and compared by kernels/build.sh. */
#include "../../kernels/holo.h"

/* red sum: f64, one sum after the other. */
HOLO_KERNEL(red, sum) {
	const f64 *a = HOLO_IN(d, 0)->ptr;
	f64 sum = *(f64 *)d->acc;
	for (u32 i = 0; i < d->n; i++)
		sum += a[i];
	*(f64 *)d->acc = sum;
	return HOLO_OK;
}

/* red lanes: f64, in eight sums. */
HOLO_KERNEL(red, lanes) {
	const f64 *a = HOLO_IN(d, 0)->ptr;
	f64 *acc = d->acc, sum[8];
	for (u32 k = 0; k < 8; k++)
		sum[k] = acc[k];
	for (u32 i = 0; i < d->n; i += 8)
		for (u32 k = 0; k < 8; k++)
			sum[k] += a[i + k];
	for (u32 k = 0; k < 8; k++)
		acc[k] = sum[k];
	return HOLO_OK;
}

/* red squares: the sum of squares of f32, in eight sums. */
HOLO_KERNEL(red, squares) {
	const f32 *a = HOLO_IN(d, 0)->ptr;
	f32 *acc = d->acc, sum[8];
	for (u32 k = 0; k < 8; k++)
		sum[k] = acc[k];
	for (u32 i = 0; i < d->n; i += 8)
		for (u32 k = 0; k < 8; k++)
			sum[k] += a[i + k] * a[i + k];
	for (u32 k = 0; k < 8; k++)
		acc[k] = sum[k];
	return HOLO_OK;
}

/* red counts: how often each byte occurs, in four turns, so that one count need
 * not wait for the other. */
HOLO_KERNEL(red, counts) {
	const u64 *a = HOLO_IN(d, 0)->ptr;
	u32(*restrict turn)[256] = d->acc;
	for (u32 i = 0; i < d->n / 8; i++) {
		u64 eight = a[i];
		for (u32 k = 0; k < 8; k++)
			turn[k % 4][eight >> 8 * k & 0xff]++;
	}
	return HOLO_OK;
}

static u32 left(u32 x, u32 by) { return x << by | x >> (32 - by); }

/* red mix: additions, rotations and exclusive ors over each 64 bytes, as hashes
 * have them: 20 turns over a state of 16 words. */
HOLO_KERNEL(red, mix) {
	const u32 *a = HOLO_IN(d, 0)->ptr;
	u32 *acc = d->acc;
	for (u32 at = 0; at < d->n; at += 16) {
		u32 s[16];
		for (u32 k = 0; k < 16; k++)
			s[k] = acc[k] ^ a[at + k];
		for (u32 turn = 0; turn < 20; turn++) {
			for (u32 k = 0; k < 4; k++) {
				s[k] += s[k + 4], s[k + 12] = left(s[k + 12] ^ s[k], 16);
				s[k + 8] += s[k + 12], s[k + 4] = left(s[k + 4] ^ s[k + 8], 12);
			}
			u32 first = s[4];
			s[4] = s[5], s[5] = s[6], s[6] = s[7], s[7] = first;
		}
		for (u32 k = 0; k < 16; k++)
			acc[k] += s[k];
	}
	return HOLO_OK;
}

enum { DIMS = 8, CENTROIDS = 16 };

/* map nearest: of rows of eight f32 the centroid that is nearest, each in the
 * place of its row's first element. Parameters: 16 centroids. */
HOLO_KERNEL(map, nearest) {
	const f32 *a = HOLO_IN(d, 0)->ptr, *c = d->params;
	u32 *out = HOLO_OUT(d, 0)->ptr;
	for (u32 at = 0; at < d->n; at += DIMS) {
		f32 least = 0;
		for (u32 k = 0; k < CENTROIDS; k++) {
			f32 sum = 0;
			for (u32 j = 0; j < DIMS; j++) {
				f32 x = a[at + j] - c[k * DIMS + j];
				sum += x * x;
			}
			if (k == 0 || sum < least)
				least = sum, out[at] = k;
		}
	}
	return HOLO_OK;
}

/* map mandelbrot: how many of at most 256 turns a point stays near. */
HOLO_KERNEL(map, mandelbrot) {
	const f64 *re = HOLO_IN(d, 0)->ptr, *im = HOLO_IN(d, 1)->ptr;
	u64 *out = HOLO_OUT(d, 0)->ptr;
	for (u32 i = 0; i < d->n; i++) {
		f64 x = 0, y = 0;
		u64 turns = 0;
		for (; turns < 256 && x * x + y * y <= 4; turns++) {
			f64 next = x * x - y * y + re[i];
			y = 2 * x * y + im[i], x = next;
		}
		out[i] = turns;
	}
	return HOLO_OK;
}

enum { WIDTH = 512 };

static void blur_row(f32 *restrict out, const f32 *up, const f32 *here, const f32 *down) {
	out[0] = here[0], out[WIDTH - 1] = here[WIDTH - 1];
	for (u32 j = 1; j < WIDTH - 1; j++) {
		f32 above = up[j - 1] + up[j] + up[j + 1];
		f32 level = here[j - 1] + here[j] + here[j + 1];
		f32 below = down[j - 1] + down[j] + down[j + 1];
		out[j] = (above + level + below) * (1.0f / 9);
	}
}

/* map blur: the mean of 3 x 3 f32 around each of rows of 512; the outermost stay. */
HOLO_KERNEL(map, blur) {
	const f32 *a = HOLO_IN(d, 0)->ptr;
	f32 *out = HOLO_OUT(d, 0)->ptr;
	for (u32 at = 0; at < d->n; at += WIDTH) {
		if (at > 0 && at + WIDTH < d->n)
			blur_row(out + at, a + at - WIDTH, a + at, a + at + WIDTH);
		else
			__builtin_memcpy(out + at, a + at, 4 * WIDTH);
	}
	return HOLO_OK;
}

/* map product: of matrices of 512 x 512 f32. */
HOLO_KERNEL(map, product) {
	const f32 *a = HOLO_IN(d, 0)->ptr, *b = HOLO_IN(d, 1)->ptr;
	f32 *restrict out = HOLO_OUT(d, 0)->ptr;
	for (u32 i = 0; i < WIDTH; i++)
		for (u32 k = 0; k < WIDTH; k++) {
			f32 x = a[i * WIDTH + k];
			for (u32 j = 0; j < WIDTH; j++)
				out[i * WIDTH + j] += x * b[k * WIDTH + j];
		}
	return HOLO_OK;
}

/* 2^x for x from -126 to 127, and the logarithm to base 2 of positive numbers:
 * polynomials that are good for six digits. */
static f32 power2(f32 x) {
	f32 whole = (f32)(i32)(x + 1000) - 1000, part = x - whole;
	f32 y = ((((0.0018775767f * part + 0.008989340f) * part + 0.055826318f) * part + 0.24015361f) * part + 0.69315308f) * part + 0.99999994f;
	union { i32 bits; f32 number; } scale = { ((i32)whole + 127) << 23 };
	return y * scale.number;
}

static f32 log2(f32 x) {
	union { f32 number; i32 bits; } u = { x };
	f32 power = (f32)((u.bits >> 23) - 127);
	u.bits = (u.bits & 0x7fffff) | 0x3f800000;
	f32 m = u.number;
	return power + (((((-0.03432f * m + 0.31821337f) * m - 1.2315303f) * m + 2.5988452f) * m - 3.324199f) * m + 3.1157899f) * (m - 1);
}

static f32 magnitude(f32 x) { return x < 0 ? -x : x; }

/* The standard normal distribution, by Abramowitz and Stegun 26.2.17. */
static f32 normal(f32 x) {
	f32 k = 1 / (1 + 0.2316419f * magnitude(x));
	f32 tail = ((((1.330274429f * k - 1.821255978f) * k + 1.781477937f) * k - 0.356563782f) * k + 0.319381530f) * k;
	tail = tail * (0.3989423f * power2(x * x * -0.72134752f));
	return x < 0 ? tail : 1 - tail;
}

/* map call: the price of a call option by Black and Scholes, of price, strike and
 * years, at 2 % interest and a volatility of 30 %. */
HOLO_KERNEL(map, call) {
	const f32 *price = HOLO_IN(d, 0)->ptr, *strike = HOLO_IN(d, 1)->ptr, *years = HOLO_IN(d, 2)->ptr;
	f32 *restrict out = HOLO_OUT(d, 0)->ptr;
	for (u32 i = 0; i < d->n; i++) {
		f32 t = years[i], deviation = 0.3f * __builtin_sqrtf(t);
		f32 at = (0.69314718f * log2(price[i] / strike[i]) + 0.065f * t) / deviation;
		f32 worth = strike[i] * power2(t * -0.028853901f);
		out[i] = price[i] * normal(at) - worth * normal(at - deviation);
	}
	return HOLO_OK;
}
