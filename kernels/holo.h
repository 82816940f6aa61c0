/* holo.h: write kernels for HoloCompute in C (ABI holo/1).
 *
 * A kernel is an exported function of one pointer that returns 0, or a status
 * of its own for an error. The host fills the descriptor before each call.
 * Build: clang --target=wasm32 -O3 -msimd128 -nostdlib -Wl,--no-entry (build.sh
 * has the exact line). The offsets below are asserted here, in Go
 * (internal/sandbox/abi.go) and against internal/sandbox/testdata/abi.golden.
 *
 * What a kernel can count on: pointers are 64-aligned; outputs and scratch are
 * zero at the start (scratch keeps its bytes between the calls of one task);
 * an accumulator of zeros is an empty one.
 */
#ifndef HOLO_H
#define HOLO_H

typedef signed char i8;
typedef short i16;
typedef int i32;
typedef long long i64;
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef float f32;
typedef double f64;

enum holo_type { HOLO_I8 = 1, HOLO_I16, HOLO_I32, HOLO_I64, HOLO_U8, HOLO_U16, HOLO_U32, HOLO_U64, HOLO_F32, HOLO_F64 };

/* Statuses that the sample kernels return. The host shows the number. */
enum holo_status { HOLO_OK = 0, HOLO_BAD_VIEWS = 1, HOLO_BAD_PARAMS = 2, HOLO_BAD_ACC = 3, HOLO_BAD_DATA = 4 };

struct holo_view {
	void *ptr;
	u32 len;       /* bytes */
	u32 stride;    /* bytes from one element to the next */
	u8 type;       /* enum holo_type */
	u8 rank;       /* 1 */
	u16 halo;      /* elements before ptr, and behind the n of the call, that are there too */
	u64 elem_base; /* global index of the element at ptr */
};

struct holo_desc {
	u32 abi;         /* 1 */
	u32 flags;       /* 0 */
	u64 first_index; /* global index of the first element of this call */
	u32 n;           /* elements of this call */
	u32 n_in, n_out; /* views: first the inputs, then the outputs */
	const void *params;
	u32 params_len;
	void *scratch;
	u32 scratch_len;
	void *acc;
	u32 acc_len;
	u32 reserved; /* 0 */
	struct holo_view views[];
};

#ifdef __wasm32__
#define HOLO_AT(type, field, off) _Static_assert(__builtin_offsetof(struct type, field) == off, #type "." #field)
HOLO_AT(holo_desc, abi, 0);
HOLO_AT(holo_desc, flags, 4);
HOLO_AT(holo_desc, first_index, 8);
HOLO_AT(holo_desc, n, 16);
HOLO_AT(holo_desc, n_in, 20);
HOLO_AT(holo_desc, n_out, 24);
HOLO_AT(holo_desc, params, 28);
HOLO_AT(holo_desc, params_len, 32);
HOLO_AT(holo_desc, scratch, 36);
HOLO_AT(holo_desc, scratch_len, 40);
HOLO_AT(holo_desc, acc, 44);
HOLO_AT(holo_desc, acc_len, 48);
HOLO_AT(holo_desc, reserved, 52);
HOLO_AT(holo_desc, views, 56);
HOLO_AT(holo_view, ptr, 0);
HOLO_AT(holo_view, len, 4);
HOLO_AT(holo_view, stride, 8);
HOLO_AT(holo_view, type, 12);
HOLO_AT(holo_view, rank, 13);
HOLO_AT(holo_view, halo, 14);
HOLO_AT(holo_view, elem_base, 16);
_Static_assert(sizeof(struct holo_view) == 24, "holo_view");
#endif

#define HOLO_EXPORT(name) __attribute__((export_name(name), used))
#define HOLO_KERNEL(kind, name) HOLO_EXPORT("holo_" #kind "_" #name) i32 kind##_##name(struct holo_desc *d)

/* HOLO_STRICT_NAN has every NaN that the module makes be the canonical one, where
 * the bits of NaNs matter. It costs time and gas. Without it only float outputs are. */
#define HOLO_STRICT_NAN HOLO_EXPORT("holo_strict_nan") void holo_strict_nan(void) {}

HOLO_EXPORT("holo_abi") i32 holo_abi(void) { return 1; }

extern u8 __heap_base;

/* holo_alloc gives the host memory that is never freed. */
HOLO_EXPORT("holo_alloc") void *holo_alloc(u32 size, u32 align) {
	static u32 top;
	u64 at = top ? top : (u32)&__heap_base;
	at = (at + align - 1) / align * align;
	u64 have = (u64)__builtin_wasm_memory_size(0) << 16;
	if (at + size > have) {
		u64 pages = (at + size - have + 65535) >> 16;
		if (pages > 65536 || __builtin_wasm_memory_grow(0, (u32)pages) == -1u)
			return 0;
	}
	top = (u32)(at + size);
	return (void *)(u32)at;
}

/* holo_log hands a text over to the job's log, for people: a line, or several.
 * What is beyond the quota of a task (16 KiB, 256 lines) is dropped and counted;
 * the price is the same. It tells nothing back. HOLO_LOG takes a literal. */
__attribute__((import_module("holo"), import_name("log"))) void holo_log(const void *text, u32 len);
#define HOLO_LOG(text) holo_log(text, sizeof(text) - 1)

/* What a task reaches: arrays behind handles, 0 the first, that its job gave it.
 * Offsets count elements from the first of the handle's range, lengths are bytes
 * of whole elements, at most HOLO_MOST a call. A handle reads or writes; what is written is
 * there once the task has ended with 0. A refusal moves nothing. */
enum holo_reach { HOLO_DONE = 0, HOLO_NO_HANDLE = -1, HOLO_NO_RIGHT = -2, HOLO_BAD_RANGE = -3, HOLO_NO_BUDGET = -4, HOLO_BAD_LENGTH = -5 };
#define HOLO_MOST (1u << 20)
#define HOLO_IMPORT(name) __attribute__((import_module("holo"), import_name(name)))
HOLO_IMPORT("read") i32 holo_read(u32 handle, u64 offset, void *to, u32 bytes);
HOLO_IMPORT("write") i32 holo_write(u32 handle, u64 offset, const void *from, u32 bytes);
HOLO_IMPORT("len") i64 holo_len(u32 handle); /* elements, or below 0 */

#define HOLO_IN(d, i) (&(d)->views[i])
#define HOLO_OUT(d, i) (&(d)->views[(d)->n_in + (i)])

#endif
