// The gates of tokens: log sigmoid(x·Wᵀ + bias), few columns in float32.
#include "layers/activations.cuh"

constexpr int THREADS = 256;

__device__ __forceinline__ float log_sigmoid_of(float x) { return fminf(x, 0) - log1pf(expf(-fabsf(x))); }

// One number a thread.
extern "C" __global__ void __launch_bounds__(THREADS) log_sigmoid(
    const float *__restrict__ x, const float *__restrict__ bias, float *__restrict__ y, size_t count, int width
) {
    const unsigned place = blockIdx.x * THREADS + threadIdx.x;
    if (place < count) y[place] = log_sigmoid_of(x[place] + bias[place % width]);
}

// The gradient of x in the type of activations and, where columns are summed afterwards, exactly.
extern "C" __global__ void __launch_bounds__(THREADS) log_sigmoid_backward(
    const float *__restrict__ x, const float *__restrict__ bias, const float *__restrict__ gradient, activation *__restrict__ rounded,
    float *__restrict__ exact, size_t count, int width
) {
    const unsigned place = blockIdx.x * THREADS + threadIdx.x;
    if (place >= count) return;
    const float v = x[place] + bias[place % width];
    const float e = expf(-fabsf(v)), result = gradient[place] * (v > 0 ? e : 1.f) / (1 + e);
    rounded[place] = to_activation(result);
    exact[place] = result;
}

#ifdef TILES
static_assert(ACTIVATION == 2, "products in bfloat16");

// The product and the logarithm in one: x is read once, at the speed of memory. A warp does 16 rows. The weight has 8 · TILES rows, those from
// `heads` on are not used; `width` is a multiple of 32. Grid: rows / (16 · warps), the last ones first.
//
// The order of a product's factors is free: of 32 columns a lane takes 8 neighbours of each row, for two products of 16.
//
// Fewer blocks a multiprocessor than the compiler aims at leave registers for all loads under way.
extern "C" __global__ void __launch_bounds__(128, TILES > 3 ? 2 : 4) project_gates(
    const activation *__restrict__ x, const activation *__restrict__ weight, const float *__restrict__ bias,
    float *__restrict__ projection, float *__restrict__ logarithms, int rows, int width, int heads
) {
    const int lane = threadIdx.x % 32, group = lane / 4, member = lane % 4;
    const int first = (descending_block() * 4 + static_cast<int>(threadIdx.x) / 32) * 16 + group;
    const activation *upper = x + static_cast<size_t>(min(first, rows - 1)) * width + 8 * member;
    const activation *lower = x + static_cast<size_t>(min(first + 8, rows - 1)) * width + 8 * member;
    const activation *factors = weight + static_cast<size_t>(group) * width + 8 * member;
    float sums[TILES][4];
#pragma unroll
    for (int tile = 0; tile < TILES; ++tile)
#pragma unroll
        for (int i = 0; i < 4; ++i) sums[tile][i] = 0;
#pragma unroll 4
    for (int column = 0; column < width; column += 32) {
        const uint4 a = *reinterpret_cast<const uint4 *>(upper + column), b = *reinterpret_cast<const uint4 *>(lower + column);
        const unsigned left[4] = {a.x, b.x, a.y, b.y}, right[4] = {a.z, b.z, a.w, b.w};
#pragma unroll
        for (int tile = 0; tile < TILES; ++tile) {
            const uint4 w = *reinterpret_cast<const uint4 *>(factors + static_cast<size_t>(8 * tile) * width + column);
            const unsigned leftFactors[2] = {w.x, w.y}, rightFactors[2] = {w.z, w.w};
            mma_bfloat16(sums[tile], left, leftFactors);
            mma_bfloat16(sums[tile], right, rightFactors);
        }
    }
#pragma unroll
    for (int tile = 0; tile < TILES; ++tile)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int row = first + i / 2 * 8, head = 8 * tile + 2 * member + i % 2;
            if (row >= rows || head >= heads) continue;
            const size_t place = static_cast<size_t>(row) * heads + head;
            projection[place] = sums[tile][i];
            logarithms[place] = log_sigmoid_of(sums[tile][i] + bias[head]);
        }
}
#endif
