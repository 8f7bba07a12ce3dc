// The gates of tokens: log sigmoid(x·Wᵀ + bias), few columns in float32.
#include "layers/activations.cuh"

constexpr int THREADS = 256;

__device__ __forceinline__ float log_sigmoid_of(float x) { return fminf(x, 0) - log1pf(expf(-fabsf(x))); }

// The derivative with respect to x, times `gradient`.
__device__ __forceinline__ float log_sigmoid_gradient(float x, float gradient) {
    const float e = expf(-fabsf(x));
    return gradient * (x > 0 ? e : 1.f) / (1 + e);
}

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
    const float result = log_sigmoid_gradient(x[place] + bias[place % width], gradient[place]);
    rounded[place] = to_activation(result);
    exact[place] = result;
}

// The gradient of x in `columns` columns of the rows of `target`, which begin `stride` numbers after one another, zeros behind the first
// `heads` of them; and the sums of its columns over every `rowsOfPart` rows, exactly: partials[part, heads]. A thread has VECTOR neighbouring
// columns, and a block as many rows at a time as there are threads for. Grid: parts.
extern "C" __global__ void __launch_bounds__(THREADS, 3) log_sigmoid_backward_columns(
    const float *__restrict__ x, const float *__restrict__ bias, const float *__restrict__ gradient, activation *__restrict__ target,
    float *__restrict__ partials, int rows, int heads, int columns, int stride, int rowsOfPart
) {
    extern __shared__ float sums[];  // [rows at a time, heads]
    const int perRow = columns / VECTOR, atOnce = THREADS / perRow;
    const int member = threadIdx.x / perRow, column = static_cast<int>(threadIdx.x) % perRow * VECTOR;
    const int first = blockIdx.x * rowsOfPart, end = min(first + rowsOfPart, rows);
    float own[VECTOR], biases[VECTOR];
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) own[i] = 0, biases[i] = column + i < heads ? bias[column + i] : 0;
#pragma unroll 2
    for (int row = first + member; row < end && member < atOnce; row += atOnce) {
        float values[VECTOR];
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) {
            values[i] = 0;
            if (column + i >= heads) continue;
            const size_t place = static_cast<size_t>(row) * heads + column + i;
            values[i] = log_sigmoid_gradient(x[place] + biases[i], gradient[place]);
            own[i] += values[i];
        }
        store(target + static_cast<size_t>(row) * stride + column, values);
    }
    if (member < atOnce) {
#pragma unroll
        for (int i = 0; i < VECTOR; ++i)
            if (column + i < heads) sums[member * heads + column + i] = own[i];
    }
    __syncthreads();
    for (int head = threadIdx.x; head < heads; head += THREADS) {
        float sum = 0;
        for (int n = 0; n < atOnce; ++n) sum += sums[n * heads + head];
        partials[static_cast<size_t>(blockIdx.x) * heads + head] = sum;
    }
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
