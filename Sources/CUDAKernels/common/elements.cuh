// The numbers of inputs and results (INPUT 0: float32, 1: float16, 2: bfloat16) and those of scratch memory (bfloat16 under MATH 0, float32
// otherwise).
#pragma once
#include "common/ptx.cuh"

static_assert(MATH >= 0 && MATH <= 3, "MATH is 0, 1, 2 or 3");
static_assert(INPUT >= 0 && INPUT <= 2, "INPUT is 0, 1 or 2");

#if INPUT == 0
typedef float input;
#else
typedef unsigned short input;
#endif

#if MATH == 0
typedef unsigned short elem;
#else
typedef float elem;
#endif

__device__ __forceinline__ float bfloat16_to_float(unsigned short x) { return __uint_as_float(static_cast<unsigned>(x) << 16); }
__device__ __forceinline__ unsigned short float_to_bfloat16(float x) { return pack_bfloat16(x, 0) & 0xffff; }

__device__ __forceinline__ float from_input(input x) {
#if INPUT == 0
    return x;
#elif INPUT == 1
    return float16_to_float(x);
#else
    return bfloat16_to_float(x);
#endif
}

__device__ __forceinline__ input to_input(float x) {
#if INPUT == 0
    return x;
#elif INPUT == 1
    return float_to_float16(x);
#else
    return float_to_bfloat16(x);
#endif
}

__device__ __forceinline__ float from_elem(elem x) {
#if MATH == 0
    return bfloat16_to_float(x);
#else
    return x;
#endif
}

__device__ __forceinline__ elem to_elem(float x) {
#if MATH == 0
    return float_to_bfloat16(x);
#else
    return x;
#endif
}

// A number as products take it.
template <typename Number>
__device__ __forceinline__ Number as_operand(Number x) {
#if MATH == 0
    return bfloat16_to_float(float_to_bfloat16(x));
#elif MATH == 1
    return __uint_as_float(round_to_tf32(x));
#else
    return x;
#endif
}
