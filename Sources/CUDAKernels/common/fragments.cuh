// Matrix products of one warp on tensor cores: C[16, 8] += A[16, 16] · B[16, 8].
//
// Whatever the precision, a lane holds the same places of a fragment, with g = lane / 4 and t = lane % 4:
//
//     A   x[0..1] = (g, 2t..2t+1)    x[2..3] = (g + 8, 2t..)    x[4..5] = (g, 2t + 8..)    x[6..7] = (g + 8, 2t + 8..)
//     B   x[0..1] = (2t..2t+1, g)    x[2..3] = (2t + 8.., g)
//     C   c[0..1] = (g, 2t..2t+1)    c[2..3] = (g + 8, 2t..)
//
// so that two neighbouring C make an A without moving a number between lanes. bfloat16 fragments are packed by two.
//
// MATH 0: bfloat16 operands, float32 sums.       MATH 1: TF32 operands, float32 sums.
// MATH 2: float32 operands as two TF32 each, three products, sums rounded in float32 every 16 terms.
// MATH 3: float64 products and sums.
#pragma once
#include "common/elements.cuh"

#define INFINITY __int_as_float(0x7f800000)

// Steps of a product over the width that are laid out at once: products of split numbers are long enough by themselves.
constexpr int DEPTH_UNROLL = MATH == 0 ? 16 : 2;

#if MATH == 3
typedef double operand;
typedef double accumulator;
#else
typedef float operand;
typedef float accumulator;
#endif

#if MATH == 0
struct FragmentA {
    unsigned r[4];
};
struct FragmentB {
    unsigned r[2];
};
#else
struct FragmentA {
    operand x[8];
};
struct FragmentB {
    operand x[4];
};
#endif

__device__ __forceinline__ float low_bfloat16(unsigned packed) { return __uint_as_float(packed << 16); }
__device__ __forceinline__ float high_bfloat16(unsigned packed) { return __uint_as_float(packed & 0xffff0000u); }

// One product.

#if MATH == 0

__device__ __forceinline__ void multiply(float (&c)[4], const FragmentA &a, const FragmentB &b) {
    mma_bfloat16(c, a.r, b.r);
}

#elif MATH == 3

// The four terms k of one product are the numbers that each lane of a group of four holds at one place.
__device__ __forceinline__ void multiply(double (&c)[4], const FragmentA &a, const FragmentB &b) {
#pragma unroll
    for (int n = 0; n < 4; ++n) {
        const int place = n < 2 ? n : n + 2;
#pragma unroll
        for (int half = 0; half < 2; ++half)
            mma_float64(c[2 * half], c[2 * half + 1], a.x[place + 2 * half], b.x[n]);
    }
}

#else

__device__ __forceinline__ void multiply(float (&c)[4], const FragmentA &a, const FragmentB &b) {
#if MATH == 1
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const float *x = a.x + 4 * half, *y = b.x + 2 * half;
        mma_tf32(
            c, {round_to_tf32(x[0]), round_to_tf32(x[2]), round_to_tf32(x[1]), round_to_tf32(x[3])},
            {round_to_tf32(y[0]), round_to_tf32(y[1])});
    }
#else
    // Tensor cores round sums toward zero: a short sum in them, the long one outside.
    float sum[4] = {0, 0, 0, 0};
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const float x[4] = {a.x[4 * half], a.x[4 * half + 2], a.x[4 * half + 1], a.x[4 * half + 3]};
        const float y[2] = {b.x[2 * half], b.x[2 * half + 1]};
        unsigned xh[4], xl[4], yh[2], yl[2];
#pragma unroll
        for (int n = 0; n < 4; ++n) {
            xh[n] = round_to_tf32(x[n]);
            xl[n] = round_to_tf32(x[n] - __uint_as_float(xh[n]));
        }
#pragma unroll
        for (int n = 0; n < 2; ++n) {
            yh[n] = round_to_tf32(y[n]);
            yl[n] = round_to_tf32(y[n] - __uint_as_float(yh[n]));
        }
        mma_tf32(sum, xl, yh);
        mma_tf32(sum, xh, yl);
        mma_tf32(sum, xh, yh);
    }
#pragma unroll
    for (int n = 0; n < 4; ++n) c[n] += sum[n];
#endif
}

#endif

// Fragments from tiles in shared memory with rows `stride` elements apart; rows begin on 16 bytes.

// A from a tile stored [row][k].
__device__ __forceinline__ void load_a(FragmentA &a, const elem *tile, int stride) {
    const int lane = threadIdx.x % 32;
#if MATH == 0
    load_matrices(a.r, tile + (lane % 16) * stride + lane / 16 * 8);
#else
    const elem *row = tile + lane / 4 * stride + 2 * (lane % 4);
#pragma unroll
    for (int n = 0; n < 4; ++n) {
        const float2 pair = *reinterpret_cast<const float2 *>(row + n % 2 * 8 * stride + n / 2 * 8);
        a.x[2 * n] = pair.x;
        a.x[2 * n + 1] = pair.y;
    }
#endif
}

// A from a tile stored [k][row].
__device__ __forceinline__ void load_a_transposed(FragmentA &a, const elem *tile, int stride) {
    const int lane = threadIdx.x % 32;
#if MATH == 0
    load_matrices_transposed(a.r, tile + (lane % 8 + lane / 16 * 8) * stride + lane / 8 % 2 * 8);
#else
    const elem *column = tile + 2 * (lane % 4) * stride + lane / 4;
#pragma unroll
    for (int n = 0; n < 4; ++n) {
        const elem *place = column + n / 2 * 8 * stride + n % 2 * 8;
        a.x[2 * n] = place[0];
        a.x[2 * n + 1] = place[stride];
    }
#endif
}

// Two B, for 16 columns, from a tile stored [column][k].
__device__ __forceinline__ void load_b(FragmentB (&b)[2], const elem *tile, int stride) {
    const int lane = threadIdx.x % 32;
#if MATH == 0
    unsigned r[4];
    load_matrices(r, tile + (lane % 8 + lane / 16 * 8) * stride + lane / 8 % 2 * 8);
    b[0].r[0] = r[0], b[0].r[1] = r[1], b[1].r[0] = r[2], b[1].r[1] = r[3];
#else
#pragma unroll
    for (int n = 0; n < 4; ++n) {
        const float2 pair = *reinterpret_cast<const float2 *>(
            tile + (lane / 4 + n / 2 * 8) * stride + 2 * (lane % 4) + n % 2 * 8);
        b[n / 2].x[n % 2 * 2] = pair.x;
        b[n / 2].x[n % 2 * 2 + 1] = pair.y;
    }
#endif
}

// Two B, for 16 columns, from a tile stored [k][column].
__device__ __forceinline__ void load_b_transposed(FragmentB (&b)[2], const elem *tile, int stride) {
    const int lane = threadIdx.x % 32;
#if MATH == 0
    unsigned r[4];
    load_matrices_transposed(r, tile + (lane % 8 + lane / 8 % 2 * 8) * stride + lane / 16 * 8);
    b[0].r[0] = r[0], b[0].r[1] = r[1], b[1].r[0] = r[2], b[1].r[1] = r[3];
#else
    const elem *column = tile + 2 * (lane % 4) * stride + lane / 4;
#pragma unroll
    for (int n = 0; n < 4; ++n) {
        const elem *place = column + n % 2 * 8 * stride + n / 2 * 8;
        b[n / 2].x[n % 2 * 2] = place[0];
        b[n / 2].x[n % 2 * 2 + 1] = place[stride];
    }
#endif
}

// One B, for 8 columns, from a tile stored [k][column].
__device__ __forceinline__ void load_b8_transposed(FragmentB &b, const elem *tile, int stride) {
    const int lane = threadIdx.x % 32;
#if MATH == 0
    load_two_matrices_transposed(b.r, tile + lane % 16 * stride);
#else
    const elem *column = tile + 2 * (lane % 4) * stride + lane / 4;
#pragma unroll
    for (int n = 0; n < 4; ++n) b.x[n] = column[(n / 2 * 8 + n % 2) * stride];
#endif
}

// Fragments from numbers in registers.

// A from two neighbouring C.
template <typename Number>
__device__ __forceinline__ void make_a(FragmentA &a, const Number (&left)[4], const Number (&right)[4]) {
#if MATH == 0
    a.r[0] = pack_bfloat16(left[0], left[1]);
    a.r[1] = pack_bfloat16(left[2], left[3]);
    a.r[2] = pack_bfloat16(right[0], right[1]);
    a.r[3] = pack_bfloat16(right[2], right[3]);
#else
#pragma unroll
    for (int n = 0; n < 4; ++n) a.x[n] = left[n], a.x[n + 4] = right[n];
#endif
}

// B whose column 0 holds x[k] and whose other columns are zero, x in shared memory.
__device__ __forceinline__ void make_column_b(FragmentB &b, const float *x) {
    const int lane = threadIdx.x % 32, k = 2 * (lane % 4);
    const bool first = lane / 4 == 0;
    const float x0 = first ? x[k] : 0, x1 = first ? x[k + 1] : 0, x2 = first ? x[k + 8] : 0, x3 = first ? x[k + 9] : 0;
#if MATH == 0
    b.r[0] = pack_bfloat16(x0, x1);
    b.r[1] = pack_bfloat16(x2, x3);
#else
    b.x[0] = x0, b.x[1] = x1, b.x[2] = x2, b.x[3] = x3;
#endif
}

// The eight numbers of an A as floating point.
__device__ __forceinline__ void unpack(operand (&x)[8], const FragmentA &a) {
#pragma unroll
    for (int n = 0; n < 4; ++n) {
#if MATH == 0
        x[2 * n] = low_bfloat16(a.r[n]);
        x[2 * n + 1] = high_bfloat16(a.r[n]);
#else
        x[2 * n] = a.x[2 * n];
        x[2 * n + 1] = a.x[2 * n + 1];
#endif
    }
}

// The sum over the four lanes that share a row of C.
template <typename Number>
__device__ __forceinline__ Number row_sum(Number x) {
    x += __shfl_xor_sync(~0u, x, 1);
    return x + __shfl_xor_sync(~0u, x, 2);
}

template <typename Number>
__device__ __forceinline__ Number row_maximum(Number x) {
    const Number other = __shfl_xor_sync(~0u, x, 1);
    x = x > other ? x : other;
    const Number second = __shfl_xor_sync(~0u, x, 2);
    return x > second ? x : second;
}
