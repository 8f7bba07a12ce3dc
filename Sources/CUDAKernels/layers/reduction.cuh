// Sums and maxima over the first THREADS threads of a block, a multiple of 32, in an order that does not depend on time. All of them get
// the result.
#pragma once

template <int threads, typename Number, typename Operation>
__device__ __forceinline__ Number reduce(Number x, Operation operation) {
    static_assert(threads % 32 == 0, "whole warps");
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) x = operation(x, __shfl_xor_sync(~0u, x, offset));
    if constexpr (threads > 32) {
        __shared__ Number parts[threads / 32];
        // The results of the reduction before have been read by all.
        __syncthreads();
        if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
        __syncthreads();
        x = parts[0];
#pragma unroll
        for (int n = 1; n < threads / 32; ++n) x = operation(x, parts[n]);
    }
    return x;
}

template <int threads, typename Number>
__device__ __forceinline__ Number sum_over(Number x) {
    return reduce<threads>(x, [](Number a, Number b) { return a + b; });
}

template <int threads>
__device__ __forceinline__ float maximum_over(float x) {
    return reduce<threads>(x, [](float a, float b) { return fmaxf(a, b); });
}
