// Cross-entropy of rows of logits, whose gradients take their place.
#include "layers/activations.cuh"
#include "layers/reduction.cuh"

constexpr int STEP = THREADS * VECTOR;
// Below every logit that counts, and finite, so that there is a difference to it.
constexpr float LOWEST = -3e38f, LOG2_E = 1.4426950408889634f;

__device__ __forceinline__ float exponential(float x) { return exp2_flushed(x * LOG2_E); }

// The sum of the exponentials of the numbers so far, relative to the largest of them.
struct Exponentials {
    float largest, sum;

    __device__ __forceinline__ void raise(float highest) {
        sum *= exponential(largest - highest);
        largest = highest;
    }

    __device__ __forceinline__ void add(const float (&values)[VECTOR]) {
        float highest = largest;
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) highest = fmaxf(highest, values[i]);
        raise(highest);
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) sum += exponential(values[i] - highest);
    }
};

// losses[row] = −log softmax(logits)[target] over the first `columns` numbers of a row of `stride`, 0 where the target is negative. Under
// `writesGradient` the logits become the derivative of `scale` times the loss, and what follows them zeros. Under KEPT the row is copied to
// shared memory, so that it is read once; the first of it are summed up while the last are on their way. Grid: rows, the last ones
// first.
extern "C" __global__ void __launch_bounds__(THREADS) cross_entropy(
    activation *__restrict__ logits, const int *__restrict__ targets, float *__restrict__ losses, int columns, int stride,
    int writesGradient, float scale
) {
    const unsigned index = descending_block();
    activation *row = logits + static_cast<size_t>(index) * stride;
    const int target = targets[index];
    if (target < 0) {
        if (threadIdx.x == 0) losses[index] = 0;
        if (!writesGradient) return;
        float zeros[VECTOR];
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) zeros[i] = 0;
        for (int column = threadIdx.x * VECTOR; column < stride; column += STEP) store(row + column, zeros);
        return;
    }
#if KEPT
    static_assert(VECTOR * sizeof(activation) == 16, "copies of 16 bytes");
    extern __shared__ uint4 kept[];
    const activation *source = reinterpret_cast<const activation *>(kept);
    // A thread reads what it copied itself, a quarter after the other.
    const int quarter = (stride + 4 * STEP - 1) / (4 * STEP) * STEP;
    for (int first = 0; first < 4 * quarter; first += quarter) {
        for (int column = first + threadIdx.x * VECTOR; column < min(first + quarter, stride); column += STEP)
            copy_16(kept + column / VECTOR, row + column, true);
        commit_copies();
    }
#else
    const activation *source = row;
#endif
    Exponentials own = {LOWEST, 0};
    auto see = [&](int first, int end) {
        for (int column = first + threadIdx.x * VECTOR; column < min(end, columns); column += STEP) {
            float values[VECTOR];
            load(values, source + column);
            if (column + VECTOR > columns) {
#pragma unroll
                for (int i = 0; i < VECTOR; ++i) values[i] = column + i < columns ? values[i] : __int_as_float(0xff800000);
            }
            own.add(values);
        }
    };
#if KEPT
    wait_copies<3>();
    see(0, quarter);
    wait_copies<2>();
    see(quarter, 2 * quarter);
    wait_copies<1>();
    see(2 * quarter, 3 * quarter);
    wait_copies<0>();
    see(3 * quarter, 4 * quarter);
#else
    see(0, columns);
#endif
    const float maximum = maximum_over<THREADS>(own.largest);
    own.raise(maximum);
    const float total = sum_over<THREADS>(own.sum);
    if (threadIdx.x == 0) losses[index] = logf(total) + (maximum - to_float(row[target]));
    if (!writesGradient) return;
    // The target's logit has been read.
    __syncthreads();
    const float factor = scale / total;
    for (int column = threadIdx.x * VECTOR; column < stride; column += STEP) {
        float values[VECTOR];
        load(values, source + column);
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) values[i] = factor * exponential(values[i] - maximum);
        if (column <= target && target < column + VECTOR) {
#pragma unroll
            for (int i = 0; i < VECTOR; ++i) values[i] -= column + i == target ? scale : 0;
        }
        if (column + VECTOR > columns) {
#pragma unroll
            for (int i = 0; i < VECTOR; ++i) values[i] = column + i < columns ? values[i] : 0;
        }
        store(row + column, values);
    }
}
