// Rows in registers as left operands of products of a warpgroup, and those rows times one number each.
#pragma once
#include "hopper/panels.cuh"

// 16 rows of a warp as left operands, one a step of 16 columns; `rows` points to the first in a matrix of `matrixRows`.
template <int columns, int matrixRows>
struct RowOperands {
    unsigned steps[columns / 16][4];

    __device__ __forceinline__ static void load(unsigned (&step)[4], const elem *rows, int index, int lane) {
        load_matrices(step, rows + panel_place(lane % 16, 16 * index + lane / 16 * 8, matrixRows));
    }

    __device__ __forceinline__ RowOperands(const elem *rows, int lane) {
#pragma unroll
        for (int n = 0; n < columns / 16; ++n) load(steps[n], rows, n, lane);
    }

    // The products with all rows of a matrix, of which `others` is the descriptor.
    template <int count>
    __device__ __forceinline__ void multiply(float (&products)[count], unsigned long long others) const {
#pragma unroll
        for (int n = 0; n < columns / 16; ++n)
            multiply_group<false>(products, steps[n], panel_advance(others, panel_offset(0, 16 * n, 2 * count)), n > 0);
    }
};

// 64 rows of a warpgroup as the left operand of products with other rows: the warp's from registers, which leaves shared memory half of its reads,
// or, where these are few, all from shared memory.
template <int columns, int matrixRows, bool areKept>
struct LeftRows {
    RowOperands<columns, matrixRows> operands;

    __device__ __forceinline__ LeftRows(const elem *rows, int warp, int lane) : operands(rows + 64 * 16 * warp, lane) {}

    template <int count>
    __device__ __forceinline__ void multiply(float (&products)[count], unsigned long long others) const {
        operands.multiply(products, others);
    }
};

template <int columns, int matrixRows>
struct LeftRows<columns, matrixRows, false> {
    const elem *rows;

    __device__ __forceinline__ LeftRows(const elem *rows, int, int) : rows(rows) {}

    template <int count>
    __device__ __forceinline__ void multiply(float (&products)[count], unsigned long long others) const {
        const unsigned long long own = panel_descriptor(rows, matrixRows, false);
#pragma unroll
        for (int n = 0; n < columns / 16; ++n)
            multiply_group<false>(
                products, panel_advance(own, panel_offset(0, 16 * n, matrixRows)),
                panel_advance(others, panel_offset(0, 16 * n, 2 * count)), n > 0);
    }
};

// Number n of four of the lane's row g, and of its row g + 8, in both halves.
__device__ __forceinline__ uint2 both_halves(uint2 upper, uint2 lower, int n) {
    const unsigned selector = n % 2 == 0 ? 0x1010 : 0x3232;
    return make_uint2(__byte_perm(n < 2 ? upper.x : upper.y, 0, selector), __byte_perm(n < 2 ? lower.x : lower.y, 0, selector));
}

// Rows times one number each.
__device__ __forceinline__ void scale_rows(unsigned (&scaled)[4], const unsigned (&rows)[4], uint2 factors) {
    scaled[0] = multiply_bfloat16(rows[0], factors.x);
    scaled[1] = multiply_bfloat16(rows[1], factors.y);
    scaled[2] = multiply_bfloat16(rows[2], factors.x);
    scaled[3] = multiply_bfloat16(rows[3], factors.y);
}

// The same by a pair, the number of row g and that of row g + 8.
__device__ __forceinline__ void scale_rows(unsigned (&scaled)[4], const unsigned (&rows)[4], unsigned pair) {
    scaled[0] = multiply_by_low_bfloat16(rows[0], pair);
    scaled[1] = multiply_by_high_bfloat16(rows[1], pair);
    scaled[2] = multiply_by_low_bfloat16(rows[2], pair);
    scaled[3] = multiply_by_high_bfloat16(rows[3], pair);
}

// Two neighbouring groups of 8 columns of sums as A.
template <int count>
__device__ __forceinline__ void make_operand(unsigned (&a)[4], const float (&c)[count], int first) {
    a[0] = pack_bfloat16(c[first], c[first + 1]);
    a[1] = pack_bfloat16(c[first + 2], c[first + 3]);
    a[2] = pack_bfloat16(c[first + 4], c[first + 5]);
    a[3] = pack_bfloat16(c[first + 6], c[first + 7]);
}

// A warp's 16 rows of sums, `columns` of them at most 64 from column `first` on, as a panel of 16 rows.
template <int count>
__device__ __forceinline__ void store_panel(elem *panel, const float (&sums)[count], int first, int columns, int lane) {
#pragma unroll
    for (int n = 0; n < 64; n += 16) {
        if (n >= columns) break;
        unsigned pairs[4];
        make_operand(pairs, sums, (first + n) / 2);
        store_matrices(panel + panel_place(lane % 16, n + lane / 16 * 8, 16), pairs);
    }
}
