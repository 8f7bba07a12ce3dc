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

#if DEGREE > 2

// `gradient` is the tile of the warp, [16, STATE_GRADIENT_STRIDE].
struct StateGradient {
    float *gradient;
    int lane, lastIndex = -1;
    float lastGradient[8];
    // Products with the features of two stages. A function's own would be undefined at its start, and the compiler orders instructions by
    // that.
    float even[32], odd[32];

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
    __device__ __forceinline__ void add(const float (&products)[32], const FeatureFactors<matrixRows> &factors, uint4 blocks) {
        select(blocks.x);
        const int row = lane % 2 * 8 + lane / 4;
        float2 *pair =
            reinterpret_cast<float2 *>(gradient + row * STATE_GRADIENT_STRIDE + prefix_index(blocks.x, 0) + lane / 2 % 2 * 2);
        const float2 before = *pair;
        float last[8];
        unpack(last, factors.last);
        uint2 upper, lower;
        factors.prefixes(upper, lower);
        const float prefixes[2][4] = {
            {low_bfloat16(upper.x), high_bfloat16(upper.x), low_bfloat16(upper.y), high_bfloat16(upper.y)},
            {low_bfloat16(lower.x), high_bfloat16(lower.x), low_bfloat16(lower.y), high_bfloat16(lower.y)}};
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
        // Sums over the four lanes of a row: each lane ends with two neighbouring first factors of one row.
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
        float others[DEGREE - 2], product = 1;
#pragma unroll
        for (int n = 0; n < DEGREE - 2; ++n) {
            others[n] = bfloat16_to_float(isLower ? factors.others[n][1] : factors.others[n][0]);
            product *= others[n];
        }
        *pair = make_float2(before.x + sums[0] * product, before.y + sums[1] * product);
        // The others have the sum over all first factors: those of the left lanes are the first's, at degree 4 those of the right the second's.
        const uint2 firsts = isLower ? factors.lower : factors.upper;
        const unsigned two = isRight ? firsts.y : firsts.x;
        float sum = sums[0] * low_bfloat16(two) + sums[1] * high_bfloat16(two);
        sum += __shfl_xor_sync(~0u, sum, 2);
        const int left = prefix_index(blocks.x, 1), right = prefix_index(blocks.x, DEGREE - 2);
        __syncwarp();
#if DEGREE == 3
        if (!isRight) gradient[row * STATE_GRADIENT_STRIDE + left] += sum;
#else
        // Where both are the same one, the left lane adds for both.
        sum *= isRight ? others[0] : left == right ? 2 * others[1] : others[1];
        if (!isRight || left != right) gradient[row * STATE_GRADIENT_STRIDE + (isRight ? right : left)] += sum;
#endif
        __syncwarp();
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
};

#endif
