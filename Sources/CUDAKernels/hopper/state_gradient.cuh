// The gradient of the rows x that read a state through φ(x), from products T = (gradient of φ(x)) of 64 rows and 64 features:
//
//     ∂x_l += T_f · Π prefix,    ∂x_i += T_f · x_l · Π (prefix without i)    for every f = (prefix, l)
//
// as common/state_gradient.cuh for sums of a warpgroup's products. Each warp adds its 16 rows to a tile of gradients in shared memory that
// is its own. The gradients of 16 last factors, and those of four first ones, stay in registers while tiles of features share them, as the
// factors themselves do; those of first ones are sums over the lane's columns until then.
#pragma once
#include "hopper/features.cuh"

constexpr int STATE_GRADIENT_STRIDE = WIDTH + 4;
// The numbers of a warp's tile.
constexpr int STATE_GRADIENT_TILE = 16 * STATE_GRADIENT_STRIDE;

#if DEGREE > 2

// `gradient` is the tile of the warp, [16, STATE_GRADIENT_STRIDE].
template <int matrixRows>
struct StateGradient {
    float *gradient;
    const RowFeatures<matrixRows> &features;
    int lane;
    // The tile whose first and last factors are in registers.
    unsigned current;
    float last[8], lastGradient[8], firsts[2][4], firstGradient[2][4];
    // Products with the features of two stages. A function's own would be undefined at its start, and the compiler orders instructions by
    // that.
    float even[32], odd[32];

    __device__ __forceinline__ StateGradient(float *gradient, const RowFeatures<matrixRows> &features, int lane)
        : gradient(gradient), features(features), lane(lane), current(0) {
        float4 *numbers = reinterpret_cast<float4 *>(gradient);
        for (int n = lane; n < STATE_GRADIENT_TILE / 4; n += 32) numbers[n] = make_float4(0, 0, 0, 0);
        __syncwarp();
        begin_last();
        begin_firsts();
    }

    // Adds what is in registers to the tile.
    __device__ __forceinline__ void flush() {
        flush_firsts();
        flush_last();
    }

    // The products of the features of a tile, `word` the first of its blocks'.
    __device__ __forceinline__ void add(const float (&products)[32], unsigned word, const OtherFactors &factors) {
        select(word);
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
        // Over the four lanes of a row: each ends with that of one.
        const bool isRight = lane & 2, isLower = lane & 1;
        float sum = (isLower ? sums[1] : sums[0]) + __shfl_xor_sync(~0u, isLower ? sums[0] : sums[1], 1);
        sum += __shfl_xor_sync(~0u, sum, 2);
        // At degree 4 the left lanes' is the gradient of the first of the others, the right ones' that of the second.
        const int left = prefix_index(word, 1), right = prefix_index(word, DEGREE - 2);
        float *row = own_row();
        __syncwarp();
#if DEGREE == 3
        if (!isRight) row[left] += sum;
#else
        // Where both are the same one, the left lane adds for both.
        const float2 first = factors.row(0), second = factors.row(1);
        const float other = isLower ? (isRight ? first.y : second.y) : (isRight ? first.x : second.x);
        sum *= !isRight && left == right ? 2 * other : other;
        if (!isRight || left != right) row[isRight ? right : left] += sum;
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
    // Makes the first and the last factors of a tile the current ones.
    __device__ __forceinline__ void select(unsigned word) {
        const unsigned changed = word ^ current;
        if ((changed & 0xff0000ff) == 0) return;
        flush_firsts();
        if (WIDTH > 16 && changed >> 24 != 0) {
            flush_last();
            current = word;
            begin_last();
        }
        current = word;
        begin_firsts();
    }

    // The row of the sums that the lane ends with.
    __device__ __forceinline__ float *own_row() const { return gradient + (lane % 2 * 8 + lane / 4) * STATE_GRADIENT_STRIDE; }

    __device__ __forceinline__ void begin_last() {
        FragmentA factors;
        features.load_last(factors, current);
#pragma unroll
        for (int n = 0; n < 4; ++n) last[2 * n] = low_bfloat16(factors.r[n]), last[2 * n + 1] = high_bfloat16(factors.r[n]);
#pragma unroll
        for (int n = 0; n < 8; ++n) lastGradient[n] = 0;
    }

    __device__ __forceinline__ void begin_firsts() {
        const elem *place = features.column(current, 0);
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const uint2 four = *reinterpret_cast<const uint2 *>(place + half * 8 * 64);
            firsts[half][0] = low_bfloat16(four.x), firsts[half][1] = high_bfloat16(four.x);
            firsts[half][2] = low_bfloat16(four.y), firsts[half][3] = high_bfloat16(four.y);
#pragma unroll
            for (int n = 0; n < 4; ++n) firstGradient[half][n] = 0;
        }
    }

    __device__ __forceinline__ void flush_last() {
        __syncwarp();
        float *place = gradient + lane / 4 * STATE_GRADIENT_STRIDE + 16 * last_index(current) + lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < 4; ++n) {
            float2 *pair = reinterpret_cast<float2 *>(place + n % 2 * 8 * STATE_GRADIENT_STRIDE + n / 2 * 8);
            const float2 sum = *pair;
            *pair = make_float2(sum.x + lastGradient[2 * n], sum.y + lastGradient[2 * n + 1]);
        }
        __syncwarp();
    }

    // Sums over the four lanes of a row: each lane ends with two neighbouring first factors of one row.
    __device__ __forceinline__ void flush_firsts() {
        const bool isRight = lane & 2, isLower = lane & 1;
        float pairs[2][2], sums[2];
#pragma unroll
        for (int half = 0; half < 2; ++half)
#pragma unroll
            for (int n = 0; n < 2; ++n) {
                const float left = firstGradient[half][n], right = firstGradient[half][2 + n];
                pairs[half][n] = (isRight ? right : left) + __shfl_xor_sync(~0u, isRight ? left : right, 2);
            }
#pragma unroll
        for (int n = 0; n < 2; ++n)
            sums[n] = (isLower ? pairs[1][n] : pairs[0][n]) + __shfl_xor_sync(~0u, isLower ? pairs[0][n] : pairs[1][n], 1);
        __syncwarp();
        float2 *pair = reinterpret_cast<float2 *>(own_row() + prefix_index(current, 0) + lane / 2 % 2 * 2);
        *pair = make_float2(pair->x + sums[0], pair->y + sums[1]);
        __syncwarp();
    }
};

#endif
