#include "textflag.h"

// Tables for VPSHUFB, which looks the low half of each byte up. A byte is an
// operator if, with bit 5 set (which makes [ ] into { }), it is what the table
// has; it is white space if it is what the other table has.
DATA indexOps<>+0(SB)/8, $0
DATA indexOps<>+8(SB)/8, $0x00007d2c7b3a0000
GLOBL indexOps<>(SB), RODATA|NOPTR, $16

DATA indexSpaces<>+0(SB)/8, $0xffffffffffffff20
DATA indexSpaces<>+8(SB)/8, $0xffff0dffff0a09ff
GLOBL indexSpaces<>(SB), RODATA|NOPTR, $16

DATA indexBytes<>+0(SB)/8, $0x0706050403020100
DATA indexBytes<>+8(SB)/8, $0x0f0e0d0c0b0a0908
DATA indexBytes<>+16(SB)/8, $0x1716151413121110
DATA indexBytes<>+24(SB)/8, $0x1f1e1d1c1b1a1918
DATA indexBytes<>+32(SB)/8, $0x2726252423222120
DATA indexBytes<>+40(SB)/8, $0x2f2e2d2c2b2a2928
DATA indexBytes<>+48(SB)/8, $0x3736353433323130
DATA indexBytes<>+56(SB)/8, $0x3f3e3d3c3b3a3938
GLOBL indexBytes<>(SB), RODATA|NOPTR, $64

// func indexAVX512(b []byte, at int, dst []uint32, s *indexState) (next, n int)
//
// One step looks at 64 bytes: comparisons make masks of a bit a byte, the
// carry-less product with all ones turns the quotes into "within a string",
// and VPCOMPRESSB turns the mask of tokens into their positions. (The masks
// are those of Langdale and Lemire, "Parsing Gigabytes of JSON per Second".)
//
//	SI body  DX its length  R8 position  DI next place  CX last place for a step
//	R9 within a string  R10 next is escaped  R11 last was a scalar's  R12 faults
TEXT ·indexAVX512(SB), NOSPLIT, $0-80
	MOVQ b_base+0(FP), SI
	MOVQ b_len+8(FP), DX
	MOVQ at+24(FP), R8
	MOVQ dst_base+32(FP), DI
	MOVQ dst_len+40(FP), CX
	LEAQ -256(DI)(CX*4), CX
	MOVQ s+56(FP), BX
	MOVQ 0(BX), R9
	MOVQ 8(BX), R10
	MOVQ 16(BX), R11
	MOVQ 24(BX), R12

	VBROADCASTI32X4 indexOps<>(SB), Z1
	VBROADCASTI32X4 indexSpaces<>(SB), Z2
	VMOVDQU8 indexBytes<>(SB), Z6
	MOVL $0x22222222, AX
	VPBROADCASTD AX, Z3 // quotes
	MOVL $0x5c5c5c5c, AX
	VPBROADCASTD AX, Z4 // backslashes
	MOVL $0x20202020, AX
	VPBROADCASTD AX, Z5 // spaces
	VPCMPEQD X7, X7, X7 // ones
	MOVL $64, AX
	VPBROADCASTD AX, Z8
	VPBROADCASTD R8, Z9 // position of the step's first byte

step:
	CMPQ DI, CX
	JHI  done
	MOVQ DX, AX
	SUBQ R8, AX
	JLE  done
	CMPQ AX, $64
	JLT  tail
	VMOVDQU8 (SI)(R8*1), Z0

classify:
	VPCMPEQB Z3, Z0, K1
	VPCMPEQB Z4, Z0, K2
	VPORQ    Z5, Z0, Z10
	VPSHUFB  Z0, Z1, Z11
	VPCMPEQB Z10, Z11, K3    // operators
	VPSHUFB  Z0, Z2, Z12
	VPCMPEQB Z0, Z12, K4     // white space
	VPCMPUB  $1, Z5, Z0, K5  // below a space
	KMOVQ    K1, R13         // quotes
	KMOVQ    K2, AX          // backslashes
	XORL     BX, BX          // those that begin an escape
	MOVQ     AX, R14
	ORQ      R10, R14
	JNZ      escapes

quoted:
	VMOVQ      R13, X13
	VPCLMULQDQ $0, X7, X13, X13
	VMOVQ      X13, R14
	XORQ       R9, R14       // within strings, with the opening quotes
	MOVQ       R14, R9
	SARQ       $63, R9
	KORTESTQ   K5, K5
	JNZ        controls

tokens:
	ANDNQ BX, R14, R15       // escapes outside of strings are faults
	ORQ   R15, R12
	KMOVQ K3, R15
	KMOVQ K4, AX
	ORQ   R15, AX
	NOTQ  AX                 // neither operator nor space
	ANDQ  R14, BX
	XORQ  R13, R14           // within strings, with the closing quotes
	ANDNQ AX, R13, R13       // neither of them nor a quote: a scalar's
	LEAQ  (R11)(R13*2), R11  // what follows a scalar's
	SHRQ  $63, R13
	ANDNQ AX, R11, AX        // what begins
	MOVQ  R13, R11
	ORQ   R15, AX
	ANDNQ AX, R14, AX        // outside of strings
	ORQ   BX, AX

	KMOVQ   AX, K1
	POPCNTQ AX, AX
	VPCOMPRESSB.Z Z6, K1, Z11
	VPMOVZXBD X11, Z12
	VPADDD    Z9, Z12, Z12
	VMOVDQU32 Z12, (DI)
	CMPQ      AX, $16
	JLE       written
	VEXTRACTI32X4 $1, Z11, X12
	VPMOVZXBD X12, Z12
	VPADDD    Z9, Z12, Z12
	VMOVDQU32 Z12, 64(DI)
	CMPQ      AX, $32
	JLE       written
	VEXTRACTI32X4 $2, Z11, X12
	VPMOVZXBD X12, Z12
	VPADDD    Z9, Z12, Z12
	VMOVDQU32 Z12, 128(DI)
	VEXTRACTI32X4 $3, Z11, X12
	VPMOVZXBD X12, Z12
	VPADDD    Z9, Z12, Z12
	VMOVDQU32 Z12, 192(DI)

written:
	LEAQ   (DI)(AX*4), DI
	VPADDD Z8, Z9, Z9
	ADDQ   $64, R8
	JMP    step

escapes:
	// Runs of backslashes: those at odd places begin an escape. Adding (here:
	// subtracting) carries along a run, so its end tells its parity.
	MOVQ  $0xaaaaaaaaaaaaaaaa, R15
	ANDNQ AX, R10, R14
	LEAQ  (R14)(R14*1), BX
	ORQ   R15, BX
	SUBQ  R14, BX
	XORQ  R15, BX
	MOVQ  AX, R14
	ORQ   R10, R14
	XORQ  BX, R14            // escaped bytes
	ANDQ  AX, BX
	MOVQ  BX, R10
	SHRQ  $63, R10
	ANDNQ R13, R14, R13
	JMP   quoted

controls:
	KMOVQ K5, AX
	ANDQ  R14, AX
	ORQ   AX, R12
	JMP   tokens

tail:
	// What is missing of the last 64 bytes is white space.
	MOVQ      $-1, R13
	BZHIQ     AX, R13, R13
	KMOVQ     R13, K6
	VMOVDQA64 Z5, Z0
	VMOVDQU8  (SI)(R8*1), K6, Z0
	JMP       classify

done:
	MOVQ s+56(FP), BX
	MOVQ R9, 0(BX)
	MOVQ R10, 8(BX)
	MOVQ R11, 16(BX)
	MOVQ R12, 24(BX)
	MOVQ R8, next+64(FP)
	SUBQ dst_base+32(FP), DI
	SHRQ $2, DI
	MOVQ DI, n+72(FP)
	VZEROUPPER
	RET

// TAKE writes the position of the lowest token of a mask and takes it out.
#define TAKE(off) \
	TZCNTQ AX, R13; \
	ADDL R8, R13; \
	MOVL R13, off(DI); \
	BLSRQ AX, AX

// func indexAVX2(b []byte, at int, dst []uint32, s *indexState) (next, n int)
//
// The same with half the vector, and positions taken from the mask one by one.
// Registers as above.
TEXT ·indexAVX2(SB), NOSPLIT, $64-80
	MOVQ b_base+0(FP), SI
	MOVQ b_len+8(FP), DX
	MOVQ at+24(FP), R8
	MOVQ dst_base+32(FP), DI
	MOVQ dst_len+40(FP), CX
	LEAQ -256(DI)(CX*4), CX
	MOVQ s+56(FP), BX
	MOVQ 0(BX), R9
	MOVQ 8(BX), R10
	MOVQ 16(BX), R11
	MOVQ 24(BX), R12

	VBROADCASTI128 indexOps<>(SB), Y2
	VBROADCASTI128 indexSpaces<>(SB), Y3
	MOVL $0x22222222, AX
	MOVQ AX, X4
	VPBROADCASTD X4, Y4 // quotes
	MOVL $0x5c5c5c5c, AX
	MOVQ AX, X5
	VPBROADCASTD X5, Y5 // backslashes
	MOVL $0x20202020, AX
	MOVQ AX, X6
	VPBROADCASTD X6, Y6 // spaces
	MOVL $0x1f1f1f1f, AX
	MOVQ AX, X8
	VPBROADCASTD X8, Y8 // the last control character
	VPCMPEQD X7, X7, X7 // ones

step:
	CMPQ DI, CX
	JHI  done
	MOVQ DX, AX
	SUBQ R8, AX
	JLE  done
	CMPQ AX, $64
	JLT  tail
	VMOVDQU (SI)(R8*1), Y0
	VMOVDQU 32(SI)(R8*1), Y1

classify:
	VPCMPEQB  Y4, Y0, Y9
	VPCMPEQB  Y4, Y1, Y10
	VPMOVMSKB Y9, R13
	VPMOVMSKB Y10, AX
	SHLQ      $32, AX
	ORQ       AX, R13         // quotes
	VPCMPEQB  Y5, Y0, Y9
	VPCMPEQB  Y5, Y1, Y10
	VPMOVMSKB Y9, AX
	VPMOVMSKB Y10, BX
	SHLQ      $32, BX
	ORQ       BX, AX          // backslashes
	XORL      BX, BX          // those that begin an escape
	MOVQ      AX, R14
	ORQ       R10, R14
	JNZ       escapes

quoted:
	VMOVQ      R13, X9
	VPCLMULQDQ $0, X7, X9, X9
	VMOVQ      X9, R14
	XORQ       R9, R14        // within strings, with the opening quotes
	MOVQ       R14, R9
	SARQ       $63, R9
	VPMINUB    Y8, Y0, Y9
	VPCMPEQB   Y0, Y9, Y9
	VPMINUB    Y8, Y1, Y10
	VPCMPEQB   Y1, Y10, Y10
	VPOR       Y9, Y10, Y11
	VPTEST     Y11, Y11
	JNZ        controls

tokens:
	ANDNQ     BX, R14, R15    // escapes outside of strings are faults
	ORQ       R15, R12
	ANDQ      R14, BX
	VMOVQ     BX, X14
	XORQ      R13, R14        // within strings, with the closing quotes
	VPOR      Y6, Y0, Y9
	VPSHUFB   Y0, Y2, Y10
	VPCMPEQB  Y9, Y10, Y9     // operators
	VPOR      Y6, Y1, Y10
	VPSHUFB   Y1, Y2, Y11
	VPCMPEQB  Y10, Y11, Y10
	VPSHUFB   Y0, Y3, Y11
	VPCMPEQB  Y0, Y11, Y11    // white space
	VPSHUFB   Y1, Y3, Y12
	VPCMPEQB  Y1, Y12, Y12
	VPOR      Y9, Y11, Y11
	VPOR      Y10, Y12, Y12
	VPMOVMSKB Y10, R15
	SHLQ      $32, R15
	VPMOVMSKB Y9, BX
	ORQ       BX, R15
	VPMOVMSKB Y12, AX
	SHLQ      $32, AX
	VPMOVMSKB Y11, BX
	ORQ       BX, AX
	NOTQ      AX              // neither operator nor space
	ANDNQ     AX, R13, R13    // neither of them nor a quote: a scalar's
	LEAQ      (R11)(R13*2), R11 // what follows a scalar's
	SHRQ      $63, R13
	ANDNQ     AX, R11, AX     // what begins
	MOVQ      R13, R11
	ORQ       R15, AX
	ANDNQ     AX, R14, AX     // outside of strings
	VMOVQ     X14, BX
	ORQ       BX, AX

	POPCNTQ AX, R15
	TAKE(0)
	TAKE(4)
	TAKE(8)
	TAKE(12)
	TAKE(16)
	TAKE(20)
	TAKE(24)
	TAKE(28)
	CMPQ R15, $8
	JLE  written
	TAKE(32)
	TAKE(36)
	TAKE(40)
	TAKE(44)
	TAKE(48)
	TAKE(52)
	TAKE(56)
	TAKE(60)
	CMPQ R15, $16
	JLE  written
	LEAQ 64(DI), BX

more:
	TZCNTQ AX, R13
	ADDL   R8, R13
	MOVL   R13, (BX)
	ADDQ   $4, BX
	BLSRQ  AX, AX
	JNZ    more

written:
	LEAQ (DI)(R15*4), DI
	ADDQ $64, R8
	JMP  step

escapes:
	MOVQ  $0xaaaaaaaaaaaaaaaa, R15
	ANDNQ AX, R10, R14
	LEAQ  (R14)(R14*1), BX
	ORQ   R15, BX
	SUBQ  R14, BX
	XORQ  R15, BX
	MOVQ  AX, R14
	ORQ   R10, R14
	XORQ  BX, R14             // escaped bytes
	ANDQ  AX, BX
	MOVQ  BX, R10
	SHRQ  $63, R10
	ANDNQ R13, R14, R13
	JMP   quoted

controls:
	VPMOVMSKB Y9, AX
	VPMOVMSKB Y10, R15
	SHLQ      $32, R15
	ORQ       R15, AX
	ANDQ      R14, AX
	ORQ       AX, R12
	JMP       tokens

tail:
	// What is missing of the last 64 bytes is white space.
	VMOVDQU Y6, 0(SP)
	VMOVDQU Y6, 32(SP)
	LEAQ    (SI)(R8*1), R13
	XORL    BX, BX

copy:
	MOVB (R13)(BX*1), R14
	MOVB R14, (SP)(BX*1)
	INCQ BX
	CMPQ BX, AX
	JLT  copy
	VMOVDQU 0(SP), Y0
	VMOVDQU 32(SP), Y1
	JMP  classify

done:
	MOVQ s+56(FP), BX
	MOVQ R9, 0(BX)
	MOVQ R10, 8(BX)
	MOVQ R11, 16(BX)
	MOVQ R12, 24(BX)
	MOVQ R8, next+64(FP)
	SUBQ dst_base+32(FP), DI
	SHRQ $2, DI
	MOVQ DI, n+72(FP)
	VZEROUPPER
	RET
