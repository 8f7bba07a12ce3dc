// Sums of log-gates along the tokens.
//
// A block walks the tokens of one chunk or sequence of one key head: every thread a stretch of neighbours, in float64. What the stretches
// pass on to one another is scanned by warps, then over the warps.
#pragma once
#include "common/decay.cuh"

constexpr int GATE_THREADS = 512;
constexpr int GATE_WARPS = GATE_THREADS / 32;

// Where the gates count as closed: everything before is forgotten. The power has no exponential to win against e^−1000 in float32.
constexpr float CLOSED = DEGREE > 0 ? -1000.f : -100000.f;

__device__ __forceinline__ bool is_closed(float logGate) { return logGate <= CLOSED; }

// The stretch of this thread among `count` tokens.
__device__ __forceinline__ int2 stretch(int count) {
    const int size = (count + GATE_THREADS - 1) / GATE_THREADS;
    const int first = min(static_cast<int>(threadIdx.x) * size, count);
    return make_int2(first, min(first + size, count));
}

// What a cumulative sum takes and leaves. gates[head, token]: the inclusive sum from the start of the chunk, in base 2, as two floats. A
// closed gate counts as −1000 for powers, whose decays it takes to zero. Exponentials can outweigh any number: there the gate adds nothing,
// and firstVisible[head, token] keeps queries from the keys before it, as it does for the window. Where `decays` are wanted, [head, token],
// they are those from a token to the last of the 64 that it is one of, counted from the start of the chunk.
struct CumulativeGates {
    const float *logGates;
    float2 *gates;
    float *decays;
    int *firstVisible;
    int tokens, keyHeads, window;

    // Of one chunk and head, by a block of GATE_THREADS.
    __device__ __forceinline__ void sum(int4 chunk, int head) const {
        __shared__ double warpSums[GATE_WARPS];
        __shared__ int warpClosed[GATE_WARPS];
        const int thread = threadIdx.x;
        const int2 part = stretch(chunk.y);
        const float *chunkLogGates = logGates + static_cast<size_t>(chunk.x) * keyHeads + head;
        auto step = [&](float x) -> double {
            if (is_closed(x)) return DEGREE > 0 ? CLOSED * 1.4426950408889634 : 0.0;
            return x * 1.4426950408889634;
        };
        double sum = 0;
        int lastClosed = -1;
        if (logGates != nullptr)
#pragma unroll 2
            for (int n = part.x; n < part.y; ++n) {
                const float x = chunkLogGates[static_cast<size_t>(n) * keyHeads];
                sum += step(x);
                if (is_closed(x)) lastClosed = n;
            }
        // What comes before this thread's stretch.
        const int lane = thread % 32, warp = thread / 32;
        const double ownSum = sum;
#pragma unroll
        for (int offset = 1; offset < 32; offset *= 2) {
            const double sumBefore = __shfl_up_sync(~0u, sum, offset);
            const int closedBefore = __shfl_up_sync(~0u, lastClosed, offset);
            if (lane >= offset) sum += sumBefore, lastClosed = max(lastClosed, closedBefore);
        }
        if (lane == 31) warpSums[warp] = sum, warpClosed[warp] = lastClosed;
        sum -= ownSum;
        lastClosed = __shfl_up_sync(~0u, lastClosed, 1);
        if (lane == 0) lastClosed = 0;
        __syncthreads();
        // Of the warps before this one, a lane each.
        double sumBefore = lane < warp ? warpSums[lane] : 0;
        int closedBefore = lane < warp ? warpClosed[lane] : -1;
#pragma unroll
        for (int offset = 16; offset > 0; offset /= 2) {
            sumBefore += __shfl_xor_sync(~0u, sumBefore, offset);
            closedBefore = max(closedBefore, __shfl_xor_sync(~0u, closedBefore, offset));
        }
        sum += sumBefore, lastClosed = max(lastClosed, closedBefore);
        const size_t place = static_cast<size_t>(head) * tokens + chunk.x;
#pragma unroll 1
        for (int n = part.x; n < part.y; ++n) {
            if (logGates != nullptr) {
                const float x = chunkLogGates[static_cast<size_t>(n) * keyHeads];
                sum += step(x);
                if (is_closed(x)) lastClosed = n;
                const float high = static_cast<float>(sum);
                gates[place + n] = make_float2(high, static_cast<float>(sum - high));
            }
            if (firstVisible != nullptr) firstVisible[place + n] = chunk.x + max(lastClosed, window > 0 ? n - window + 1 : 0);
        }
        if (decays == nullptr) return;
        __syncthreads();
#pragma unroll 2
        for (int n = thread; n < chunk.y; n += GATE_THREADS)
            decays[place + n] = decay(gates[place + min(n / 64 * 64 + 63, chunk.y - 1)], gates[place + n]);
    }
};
