/* 48 levels of functions, each calling the next one twice: 2^48 calls from a
 * module without a loop. */
#include "../../holo.h"

static volatile u64 sink;
#define CAT(a, b) a##b
#define LEVEL(n, m) __attribute__((noinline)) static void CAT(level, n)(void) { CAT(level, m)(); CAT(level, m)(); }
__attribute__((noinline)) static void level0(void) { sink++; }
LEVEL(1, 0) LEVEL(2, 1) LEVEL(3, 2) LEVEL(4, 3) LEVEL(5, 4) LEVEL(6, 5) LEVEL(7, 6) LEVEL(8, 7)
LEVEL(9, 8) LEVEL(10, 9) LEVEL(11, 10) LEVEL(12, 11) LEVEL(13, 12) LEVEL(14, 13) LEVEL(15, 14) LEVEL(16, 15)
LEVEL(17, 16) LEVEL(18, 17) LEVEL(19, 18) LEVEL(20, 19) LEVEL(21, 20) LEVEL(22, 21) LEVEL(23, 22) LEVEL(24, 23)
LEVEL(25, 24) LEVEL(26, 25) LEVEL(27, 26) LEVEL(28, 27) LEVEL(29, 28) LEVEL(30, 29) LEVEL(31, 30) LEVEL(32, 31)
LEVEL(33, 32) LEVEL(34, 33) LEVEL(35, 34) LEVEL(36, 35) LEVEL(37, 36) LEVEL(38, 37) LEVEL(39, 38) LEVEL(40, 39)
LEVEL(41, 40) LEVEL(42, 41) LEVEL(43, 42) LEVEL(44, 43) LEVEL(45, 44) LEVEL(46, 45) LEVEL(47, 46) LEVEL(48, 47)

HOLO_KERNEL(red, attack) {
	level48();
	return d->n == 0;
}

/* A reduce has to say how it combines: this one never comes to it. */
HOLO_KERNEL(comb, attack) { return d->n_in != 1; }
