// Sums over many rows or numbers, in an order that does not depend on time.
#include "layers/activations.cuh"
#include "layers/reduction.cuh"

constexpr int THREADS = 1024, COLUMNS = 32, SLICES = THREADS / COLUMNS;

// Adds the sums over `parts` rows of `columns` numbers to a vector of `width`, and what stands behind those to a second one. Every slice
// of threads takes every SLICES-th row. Grid: columns / COLUMNS.
extern "C" __global__ void __launch_bounds__(THREADS, 1) add_partial_sums(
    const float *__restrict__ partials, float *__restrict__ first, float *__restrict__ second, int parts, int columns, int width
) {
    __shared__ float sums[SLICES][COLUMNS + 1];
    const int lane = threadIdx.x % COLUMNS, slice = threadIdx.x / COLUMNS, column = blockIdx.x * COLUMNS + lane;
    float sum = 0;
    if (column < columns) {
#pragma unroll 8
        for (int part = slice; part < parts; part += SLICES) sum += partials[static_cast<size_t>(part) * columns + column];
    }
    sums[slice][lane] = sum;
    __syncthreads();
    if (slice != 0 || column >= columns) return;
    sum = 0;
    for (int n = 0; n < SLICES; ++n) sum += sums[n][lane];
    float *place = column < width ? first + column : second + column - width;
    *place += sum;
}

// The sums of `width` columns from `firstColumn` on over every `rowsOfPart` rows of `stride` numbers: partials[part, width]. Grid: parts,
// width / 256.
extern "C" __global__ void __launch_bounds__(256) sum_columns(
    const activation *__restrict__ x, float *__restrict__ partials, int rows, int width, int stride, int firstColumn, int rowsOfPart
) {
    const int column = blockIdx.y * 256 + threadIdx.x;
    if (column >= width) return;
    const int first = blockIdx.x * rowsOfPart, end = min(first + rowsOfPart, rows);
    float sum = 0;
#pragma unroll 8
    for (int row = first; row < end; ++row) sum += to_float(x[static_cast<size_t>(row) * stride + firstColumn + column]);
    partials[static_cast<size_t>(blockIdx.x) * width + column] = sum;
}

// Adds `factor` times the sum of `count` numbers to a number in float64. One block.
extern "C" __global__ void __launch_bounds__(THREADS, 1) add_sum(
    const float *__restrict__ numbers, double *__restrict__ total, int count, float factor
) {
    double sum = 0;
#pragma unroll 8
    for (int n = threadIdx.x; n < count; n += THREADS) sum += numbers[n];
    sum = sum_over<THREADS>(sum);
    if (threadIdx.x == 0) *total += factor * sum;
}
