// Gradients of the factors of a symmetric state, from products T_ji = Σ_c r_c S_jic of other rows r with the tiles of first factors j
// (symmetric_state.cuh):
//
//     ∂x_i += p x_j T_ji, and, where the two stand in one order only, ∂x_j += p x_i T_ji
//
// but for the factor p.
#pragma once
#include "hopper/state_windows.cuh"

#if DEGREE <= 2

// Sums of FIRSTS_AT_ONCE neighbouring first factors j of a part, Σ_i x_i T_ji over the lane's columns, of its rows g and g + 8.
template <int part>
struct FactorGradients {
    static constexpr int group = part / HALVES;
    float sums[FIRSTS_AT_ONCE][2] = {};

    // Products of first factor n, `firsts` in both halves, with some rows of its tile: what they give to ∂x_i, and to the sums. These are `steps`
    // groups of the products, from number `from` on, and of columns, from `column` on; those of x begin with `origin`.
    template <int column, int steps, int from = 0, int origin = 0, int count, int xColumns, int matrixRows>
    __device__ __forceinline__ void add(
        float (&gradients)[WIDTH / 2], const float (&products)[count], int n, uint2 firsts, const RowOperands<xColumns, matrixRows> &x
    ) {
        const float own[2] = {low_bfloat16(firsts.x), low_bfloat16(firsts.y)};
#pragma unroll
        for (int step = 0; step < steps; ++step) {
            const int place = column + step;
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const int half = i % 2;
                const float left = products[8 * (from + step) + 2 * i], right = products[8 * (from + step) + 2 * i + 1];
                float *gradient = gradients + 8 * place + 2 * i;
                gradient[0] += own[half] * left;
                gradient[1] += own[half] * right;
                if (DEGREE == 1 || (place == group && (!HAS_HALVES || i < 2))) continue;
                sums[n][half] += low_bfloat16(x.steps[place - origin][i]) * left;
                sums[n][half] += high_bfloat16(x.steps[place - origin][i]) * right;
            }
        }
    }

    // Adds the sums to the gradients of the group's factors from `first` on, of all 16.
    __device__ __forceinline__ void finish(float (&gradients)[WIDTH / 2], int first, int t) const {
#if DEGREE == 2
        if constexpr (HAS_HALVES || StateTiles::rows(part) > 16) {
            const bool isOwn = is_own(first, t);
#pragma unroll
            for (int half = 0; half < 2; ++half)
#pragma unroll
                for (int n = 0; n < 2; ++n) {
                    const float sum = total(half, n, t);
                    float *gradient = gradients + 8 * group + 2 * half + n;
                    gradient[0] += isOwn && first < 8 ? sum : 0;
                    gradient[4] += isOwn && first >= 8 ? sum : 0;
                }
        }
#endif
    }

    // The same for gradients in shared memory, of which the lane has four at a time, its two of eight columns for rows g and g + 8, 32 apart.
    __device__ __forceinline__ void finish(float4 *gradients, int first, int t) const {
        const float sums[4] = {total(0, 0, t), total(0, 1, t), total(1, 0, t), total(1, 1, t)};
        if (!is_own(first, t)) return;
        float4 &own = gradients[32 * (2 * group + first / 8)];
        own = make_float4(own.x + sums[0], own.y + sums[1], own.z + sums[2], own.w + sums[3]);
    }

private:
    // Whether columns 2t and 2t + 1 of eight are among the four from `first` on.
    __device__ __forceinline__ static bool is_own(int first, int t) { return t / 2 == first / 4 % 2; }

    // The sum over all lanes of a row for column 2t + n of eight.
    __device__ __forceinline__ float total(int half, int n, int t) const {
        const bool isOdd = t % 2 == 1;
        const float mine = isOdd ? sums[2 + n][half] : sums[n][half], others = isOdd ? sums[n][half] : sums[2 + n][half];
        const float sum = mine + __shfl_xor_sync(~0u, others, 1);
        return sum + __shfl_xor_sync(~0u, sum, 2);
    }
};

// What products with the tile of pairs of a group's second half give: both orders of a pair stand there.
template <int group, typename Load>
__device__ __forceinline__ void add_pair_gradients(float (&gradients)[WIDTH / 2], const float (&products)[32], Load load) {
#pragma unroll
    for (int first = 0; first < 8; first += FIRSTS_AT_ONCE) {
        const auto factors = load(16 * group + 8 + first);
#pragma unroll
        for (int n = 0; n < FIRSTS_AT_ONCE; ++n) {
            const uint2 both = factors.pair(n);
            const float own[2] = {low_bfloat16(both.x), low_bfloat16(both.y)};
#pragma unroll
            for (int i = 0; i < 4; ++i) gradients[8 * group + 4 + i] += own[i / 2] * products[4 * (first + n) + i];
        }
    }
}

#endif
