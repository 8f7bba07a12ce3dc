// The gradients of a warp's 16 rows that read a state of features, in shared memory: what the factors of tiles of features get is added to its
// columns.
#pragma once
#include "hopper/features.cuh"

// Whether every lane has a number of its own in a column, two a row; else one a row. Wide rows leave no room.
constexpr bool LANES_APART = WIDTH <= 16;
constexpr int GRADIENT_COLUMN = LANES_APART ? 32 : 16;
// The numbers of a warp's tile.
constexpr int STATE_GRADIENT_TILE = GRADIENT_COLUMN * WIDTH;

#if DEGREE > 2

// Columns one after another, [WIDTH, GRADIENT_COLUMN], so that what lanes add to a column stands side by side.
struct GradientTile {
    float *gradient;
    int lane;
    // Of the sums over the four lanes of a row, the row that the lane ends with, g or g + 8, and where its own numbers of column 0 stand, in
    // bytes.
    int half, own;

    __device__ __forceinline__ GradientTile(float *gradient, int lane)
        : gradient(gradient), lane(lane), half(lane % 2), own(4 * (lane / 4 + lane % 2 * 8 + (LANES_APART ? lane / 2 % 2 * 16 : 0))) {
        // The compiler would make them anew for every tile.
        asm volatile("" : "+r"(half), "+r"(own));
    }

    __device__ __forceinline__ void clear() const {
        float4 *numbers = reinterpret_cast<float4 *>(gradient);
        for (int n = lane; n < STATE_GRADIENT_TILE / 4; n += 32) numbers[n] = make_float4(0, 0, 0, 0);
        __syncwarp();
    }

    // Adds what the last factors of a block get, in the order of a lane's sums of a product.
    __device__ __forceinline__ void add_last(unsigned word, const float (&gradients)[8]) const {
        __syncwarp();
        float *place = gradient + lane / 4 + GRADIENT_COLUMN * (16 * last_index(word) + lane % 4 * 2);
#pragma unroll
        for (int n = 0; n < 8; ++n) place[GRADIENT_COLUMN * (n / 4 * 8 + n % 2) + n / 2 % 2 * 8] += gradients[n];
        __syncwarp();
    }

    // Adds what the four first factors of the lane's two rows get. Summed over the four lanes of a row: each lane ends with two neighbouring ones
    // of one row.
    __device__ __forceinline__ void add_firsts(unsigned word, const float (&gradients)[2][4]) const {
        const bool isRight = lane & 2, isLower = lane & 1;
        float pairs[2][2], sums[2];
#pragma unroll
        for (int half = 0; half < 2; ++half)
#pragma unroll
            for (int n = 0; n < 2; ++n) {
                const float left = gradients[half][n], right = gradients[half][2 + n];
                pairs[half][n] = (isRight ? right : left) + __shfl_xor_sync(~0u, isRight ? left : right, 2);
            }
#pragma unroll
        for (int n = 0; n < 2; ++n)
            sums[n] = (isLower ? pairs[1][n] : pairs[0][n]) + __shfl_xor_sync(~0u, isLower ? pairs[0][n] : pairs[1][n], 1);
        __syncwarp();
        float *place = gradient + lane % 2 * 8 + lane / 4 + GRADIENT_COLUMN * (prefix_index(word, 0) + lane / 2 % 2 * 2);
        place[0] += sums[0], place[GRADIENT_COLUMN] += sums[1];
        __syncwarp();
    }

    // Adds what the factors that the blocks of a tile share get, of sums of the lane's columns of both rows, each but for those factors.
    template <typename Features>
    __device__ __forceinline__ void add_others(const FeatureTile &tile, const float (&sums)[2], const Features &features) const {
        // Over the four lanes of a row: each ends with that of one.
        const bool isRight = lane & 2, isLower = lane & 1;
        float sum = (isLower ? sums[1] : sums[0]) + __shfl_xor_sync(~0u, isLower ? sums[0] : sums[1], 1);
        // At degree 4 the left lanes' is the gradient of the first of the others, the right ones' that of the second.
        const int left = tile.others[0], right = tile.others[DEGREE - 3], column = isRight ? right : left;
        if (DEGREE == 4 || !LANES_APART) sum += __shfl_xor_sync(~0u, sum, 2);
        if (DEGREE == 4) sum *= features.number(isRight ? left : right, half);
        float &number = *reinterpret_cast<float *>(reinterpret_cast<char *>(gradient) + (own + 4 * GRADIENT_COLUMN / PAIR_COLUMN * column));
        if constexpr (LANES_APART) {
            number += sum;
        } else {
            // Where both are the same one, the left lane adds for both.
            __syncwarp();
            if (DEGREE == 4 && left == right) sum *= 2;
            if (!isRight || left != right) number += sum;
            __syncwarp();
        }
    }

    // The gradient of a row and a column.
    __device__ __forceinline__ float number(int row, int column) const {
        const float *place = gradient + GRADIENT_COLUMN * column + row;
        return LANES_APART ? place[0] + place[16] : place[0];
    }
};

#endif
