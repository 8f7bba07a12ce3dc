// Normalizations of rows: y = (x − mean) · rstd · weight + bias under CENTERED, and y = x · rstd · weight otherwise. ROWS rows of a block,
// THREADS threads each; a thread has GROUPS groups of VECTOR neighbours.
#include "layers/activations.cuh"
#include "layers/reduction.cuh"

static_assert(ROWS == 1 || THREADS == 32, "rows of several warps have a block of their own");
constexpr float EPSILON = 1e-5f;
constexpr int PARTS = CENTERED ? 2 : 1;
// Blocks of the backward pass that a multiprocessor holds at once; the grid has as many.
constexpr int RESIDENT = THREADS * ROWS > 512 ? 1 : GROUPS * VECTOR > 24 ? 2 : 3;

// The column of group `n` of this thread.
__device__ __forceinline__ int column_of(int n) { return (n * THREADS + static_cast<int>(threadIdx.x) % THREADS) * VECTOR; }

// The statistics of a row are its mean and rstd, or its rstd alone. Where a row has a number that is not finite, `flag` says so. Grid:
// rows, the last ones first.
extern "C" __global__ void __launch_bounds__(THREADS * ROWS, 1) normalize(
    const activation *__restrict__ x, const float *__restrict__ weight, const float *__restrict__ bias, activation *__restrict__ y,
    float *__restrict__ statistics, int *flag, int rows, int width
) {
    const int row = descending_block() * ROWS + threadIdx.x / THREADS;
    if (row >= rows) return;
    const size_t start = static_cast<size_t>(row) * width;
    float values[GROUPS][VECTOR];
    float total = 0;
#pragma unroll
    for (int n = 0; n < GROUPS; ++n) {
        const int column = column_of(n);
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) values[n][i] = 0;
        if (column >= width) continue;
        load(values[n], x + start + column);
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) total += values[n][i];
    }
    const float mean = CENTERED ? sum_over<THREADS>(total) / width : 0;
    float squares = 0;
#pragma unroll
    for (int n = 0; n < GROUPS; ++n)
        if (column_of(n) < width)
#pragma unroll
            for (int i = 0; i < VECTOR; ++i) squares += (values[n][i] - mean) * (values[n][i] - mean);
    const float variance = sum_over<THREADS>(squares) / width;
    const float rstd = 1 / sqrtf(variance + EPSILON);
    if (threadIdx.x % THREADS == 0) {
        if (CENTERED) {
            reinterpret_cast<float2 *>(statistics)[row] = make_float2(mean, rstd);
        } else {
            statistics[row] = rstd;
        }
        if (flag != nullptr && !isfinite(variance)) *flag = 1;
    }
#pragma unroll
    for (int n = 0; n < GROUPS; ++n) {
        const int column = column_of(n);
        if (column >= width) continue;
        float weights[VECTOR], biases[VECTOR];
        load_floats(weights, weight + column);
        if (CENTERED) load_floats(biases, bias + column);
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) values[n][i] = (values[n][i] - mean) * rstd * weights[i] + (CENTERED ? biases[i] : 0);
        store(y + start + column, values[n]);
    }
}

// This thread's sums over rows, added up over the rows of the block, to `width` numbers of `place`.
__device__ __forceinline__ void store_sums(float *place, const float (&sums)[GROUPS][VECTOR], int width) {
    if constexpr (ROWS == 1) {
#pragma unroll
        for (int n = 0; n < GROUPS; ++n)
            if (column_of(n) < width) store_floats(place + column_of(n), sums[n]);
    } else {
        __shared__ __align__(16) float shares[ROWS][GROUPS * THREADS * VECTOR];
#pragma unroll
        for (int n = 0; n < GROUPS; ++n) store_floats(shares[threadIdx.x / THREADS] + column_of(n), sums[n]);
        __syncthreads();
        for (int column = threadIdx.x; column < width; column += THREADS * ROWS) {
            float sum = shares[0][column];
#pragma unroll
            for (int row = 1; row < ROWS; ++row) sum += shares[row][column];
            place[column] = sum;
        }
        // The next sums go to the same place.
        __syncthreads();
    }
}

// The gradient of the input, written or added, and for every block the sums of what its rows give to the gradients of the weight and, behind
// it, of the bias: partials[block, PARTS, width]. A block takes every gridDim-th set of rows, the last ones first.
extern "C" __global__ void __launch_bounds__(THREADS * ROWS, RESIDENT) norm_backward(
    const activation *__restrict__ x, const float *__restrict__ weight, const float *__restrict__ statistics,
    const activation *__restrict__ gradient, activation *__restrict__ inputGradient, float *__restrict__ partials, int rows, int width,
    int accumulate
) {
    const int member = threadIdx.x / THREADS;
    float weightSums[GROUPS][VECTOR], biasSums[GROUPS][VECTOR];
#pragma unroll
    for (int n = 0; n < GROUPS; ++n)
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) weightSums[n][i] = 0, biasSums[n][i] = 0;
    for (int row = rows - 1 - (blockIdx.x * ROWS + member); row >= 0; row -= gridDim.x * ROWS) {
        const size_t start = static_cast<size_t>(row) * width;
        float mean = 0, rstd;
        if (CENTERED) {
            const float2 pair = reinterpret_cast<const float2 *>(statistics)[row];
            mean = pair.x, rstd = pair.y;
        } else {
            rstd = statistics[row];
        }
        float normal[GROUPS][VECTOR], scaled[GROUPS][VECTOR];
        packed others[GROUPS];
        float plain = 0, aligned = 0;
#pragma unroll
        for (int n = 0; n < GROUPS; ++n) {
            const int column = column_of(n);
            if (column >= width) continue;
            float weights[VECTOR];
            // Before the sums, so that all of a row is under way at a time.
            if (accumulate) others[n] = load_packed(inputGradient + start + column);
            load(normal[n], x + start + column);
            load(scaled[n], gradient + start + column);
            load_floats(weights, weight + column);
#pragma unroll
            for (int i = 0; i < VECTOR; ++i) {
                normal[n][i] = (normal[n][i] - mean) * rstd;
                weightSums[n][i] += scaled[n][i] * normal[n][i];
                biasSums[n][i] += scaled[n][i];
                scaled[n][i] *= weights[i];
                plain += scaled[n][i];
                aligned += scaled[n][i] * normal[n][i];
            }
        }
        plain = CENTERED ? sum_over<THREADS>(plain) / width : 0;
        aligned = sum_over<THREADS>(aligned) / width;
#pragma unroll
        for (int n = 0; n < GROUPS; ++n) {
            const int column = column_of(n);
            if (column >= width) continue;
            float result[VECTOR];
#pragma unroll
            for (int i = 0; i < VECTOR; ++i) result[i] = 0;
            if (accumulate) unpack(result, others[n]);
#pragma unroll
            for (int i = 0; i < VECTOR; ++i) result[i] += rstd * (scaled[n][i] - plain - normal[n][i] * aligned);
            store(inputGradient + start + column, result);
        }
    }
    float *partial = partials + static_cast<size_t>(blockIdx.x) * PARTS * width;
    store_sums(partial, weightSums, width);
    if (CENTERED) store_sums(partial + width, biasSums, width);
}
