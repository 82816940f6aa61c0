#include "textflag.h"

// Two vectors are unordered in a lane where either has a NaN, so one comparison looks at
// 32 bytes. SSE2, which every amd64 has.

// func anyNaN32(b *byte, runs int) bool
TEXT ·anyNaN32(SB), NOSPLIT, $0-17
	MOVQ  b+0(FP), SI
	MOVQ  runs+8(FP), CX
	XORPS X0, X0

next32:
	MOVUPS (SI), X1
	MOVUPS 16(SI), X2
	MOVUPS 32(SI), X3
	MOVUPS 48(SI), X4
	CMPPS  X2, X1, $3
	CMPPS  X4, X3, $3
	ORPS   X1, X0
	ORPS   X3, X0
	ADDQ   $64, SI
	DECQ   CX
	JNZ    next32
	MOVMSKPS X0, AX
	TESTL  AX, AX
	SETNE  ret+16(FP)
	RET

// func anyNaN64(b *byte, runs int) bool
TEXT ·anyNaN64(SB), NOSPLIT, $0-17
	MOVQ  b+0(FP), SI
	MOVQ  runs+8(FP), CX
	XORPS X0, X0

next64:
	MOVUPD (SI), X1
	MOVUPD 16(SI), X2
	MOVUPD 32(SI), X3
	MOVUPD 48(SI), X4
	CMPPD  X2, X1, $3
	CMPPD  X4, X3, $3
	ORPD   X1, X0
	ORPD   X3, X0
	ADDQ   $64, SI
	DECQ   CX
	JNZ    next64
	MOVMSKPD X0, AX
	TESTL  AX, AX
	SETNE  ret+16(FP)
	RET
