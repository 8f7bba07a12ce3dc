// Vectors of tokens with the tokens of a column side by side, so that one load brings a factor of four tokens as a lane needs them. For every 16
// tokens and two columns, 2n and 2n + 1, stand four times eight numbers: for t = 0, …, 3 column 2n of tokens 2t, 2t + 1, 2t + 8 and 2t + 9, then
// column 2n + 1. Those are the tokens of lane t of a left operand with 16 of k.
#pragma once
#include "hopper/panels.cuh"

// Where a column's numbers for lane t stand among those of 16 tokens.
__device__ __forceinline__ int turned_place(int column, int t) { return column / 2 * 32 + t * 8 + column % 2 * 4; }

// Turns `tokens` vectors in panels, by a warpgroup, and multiplies those in the panels by their tokens' factors.
template <int tokens>
__device__ __forceinline__ void turn_vectors(elem *turned, elem *vectors, const elem *factors) {
    constexpr int groups = WIDTH / 16;
    const Place at;
#pragma unroll 1
    for (int n = at.warp; n < tokens / 16 * groups; n += 4) {
        const int first = n / groups * 16, column = n % groups * 16;
        FragmentA matrix;
        load_matrices_transposed(
            matrix.r, vectors + panel_place(first + at.lane % 8 + at.lane / 16 * 8, column + at.lane / 8 % 2 * 8, tokens));
        elem *place = turned + first * WIDTH;
        *reinterpret_cast<uint2 *>(place + turned_place(column + at.g, at.t)) = make_uint2(matrix.r[0], matrix.r[2]);
        *reinterpret_cast<uint2 *>(place + turned_place(column + 8 + at.g, at.t)) = make_uint2(matrix.r[1], matrix.r[3]);
        __syncwarp();
        uint4 &eight = *reinterpret_cast<uint4 *>(vectors + panel_place(first + at.lane % 16, column + at.lane / 16 * 8, tokens));
        const unsigned factor = factors[first + at.lane % 16], both = factor << 16 | factor;
        eight = make_uint4(
            multiply_bfloat16(eight.x, both), multiply_bfloat16(eight.y, both), multiply_bfloat16(eight.z, both),
            multiply_bfloat16(eight.w, both));
    }
}

// A lane's numbers of `count` neighbouring columns, from a multiple of `count` on.
template <int count>
__device__ __forceinline__ void load_turned(uint2 (&columns)[count], const elem *place) {
    if constexpr (count == 1) {
        columns[0] = *reinterpret_cast<const uint2 *>(place);
    } else {
#pragma unroll
        for (int n = 0; n < count; n += 2) {
            const uint4 two = *reinterpret_cast<const uint4 *>(place + 16 * n);
            columns[n] = make_uint2(two.x, two.y), columns[n + 1] = make_uint2(two.z, two.w);
        }
    }
}

// Products in bfloat16 of the halves of two words.
__device__ __forceinline__ uint2 multiply_both(uint2 left, uint2 right) {
    return make_uint2(multiply_bfloat16(left.x, right.x), multiply_bfloat16(left.y, right.y));
}
