// The symmetric power in registers (paper, section 3).
//
// Features come in blocks of 16 that share their first p − 1 factors, the prefix: feature n of a block is
// prefix · x[16 · last + n]. A block is one word: the indices of the prefix in bytes 0…2, `last` in byte 3. Blocks are sorted by
// `last`, then by byte 0. From degree 2 on they come in tiles of four that share all but the index in byte 0: four neighbours from a multiple
// of four on. Multinomial coefficients, and zeros for monomials that another block holds, are in the states that the kernels read.
#pragma once
#include "common/fragments.cuh"

static_assert(DEGREE >= 0 && DEGREE <= 4, "DEGREE is 1…4, or 0 for exponential attention");

__device__ __forceinline__ int last_index(unsigned block) { return block >> 24; }
__device__ __forceinline__ int prefix_index(unsigned block, int n) { return block >> 8 * n & 0xff; }

// The feature of degree 2 with such a first factor and the n-th of 16 last ones of a group.
__device__ __forceinline__ int pair_feature(int first, int group, int n) { return 16 * (8 * group * (group + 1) + first) + n; }

// The product of a row's prefix; 1 at degree 1.
__device__ __forceinline__ operand prefix_product(const elem *row, unsigned block) {
    operand product = 1;
#pragma unroll
    for (int n = 0; n < DEGREE - 1; ++n) product *= static_cast<operand>(from_elem(row[prefix_index(block, n)]));
    return product;
}

// φ of 16 rows from A of their last factors: `upper` multiplies row g, `lower` row g + 8.
__device__ __forceinline__ void expand_rows(FragmentA &a, const FragmentA &last, operand upper, operand lower) {
#if MATH == 0
    a.r[0] = pack_bfloat16(low_bfloat16(last.r[0]) * upper, high_bfloat16(last.r[0]) * upper);
    a.r[1] = pack_bfloat16(low_bfloat16(last.r[1]) * lower, high_bfloat16(last.r[1]) * lower);
    a.r[2] = pack_bfloat16(low_bfloat16(last.r[2]) * upper, high_bfloat16(last.r[2]) * upper);
    a.r[3] = pack_bfloat16(low_bfloat16(last.r[3]) * lower, high_bfloat16(last.r[3]) * lower);
#else
#pragma unroll
    for (int n = 0; n < 8; ++n) a.x[n] = last.x[n] * (n / 2 % 2 ? lower : upper);
#endif
}

// φ of 16 columns from A of their last factors: `factor` multiplies columns 2t, 2t + 1, 2t + 8 and 2t + 9.
__device__ __forceinline__ void expand_columns(FragmentA &a, const FragmentA &last, const operand (&factor)[4]) {
#if MATH == 0
#pragma unroll
    for (int n = 0; n < 4; ++n)
        a.r[n] = pack_bfloat16(
            low_bfloat16(last.r[n]) * factor[n / 2 * 2], high_bfloat16(last.r[n]) * factor[n / 2 * 2 + 1]);
#else
#pragma unroll
    for (int n = 0; n < 8; ++n) a.x[n] = last.x[n] * factor[n / 4 * 2 + n % 2];
#endif
}

// x^(p − 1), p·x^(p − 1) and x^p.
__device__ __forceinline__ accumulator lower_power(accumulator x) {
    accumulator result = 1;
#pragma unroll
    for (int n = 1; n < DEGREE; ++n) result *= x;
    return result;
}

__device__ __forceinline__ accumulator power_derivative(accumulator x) { return DEGREE * lower_power(x); }
__device__ __forceinline__ accumulator power(accumulator x) { return x * lower_power(x); }
