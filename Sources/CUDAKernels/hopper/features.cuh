// φ of 64 rows in registers, 16 features at a time, from rows in panels (common/expansion.cuh has the order of features).
#pragma once
#include "common/expansion.cuh"
#include "hopper/panels.cuh"

// The rows of one warp: `rows` points to the first of 16, in a matrix of `matrixRows`.
template <int matrixRows>
struct RowFeatures {
    const elem *rows;

    __device__ __forceinline__ explicit RowFeatures(const elem *rows) : rows(rows) {}

    __device__ __forceinline__ void make(unsigned (&a)[4], unsigned block) const {
        const int lane = threadIdx.x % 32, g = lane / 4;
        // Loaded again for every block: a branch here would keep products from overlapping.
        FragmentA last;
        load_matrices(last.r, rows + panel_place(lane % 16, 16 * last_index(block) + lane / 16 * 8, matrixRows));
        if (DEGREE == 1) {
#pragma unroll
            for (int n = 0; n < 4; ++n) a[n] = last.r[n];
        } else if (DEGREE == 2) {
            const elem *prefix = rows + panel_place(g, prefix_index(block, 0), matrixRows);
            const unsigned upper = prefix[0] * 0x10001u, lower = prefix[64] * 0x10001u;
            a[0] = multiply_bfloat16(last.r[0], upper);
            a[1] = multiply_bfloat16(last.r[1], lower);
            a[2] = multiply_bfloat16(last.r[2], upper);
            a[3] = multiply_bfloat16(last.r[3], lower);
        } else {
            float upper = 1, lower = 1;
#pragma unroll
            for (int n = 0; n < DEGREE - 1; ++n) {
                const elem *prefix = rows + panel_place(g, prefix_index(block, n), matrixRows);
                upper *= bfloat16_to_float(prefix[0]);
                lower *= bfloat16_to_float(prefix[64]);
            }
            FragmentA phi;
            expand_rows(phi, last, upper, lower);
#pragma unroll
            for (int n = 0; n < 4; ++n) a[n] = phi.r[n];
        }
    }
};

// The four blocks of a tile of 64 features.
template <int matrixRows>
__device__ __forceinline__ void make_features(unsigned (&a)[4][4], const RowFeatures<matrixRows> &features, uint4 words) {
    features.make(a[0], words.x);
    features.make(a[1], words.y);
    features.make(a[2], words.z);
    features.make(a[3], words.w);
}

// Two neighbouring groups of 8 columns of sums as A.
template <int count>
__device__ __forceinline__ void make_operand(unsigned (&a)[4], const float (&c)[count], int first) {
    a[0] = pack_bfloat16(c[first], c[first + 1]);
    a[1] = pack_bfloat16(c[first + 2], c[first + 3]);
    a[2] = pack_bfloat16(c[first + 4], c[first + 5]);
    a[3] = pack_bfloat16(c[first + 6], c[first + 7]);
}
