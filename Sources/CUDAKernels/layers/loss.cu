// Cross-entropy of rows of logits, whose gradients take their place.
#include "layers/activations.cuh"
#include "layers/reduction.cuh"

// The logarithm of zero.
__device__ __forceinline__ float nothing() { return __int_as_float(0xff800000); }

// losses[row] = −log softmax(logits)[target] over the first `columns` numbers of a row of `stride`, 0 where the target is negative. Under
// `writesGradient` the logits become the derivative of `scale` times the loss, and what follows them zeros. Under KEPT the row is copied to
// shared memory first, so that it is read once. Grid: rows.
extern "C" __global__ void __launch_bounds__(THREADS) cross_entropy(
    activation *__restrict__ logits, const int *__restrict__ targets, float *__restrict__ losses, int columns, int stride,
    int writesGradient, float scale
) {
    activation *row = logits + static_cast<size_t>(blockIdx.x) * stride;
    const int target = targets[blockIdx.x];
    if (target < 0) {
        if (threadIdx.x == 0) losses[blockIdx.x] = 0;
        if (!writesGradient) return;
        float zeros[VECTOR];
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) zeros[i] = 0;
        for (int column = threadIdx.x * VECTOR; column < stride; column += THREADS * VECTOR) store(row + column, zeros);
        return;
    }
#if KEPT
    static_assert(VECTOR * sizeof(activation) == 16, "copies of 16 bytes");
    extern __shared__ uint4 kept[];
    const activation *source = reinterpret_cast<const activation *>(kept);
    // A thread reads what it copied itself.
    for (int column = threadIdx.x * VECTOR; column < stride; column += THREADS * VECTOR)
        copy_16(kept + column / VECTOR, row + column, true);
    commit_copies();
    wait_copies<0>();
#else
    const activation *source = row;
#endif
    // The sum of the exponentials of what this thread has seen, relative to the largest of it.
    float largest = nothing(), sum = 0;
    for (int column = threadIdx.x * VECTOR; column < columns; column += THREADS * VECTOR) {
        float values[VECTOR];
        load(values, source + column);
        float highest = largest;
#pragma unroll
        for (int i = 0; i < VECTOR; ++i)
            if (column + i < columns) highest = fmaxf(highest, values[i]);
        // Without a finite number so far there is nothing to scale.
        sum *= highest == nothing() ? 0 : __expf(largest - highest);
#pragma unroll
        for (int i = 0; i < VECTOR; ++i)
            if (column + i < columns) sum += __expf(values[i] - highest);
        largest = highest;
    }
    const float maximum = maximum_over<THREADS>(largest);
    const float total = sum_over<THREADS>(largest == nothing() ? 0 : sum * __expf(largest - maximum));
    if (threadIdx.x == 0) losses[blockIdx.x] = logf(total) + (maximum - to_float(row[target]));
    if (!writesGradient) return;
    // The target's logit has been read.
    __syncthreads();
    const float factor = scale / total;
    for (int column = threadIdx.x * VECTOR; column < stride; column += THREADS * VECTOR) {
        float values[VECTOR];
        load(values, source + column);
#pragma unroll
        for (int i = 0; i < VECTOR; ++i)
            values[i] = column + i < columns ? factor * __expf(values[i] - maximum) - (column + i == target ? scale : 0) : 0;
        store(row + column, values);
    }
}
