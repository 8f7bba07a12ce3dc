// The cross-entropy of rows x · W by odds o_j = exp(l_j − l_target) of their logits l (hopper/odds.cu). With s = Σ_j o_j, which leaves out the target,
//
//     loss = log(1 + s),   ∂x = f (Σ_j o_j w_j − s w_target),   ∂W = Σ_r f x_r ⊗ (o_r − s e_target),   f = scale / (1 + s)
//
// so that rows of odds are operands of products as they are. A row whose target is negative is not scored: its f is 0, and so is what is made with it.
#include "layers/activations.cuh"
#include "layers/reduction.cuh"

constexpr int THREADS = 256, WARPS = THREADS / 32;
constexpr float LOG2_E = 1.4426950408889634f;

// Calls body(column) for the columns of a row that a lane has.
template <typename Body>
__device__ __forceinline__ void for_columns(int width, Body body) {
    for (int column = threadIdx.x % 32 * VECTOR; column < width; column += 32 * VECTOR) body(column);
}

// references[row] = log2 e · x · w_target, infinity where there is no target, NaN where that is no number; tableRows[row] = the target, 0 where there
// is none. Grid: rows / WARPS.
extern "C" __global__ void __launch_bounds__(THREADS) refer_to_targets(
    const activation *__restrict__ x, const activation *__restrict__ weights, const int *__restrict__ targets,
    float *__restrict__ references, int *__restrict__ tableRows, int rows, int width
) {
    const int row = blockIdx.x * WARPS + threadIdx.x / 32;
    if (row >= rows) return;
    const int target = targets[row];
    const activation *own = x + static_cast<size_t>(row) * width, *other = weights + static_cast<size_t>(max(target, 0)) * width;
    float sum = 0;
    for_columns(width, [&](int column) {
        float values[VECTOR], factors[VECTOR];
        load(values, own + column);
        load(factors, other + column);
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) sum += values[i] * factors[i];
    });
    sum = sum_over<32>(sum);
    if (threadIdx.x % 32 != 0) return;
    const float infinity = __int_as_float(0x7f800000), reference = LOG2_E * sum;
    references[row] = target < 0 ? infinity : fabsf(reference) < infinity ? reference : __int_as_float(0x7fffffff);
    tableRows[row] = max(target, 0);
}

// Sums up the odds of rows of `tiles` tiles of columns, for their losses; under `writesFactors` also f, −s, and f · x. Grid: rows / ROWS.
constexpr int ROWS = 32;

extern "C" __global__ void __launch_bounds__(THREADS) sum_odds(
    const float *__restrict__ tileSums, const int *__restrict__ targets, const activation *__restrict__ x, float *__restrict__ losses,
    float *__restrict__ factors, float *__restrict__ targetFactors, activation *__restrict__ scaled, int rows, int width, int tiles,
    int writesFactors, float scale
) {
    constexpr int PARTS = THREADS / ROWS;
    __shared__ float parts[PARTS][ROWS], own[ROWS];
    const int first = blockIdx.x * ROWS, place = threadIdx.x % ROWS, row = first + place;
    float sum = 0;
    if (row < rows) {
#pragma unroll 4
        for (int n = threadIdx.x / ROWS; n < tiles; n += PARTS) sum += tileSums[static_cast<size_t>(n) * rows + row];
    }
    parts[threadIdx.x / ROWS][place] = sum;
    __syncthreads();
    if (threadIdx.x < ROWS && row < rows) {
#pragma unroll
        for (int n = 1; n < PARTS; ++n) sum += parts[n][place];
        const bool isScored = targets[row] >= 0;
        losses[row] = isScored ? log1pf(sum) : 0;
        if (writesFactors) {
            own[place] = factors[row] = isScored ? scale / (1 + sum) : 0;
            targetFactors[row] = isScored ? -sum : 0;
        }
    }
    if (!writesFactors) return;
    __syncthreads();
    for (int n = threadIdx.x / 32; n < ROWS && first + n < rows; n += WARPS) {
        const size_t begin = static_cast<size_t>(first + n) * width;
        const float factor = own[n];
        for_columns(width, [&](int column) {
            float values[VECTOR];
            load(values, x + begin + column);
#pragma unroll
            for (int i = 0; i < VECTOR; ++i) values[i] = factor == 0 ? 0 : factor * values[i];
            store(scaled + begin + column, values);
        });
    }
}

// Turns Σ_j o_j w_j of rows into their gradients. Grid: rows / WARPS.
extern "C" __global__ void __launch_bounds__(THREADS) odds_gradient(
    activation *__restrict__ gradient, const activation *__restrict__ weights, const int *__restrict__ tableRows,
    const float *__restrict__ factors, const float *__restrict__ targetFactors, int rows, int width
) {
    const int row = blockIdx.x * WARPS + threadIdx.x / 32;
    if (row >= rows) return;
    activation *own = gradient + static_cast<size_t>(row) * width;
    const activation *target = weights + static_cast<size_t>(tableRows[row]) * width;
    const float factor = factors[row], targetFactor = targetFactors[row];
    for_columns(width, [&](int column) {
        float values[VECTOR], weight[VECTOR];
        load(values, own + column);
        load(weight, target + column);
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) values[i] = factor == 0 ? 0 : factor * (values[i] + targetFactor * weight[i]);
        store(own + column, values);
    });
}
