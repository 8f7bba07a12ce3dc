// The gradient of the rows x that read a state through φ(x), from products T = (gradient of φ(x)), 16 features at a time:
//
//     ∂x_l += T_f · Π prefix,    ∂x_i += T_f · x_l · Π (prefix without i)    for every f = (prefix, l)
//
// One warp, 16 · ROW_TILES rows, in shared memory [rows, STATE_GRADIENT_STRIDE]; the gradients of 16 neighbouring last factors
// stay in registers while the blocks of features share them.
#pragma once
#include "common/expansion.cuh"

constexpr int STATE_GRADIENT_STRIDE = WIDTH + 4;

template <int ROW_TILES_>
struct StateGradient {
    const elem *rows;
    accumulator *gradient;
    int lastIndex = -1;
    operand last[ROW_TILES_][8];
    accumulator lastGradient[ROW_TILES_][8];

    __device__ __forceinline__ StateGradient(const elem *rows, accumulator *gradient) : rows(rows), gradient(gradient) {}

    // Makes the last factors of a block the current ones.
    __device__ __forceinline__ void select(unsigned block) {
        if (last_index(block) == lastIndex) return;
        finish();
        lastIndex = last_index(block);
#pragma unroll
        for (int m = 0; m < ROW_TILES_; ++m) {
            FragmentA a;
            load_a(a, rows + m * 16 * (WIDTH + 8) + lastIndex * 16, WIDTH + 8);
            unpack(last[m], a);
#pragma unroll
            for (int n = 0; n < 8; ++n) lastGradient[m][n] = 0;
        }
    }

    // T = offset of the row · normalizer of the feature; `normalizers` is that column of the state.
    __device__ __forceinline__ static void start(
        accumulator (&products)[ROW_TILES_][2][4], const float (&offsets)[ROW_TILES_][2], const elem *normalizers
    ) {
        const int t = threadIdx.x % 4;
#pragma unroll
        for (int n = 0; n < 2; ++n)
#pragma unroll
            for (int c = 0; c < 2; ++c) {
                const operand z = from_elem(normalizers[(n * 8 + 2 * t + c) * (VALUE_WIDTH + 8)]);
#pragma unroll
                for (int m = 0; m < ROW_TILES_; ++m) {
                    products[m][n][c] = offsets[m][0] * z;
                    products[m][n][c + 2] = offsets[m][1] * z;
                }
            }
    }

    __device__ __forceinline__ void add(unsigned block, const accumulator (&products)[ROW_TILES_][2][4]) {
        const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
        for (int m = 0; m < ROW_TILES_; ++m)
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const elem *row = rows + (m * 16 + half * 8 + g) * (WIDTH + 8);
                const operand prefix = prefix_product(row, block);
                accumulator inner = 0;
#pragma unroll
                for (int n = 0; n < 2; ++n)
#pragma unroll
                    for (int c = 0; c < 2; ++c) {
                        const accumulator product = products[m][n][2 * half + c];
                        const int place = 4 * n + 2 * half + c;
                        lastGradient[m][place] += product * prefix;
                        inner += product * last[m][place];
                    }
                inner = row_sum(inner);
                if (DEGREE > 1 && t == 0) {
                    accumulator *out = gradient + (m * 16 + half * 8 + g) * STATE_GRADIENT_STRIDE;
#pragma unroll
                    for (int n = 0; n < DEGREE - 1; ++n) {
                        operand others = 1;
#pragma unroll
                        for (int i = 0; i < DEGREE - 1; ++i)
                            if (i != n) others *= static_cast<operand>(from_elem(row[prefix_index(block, i)]));
                        out[prefix_index(block, n)] += inner * others;
                    }
                }
            }
    }

    // Adds what is in registers to the gradient.
    __device__ __forceinline__ void finish() {
        if (lastIndex < 0) return;
        const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
        __syncwarp();
#pragma unroll
        for (int m = 0; m < ROW_TILES_; ++m)
#pragma unroll
            for (int n = 0; n < 8; ++n)
                gradient[(m * 16 + n / 2 % 2 * 8 + g) * STATE_GRADIENT_STRIDE + lastIndex * 16 + n / 4 * 8 + 2 * t + n % 2] +=
                    lastGradient[m][n];
        __syncwarp();
    }
};
