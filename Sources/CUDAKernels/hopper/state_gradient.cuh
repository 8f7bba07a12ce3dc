// The gradient of the rows x that read a state through φ(x), from products T = (gradient of φ(x)) of 64 rows and 64 features:
//
//     ∂x_l += T_f · Π prefix,    ∂x_i += T_f · x_l · Π (prefix without i)    for every f = (prefix, l)
//
// as common/state_gradient.cuh for sums of a warpgroup's products. Each warp adds its 16 rows to a tile of gradients in shared memory that
// is its own. The gradients of 16 last factors, and those of four first ones, stay in registers while tiles of features share them, as the
// factors themselves do; those of first ones are sums over the lane's columns until then.
#pragma once
#include "hopper/gradient_tile.cuh"

#if DEGREE > 2

template <typename Features>
struct StateGradient {
    GradientTile tile;
    const Features &features;
    // The word of the tile whose first and last factors are in registers.
    unsigned current;
    float last[8], lastGradient[8], firsts[2][4], firstGradient[2][4];
    // Products with the features of two stages. A function's own would be undefined at its start, and the compiler orders instructions by
    // that.
    float even[32], odd[32];

    __device__ __forceinline__ StateGradient(const GradientTile &tile, const Features &features) : tile(tile), features(features), current(0) {
        begin_last();
        begin_firsts();
    }

    // Adds what is in registers to the tile.
    __device__ __forceinline__ void flush() const {
        tile.add_firsts(current, firstGradient);
        tile.add_last(current, lastGradient);
    }

    // The products of the features of a tile.
    __device__ __forceinline__ void add(const float (&products)[32], const FeatureTile &place, const OtherFactors &factors) {
        select(place);
        const float2 others = factors.product();
        const float both[2] = {others.x, others.y};
        float sums[2] = {0, 0};
#pragma unroll
        for (int n = 0; n < 4; ++n)
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const float prefix = firsts[half][n] * both[half];
                float inner = 0;
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    const int place = i / 2 * 4 + 2 * half + i % 2;
                    lastGradient[place] += products[8 * n + place] * prefix;
                    inner += products[8 * n + place] * last[place];
                }
                firstGradient[half][n] += inner * both[half];
                sums[half] += inner * firsts[half][n];
            }
        tile.add_others(place, sums, features);
    }

private:
    // Makes the first and the last factors of a tile the current ones.
    __device__ __forceinline__ void select(const FeatureTile &place) {
        if (place.hasFactorsOf(current)) return;
        tile.add_firsts(current, firstGradient);
        if (WIDTH > 16 && (place.word ^ current) >> 24 != 0) {
            tile.add_last(current, lastGradient);
            current = place.word;
            begin_last();
        }
        current = place.word;
        begin_firsts();
    }

    __device__ __forceinline__ void begin_last() {
        features.load_last(last, current);
#pragma unroll
        for (int n = 0; n < 8; ++n) lastGradient[n] = 0;
    }

    __device__ __forceinline__ void begin_firsts() {
        features.load_firsts(firsts, current);
#pragma unroll
        for (int half = 0; half < 2; ++half)
#pragma unroll
            for (int n = 0; n < 4; ++n) firstGradient[half][n] = 0;
    }
};

#endif
