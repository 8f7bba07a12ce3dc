// The gradient of the rows x that read a state through φ(x), from products T = (gradient of φ(x)) of 64 rows and 64 features:
//
//     ∂x_l += T_f · Π prefix,    ∂x_i += T_f · x_l · Π (prefix without i)    for every f = (prefix, l)
//
// as common/state_gradient.cuh for sums of a warpgroup's products. Each warp adds its 16 rows to a tile of gradients in shared memory that
// is its own; the gradients of 16 last factors stay in registers while the blocks of features share them.
#pragma once
#include "hopper/features.cuh"

constexpr int STATE_GRADIENT_STRIDE = WIDTH + 4;
// The numbers of a warp's tile.
constexpr int STATE_GRADIENT_TILE = 16 * STATE_GRADIENT_STRIDE;

// `gradient` is the tile of the warp, [16, STATE_GRADIENT_STRIDE].
struct StateGradient {
    float *gradient;
    int lane, lastIndex = -1;
    float lastGradient[8];

    __device__ __forceinline__ StateGradient(float *gradient, int lane) : gradient(gradient), lane(lane) {
#pragma unroll
        for (int n = 0; n < 8; ++n) lastGradient[n] = 0;
    }

    // Before the first products of a tile of rows.
    __device__ __forceinline__ void clear() const {
        float4 *numbers = reinterpret_cast<float4 *>(gradient);
        for (int n = lane; n < STATE_GRADIENT_TILE / 4; n += 32) numbers[n] = make_float4(0, 0, 0, 0);
        __syncwarp();
    }

    // Makes the last factors of a block the current ones.
    __device__ __forceinline__ void select(unsigned block) {
        if (last_index(block) == lastIndex) return;
        flush();
        lastIndex = last_index(block);
    }

    // Adds what is in registers to the tile.
    __device__ __forceinline__ void flush() {
        if (lastIndex < 0) return;
        __syncwarp();
        float *place = gradient + lane / 4 * STATE_GRADIENT_STRIDE + 16 * lastIndex + lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < 4; ++n) {
            float2 *pair = reinterpret_cast<float2 *>(place + n % 2 * 8 * STATE_GRADIENT_STRIDE + n / 2 * 8);
            const float2 sum = *pair;
            *pair = make_float2(sum.x + lastGradient[2 * n], sum.y + lastGradient[2 * n + 1]);
            lastGradient[2 * n] = lastGradient[2 * n + 1] = 0;
        }
        __syncwarp();
    }

    // The products of the four blocks of features whose factors are given.
    template <int matrixRows>
    __device__ __forceinline__ void add(
        const float (&products)[32], const RowFeatures<matrixRows> &features, const FeatureFactors<matrixRows> &factors, uint4 blocks
    ) {
#if DEGREE == 2
        select(blocks.x);
        const int row = lane % 2 * 8 + lane / 4;
        float2 *pair =
            reinterpret_cast<float2 *>(gradient + row * STATE_GRADIENT_STRIDE + prefix_index(blocks.x, 0) + lane / 2 % 2 * 2);
        const float2 before = *pair;
        float last[8];
        unpack(last, factors.last);
        const float prefixes[2][4] = {
            {low_bfloat16(factors.upper.x), high_bfloat16(factors.upper.x), low_bfloat16(factors.upper.y), high_bfloat16(factors.upper.y)},
            {low_bfloat16(factors.lower.x), high_bfloat16(factors.lower.x), low_bfloat16(factors.lower.y), high_bfloat16(factors.lower.y)}};
        float inner[2][4];
#pragma unroll
        for (int n = 0; n < 4; ++n)
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                inner[half][n] = 0;
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    const int place = i / 2 * 4 + 2 * half + i % 2;
                    lastGradient[place] += products[8 * n + place] * prefixes[half][n];
                    inner[half][n] += products[8 * n + place] * last[place];
                }
            }
        // Sums over the four lanes of a row: each lane ends with two neighbouring prefixes of one row.
        const bool isRight = lane & 2, isLower = lane & 1;
        float pairs[2][2], sums[2];
#pragma unroll
        for (int half = 0; half < 2; ++half)
#pragma unroll
            for (int n = 0; n < 2; ++n) {
                const float kept = isRight ? inner[half][2 + n] : inner[half][n], given = isRight ? inner[half][n] : inner[half][2 + n];
                pairs[half][n] = kept + __shfl_xor_sync(~0u, given, 2);
            }
#pragma unroll
        for (int n = 0; n < 2; ++n) {
            const float kept = isLower ? pairs[1][n] : pairs[0][n], given = isLower ? pairs[0][n] : pairs[1][n];
            sums[n] = kept + __shfl_xor_sync(~0u, given, 1);
        }
        *pair = make_float2(before.x + sums[0], before.y + sums[1]);
#else
        addBlock<0>(products, features, factors.words.x);
        addBlock<1>(products, features, factors.words.y);
        addBlock<2>(products, features, factors.words.z);
        addBlock<3>(products, features, factors.words.w);
#endif
    }

    // The gradient so far, times `factor`, as sums of products with N = WIDTH; other columns keep what they are.
    template <int count>
    __device__ __forceinline__ void read(float (&sums)[count], float factor) const {
        static_assert(count >= WIDTH / 2, "sums of all columns");
        const float *place = gradient + lane / 4 * STATE_GRADIENT_STRIDE + lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < WIDTH / 8; ++n)
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const float2 pair = *reinterpret_cast<const float2 *>(place + half * 8 * STATE_GRADIENT_STRIDE + n * 8);
                sums[4 * n + 2 * half] = factor * pair.x, sums[4 * n + 2 * half + 1] = factor * pair.y;
            }
    }

private:
    __device__ __forceinline__ static void unpack(float (&x)[8], const FragmentA &a) {
#pragma unroll
        for (int n = 0; n < 4; ++n) x[2 * n] = low_bfloat16(a.r[n]), x[2 * n + 1] = high_bfloat16(a.r[n]);
    }

#if DEGREE != 2
    template <int index, int matrixRows>
    __device__ __forceinline__ void addBlock(const float (&products)[32], const RowFeatures<matrixRows> &features, unsigned block) {
        select(block);
        float prefix[2] = {1, 1};
#pragma unroll
        for (int n = 0; n < DEGREE - 1; ++n) {
            const elem *column = features.column(prefix_index(block, n));
            prefix[0] *= bfloat16_to_float(column[0]), prefix[1] *= bfloat16_to_float(column[8 * 64]);
        }
#pragma unroll
        for (int n = 0; n < 8; ++n) lastGradient[n] += products[8 * index + n] * prefix[n / 2 % 2];
#if DEGREE > 1
        FragmentA a;
        features.load_last(a, block);
        float last[8], inner[2] = {0, 0};
        unpack(last, a);
#pragma unroll
        for (int n = 0; n < 8; ++n) inner[n / 2 % 2] += products[8 * index + n] * last[n];
        // Even lanes sum row g, odd ones row g + 8; the first of each adds it.
        const bool isLower = lane & 1;
        float sum = (isLower ? inner[1] : inner[0]) + __shfl_xor_sync(~0u, isLower ? inner[0] : inner[1], 1);
        sum += __shfl_xor_sync(~0u, sum, 2);
        if (lane % 4 < 2) {
            float *out = gradient + (lane % 2 * 8 + lane / 4) * STATE_GRADIENT_STRIDE;
#pragma unroll
            for (int n = 0; n < DEGREE - 1; ++n) {
                float others = 1;
#pragma unroll
                for (int i = 0; i < DEGREE - 1; ++i)
                    if (i != n) others *= bfloat16_to_float(features.column(prefix_index(block, i))[64 * 8 * (lane % 2)]);
                out[prefix_index(block, n)] += sum * others;
            }
        }
#endif
    }
#endif
};
