// Gradients of gates: sums along the tokens, from the last one back.
//
// A block walks the tokens of one chunk of one key head.
#include "common/elements.cuh"
#include "prepare/gates.cuh"

constexpr int THREADS = GATE_THREADS;
constexpr int WARPS = GATE_WARPS;

// What the gate of token n of a chunk gets from the rows and the columns of the weights.
struct GateContributions {
    const float *rowSums, *columnSums;
    int tokens, queryHeads, keyHeads, rowParts, columnParts, head;

    __device__ __forceinline__ double operator()(size_t token) const {
        const int group = queryHeads / keyHeads;
        double sum = 0;
#pragma unroll 1
        for (int i = 0; i < columnParts; ++i) sum -= columnSums[(static_cast<size_t>(i) * tokens + token) * keyHeads + head];
#pragma unroll 1
        for (int i = 0; i < rowParts; ++i)
#pragma unroll 1
            for (int member = head * group; member < (head + 1) * group; ++member)
                sum += rowSums[(static_cast<size_t>(i) * tokens + token) * queryHeads + member];
        return sum;
    }
};

// A sum from some token on, up to the next one at which it starts anew.
struct GateSum {
    double sum;
    int hasRestart;

    // What this comes before.
    __device__ __forceinline__ void append(double later, int laterRestart) {
        if (!hasRestart) sum += later, hasRestart = laterRestart;
    }
};

// The sum of this thread's stretch of the chunk.
template <typename IsRestart>
__device__ __forceinline__ GateSum stretch_sum(const GateContributions &contribution, int first, int2 part, IsRestart isRestart) {
    GateSum own = {0, 0};
#pragma unroll 1
    for (int n = part.y - 1; n >= part.x; --n) {
        own.sum += contribution(first + n);
        if (isRestart(n)) own = {0, 1};
    }
    return own;
}

// The sums from this thread's stretch to the end of its warp, and of all warps in `warpSums`.
__device__ __forceinline__ GateSum scan_warps(GateSum own, GateSum *warpSums) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int offset = 1; offset < 32; offset *= 2) {
        const double later = __shfl_down_sync(~0u, own.sum, offset);
        const int laterRestart = __shfl_down_sync(~0u, own.hasRestart, offset);
        if (lane + offset < 32) own.append(later, laterRestart);
    }
    if (lane == 0) warpSums[threadIdx.x / 32] = own;
    __syncthreads();
    return own;
}

// What comes with the warps from `first` on, the same for all lanes.
__device__ __forceinline__ GateSum sum_of_warps(const GateSum *warpSums, int first) {
    const int warp = first + static_cast<int>(threadIdx.x) % 32;
    GateSum all = {0, 0};
    if (warp < WARPS) all = warpSums[warp];
#pragma unroll
    for (int offset = 1; offset < WARPS; offset *= 2) {
        const double later = __shfl_down_sync(~0u, all.sum, offset);
        all.append(later, __shfl_down_sync(~0u, all.hasRestart, offset));
    }
    return {__shfl_sync(~0u, all.sum, 0), __shfl_sync(~0u, all.hasRestart, 0)};
}

// The first part of the gradients of gates: the sums over chunks, [chunk, head], each up to where it starts anew. Grid: chunks, key heads.
extern "C" __global__ void __launch_bounds__(THREADS, 3) gate_sums(
    const float *__restrict__ logGates, const float *__restrict__ rowSums, const float *__restrict__ columnSums,
    const int4 *__restrict__ chunks, double *__restrict__ sums, int *__restrict__ restarts, int tokens, int queryHeads, int keyHeads,
    int rowParts, int columnParts, int startsEmpty
) {
    __shared__ GateSum warpSums[WARPS];
    const int4 chunk = chunks[blockIdx.x];
    const int head = blockIdx.y;
    const GateContributions contribution = {rowSums, columnSums, tokens, queryHeads, keyHeads, rowParts, columnParts, head};
    start_next_kernel();
    scan_warps(
        stretch_sum(
            contribution, chunk.x, stretch(chunk.y),
            [&](int n) {
                return (n == 0 && startsEmpty && (chunk.w & 1)) || is_closed(logGates[static_cast<size_t>(chunk.x + n) * keyHeads + head]);
            }),
        warpSums);
    const GateSum all = sum_of_warps(warpSums, 0);
    if (threadIdx.x > 0) return;
    sums[static_cast<size_t>(blockIdx.x) * keyHeads + head] = all.sum;
    restarts[static_cast<size_t>(blockIdx.x) * keyHeads + head] = all.hasRestart;
}

// ∂log_g_t = Σ_{i ≥ t} (what the weights of row i contribute − what those of column i do) + the term of the final state. Rows contribute
// nothing under normalization. The sum is zero at a closed gate, and at the first token where there is nothing before it: it starts
// anew there, so that rounding does not go on. Grid: chunks, key heads.
extern "C" __global__ void __launch_bounds__(THREADS, 3) gate_gradients(
    const float *__restrict__ logGates, const float *__restrict__ rowSums, const float *__restrict__ columnSums,
    const double *__restrict__ finalTerms, const int4 *__restrict__ sequences, const int4 *__restrict__ chunks,
    const double *__restrict__ sums, const int *__restrict__ restarts, float *__restrict__ gradients, int tokens, int queryHeads,
    int keyHeads, int rowParts, int columnParts, int finalParts, int startsEmpty
) {
    __shared__ GateSum warpSums[WARPS];
    __shared__ double laterSums[WARPS];
    __shared__ int firstRestart;
    wait_for_previous_kernel();
    const int4 chunk = chunks[blockIdx.x], sequence = sequences[chunk.z];
    const int head = blockIdx.y, thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
    const GateContributions contribution = {rowSums, columnSums, tokens, queryHeads, keyHeads, rowParts, columnParts, head};
    auto isRestart = [&](int n) {
        return (n == 0 && startsEmpty && (chunk.w & 1)) || is_closed(logGates[static_cast<size_t>(chunk.x + n) * keyHeads + head]);
    };
    // The chunks after this one, up to the first in which a sum starts anew.
    const int laterChunks = sequence.x + sequence.y - 1 - static_cast<int>(blockIdx.x);
    auto place = [&](int n) { return (static_cast<size_t>(blockIdx.x) + 1 + n) * keyHeads + head; };
    if (thread == 0) firstRestart = laterChunks;
    __syncthreads();
    for (int n = thread; n < laterChunks; n += THREADS)
        if (restarts[place(n)]) {
            atomicMin(&firstRestart, n);
            break;
        }
    __syncthreads();
    double later = 0;
    for (int n = thread; n < min(firstRestart + 1, laterChunks); n += THREADS) later += sums[place(n)];
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) later += __shfl_down_sync(~0u, later, offset);
    if (lane == 0) laterSums[warp] = later;

    const int2 part = stretch(chunk.y);
    GateSum own = scan_warps(stretch_sum(contribution, chunk.x, part, isRestart), warpSums);
    // What comes after this thread's stretch.
    own.sum = __shfl_down_sync(~0u, own.sum, 1);
    own.hasRestart = __shfl_down_sync(~0u, own.hasRestart, 1);
    if (lane == 31) own = {0, 0};
    const GateSum others = sum_of_warps(warpSums, warp + 1);
    own.append(others.sum, others.hasRestart);
    double end = lane < WARPS ? laterSums[lane] : 0;
#pragma unroll
    for (int offset = 1; offset < WARPS; offset *= 2) end += __shfl_xor_sync(~0u, end, offset);
    end = __shfl_sync(~0u, end, 0);
    if (firstRestart == laterChunks)
        for (int i = 0; i < finalParts; ++i) end += finalTerms[(static_cast<size_t>(chunk.z) * keyHeads + head) * finalParts + i];
    own.append(end, 1);
    for (int n = part.y - 1; n >= part.x; --n) {
        own.sum += contribution(chunk.x + n);
        if (isRestart(n)) own.sum = 0;
        gradients[static_cast<size_t>(chunk.x + n) * keyHeads + head] = static_cast<float>(own.sum);
    }
}
