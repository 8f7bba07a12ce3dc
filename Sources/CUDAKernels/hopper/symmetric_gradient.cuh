// Gradients of the factors of a symmetric state, from products T_ji = Σ_c r_c S_jic of other rows r with the tiles of first factors j
// (symmetric_state.cuh):
//
//     ∂x_i += p x_j T_ji, and, where i is of a later group than j, ∂x_j += p x_i T_ji
//
// but for the factor p.
#pragma once
#include "hopper/symmetric_state.cuh"

#if DEGREE <= 2

// Tiles are multiplied in parts of so many of their rows, which are columns of T.
constexpr int PART_COLUMNS = 64;
constexpr int parts_of_tile(int group) { return (PrefixTiles::rows(group) + PART_COLUMNS - 1) / PART_COLUMNS; }
constexpr int part_columns(int group, int part) {
    return PrefixTiles::rows(group) - PART_COLUMNS * part < PART_COLUMNS ? PrefixTiles::rows(group) - PART_COLUMNS * part : PART_COLUMNS;
}

// Sums of FIRSTS_AT_ONCE neighbouring first factors j of a group, Σ_i x_i T_ji over the lane's columns, of its rows g and g + 8.
template <int group>
struct FactorGradients {
    float sums[FIRSTS_AT_ONCE][2] = {};

    // Products of first factor n, `firsts` in both halves, with a part of its tile: what they give to ∂x_i, and to the sums.
    template <int part, int count, int matrixRows>
    __device__ __forceinline__ void add(
        float (&gradients)[WIDTH / 2], const float (&products)[count], int n, uint2 firsts, const KeptOperands<WIDTH, matrixRows, KEEPS_ROWS> &x
    ) {
        const float own[2] = {low_bfloat16(firsts.x), low_bfloat16(firsts.y)};
#pragma unroll
        for (int step = 0; step < part_columns(group, part) / 16; ++step) {
            const int place = PART_COLUMNS / 16 * part + step;
            unsigned columns[4];
            if (DEGREE == 2 && place > 0) x.read(columns, group + place);
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const int half = i % 2;
                const float left = products[8 * step + 2 * i], right = products[8 * step + 2 * i + 1];
                float *gradient = gradients + 8 * (group + place) + 2 * i;
                gradient[0] += own[half] * left;
                gradient[1] += own[half] * right;
                if (DEGREE == 1 || place == 0) continue;
                sums[n][half] += low_bfloat16(columns[i]) * left;
                sums[n][half] += high_bfloat16(columns[i]) * right;
            }
        }
    }

    // Adds the sums to the gradients of the group's factors from `first` on.
    __device__ __forceinline__ void finish(float (&gradients)[WIDTH / 2], int first, int t) const {
#if DEGREE == 2
        if constexpr (PrefixTiles::rows(group) > 16) {
            // The lane of columns 2t and 2t + 1 of eight.
            const bool isOdd = t % 2 == 1, isOwn = t / 2 == first / 4 % 2;
#pragma unroll
            for (int half = 0; half < 2; ++half)
#pragma unroll
                for (int n = 0; n < 2; ++n) {
                    const float mine = isOdd ? sums[2 + n][half] : sums[n][half], others = isOdd ? sums[n][half] : sums[2 + n][half];
                    float sum = mine + __shfl_xor_sync(~0u, others, 1);
                    sum += __shfl_xor_sync(~0u, sum, 2);
                    float *gradient = gradients + 8 * group + 2 * half + n;
                    gradient[0] += isOwn && first < 8 ? sum : 0;
                    gradient[4] += isOwn && first >= 8 ? sum : 0;
                }
        }
#endif
    }
};

#endif
