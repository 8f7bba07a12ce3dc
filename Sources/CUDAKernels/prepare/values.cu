// The values as hopper/state_update.cu sums them: rows [v, extra, 0, …] of VALUE_WIDTH + 8 numbers, multiplied by their tokens' factors: by the
// decay exp(G_end − G_j) to the end of the chunk, or under REVERSE by r_i exp(G_i), the decay from its start, with r_i as for the gradients
// of the queries. `extra` are ones, or given.
//
// A thread has the same eight columns of several rows, and asks for all of them before factors are known: memory answers late, and is busy
// only while enough is asked for.
//
// It may start before the end of the kernel before it, if that makes nothing that is read here.
//
// Grid: chunks, parts of ROWS of their rows.
#include "common/decay.cuh"
#include "common/elements.cuh"
#include "common/fragments.cuh"

constexpr int PANELS = VALUE_WIDTH / 8 + 1;
constexpr int ROWS_AT_ONCE = 32, ROWS_ASKED = ROWS / ROWS_AT_ONCE;
constexpr int THREADS = ROWS_AT_ONCE * PANELS;
static_assert(MATH == 0, "rows in bfloat16");
static_assert(ROWS % ROWS_AT_ONCE == 0 && THREADS <= 1024, "every thread has as many rows");

__device__ __forceinline__ unsigned scale_pair(unsigned pair, float factor) {
    return pack_bfloat16(low_bfloat16(pair) * factor, high_bfloat16(pair) * factor);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1536 / THREADS) scale_values(
    const elem *__restrict__ v, const float *__restrict__ extra, const float *__restrict__ statistics,
    const float2 *__restrict__ gates, const int4 *__restrict__ chunks, elem *__restrict__ values, int tokens, int heads, int group
) {
    __shared__ float factors[ROWS];
    const int4 chunk = chunks[blockIdx.x];
    const unsigned rows = static_cast<unsigned>(chunk.y) * heads;
    const size_t chunkRow = static_cast<size_t>(chunk.x) * heads;
    const int panel = threadIdx.x % PANELS, ownRow = threadIdx.x / PANELS;
    for (unsigned first = blockIdx.y * ROWS; first < rows; first += gridDim.y * ROWS) {
        const int count = min(rows - first, static_cast<unsigned>(ROWS)) - ownRow;
        const size_t place = chunkRow + first + ownRow;
        uint4 given[ROWS_ASKED];
#pragma unroll
        for (int n = 0; n < ROWS_ASKED; ++n) {
            given[n] = make_uint4(__float_as_uint(1.f), 0, 0, 0);
            if (n * ROWS_AT_ONCE >= count) continue;
            if (panel < PANELS - 1)
                given[n] = *reinterpret_cast<const uint4 *>(v + (place + n * ROWS_AT_ONCE) * VALUE_WIDTH + 8 * panel);
            else if (extra != nullptr)
                given[n].x = __float_as_uint(extra[place + n * ROWS_AT_ONCE]);
        }
        for (unsigned n = threadIdx.x; n < min(rows - first, static_cast<unsigned>(ROWS)); n += THREADS) {
            const unsigned row = first + n;
            float factor = 1;
#if REVERSE
            factor = NORMALIZED ? fabsf(statistics[chunkRow + row]) : statistics[chunkRow + row];
#endif
#if GATED
            const float2 *headGates = gates + static_cast<size_t>(row % heads / group) * tokens + chunk.x;
            const float2 gate = headGates[row / heads];
            factor *= REVERSE ? decay_from_start(gate) : decay(headGates[chunk.y - 1], gate);
#endif
            factors[n] = factor;
        }
        __syncthreads();
#pragma unroll
        for (int n = 0; n < ROWS_ASKED; ++n) {
            if (n * ROWS_AT_ONCE >= count) continue;
            const float factor = factors[n * ROWS_AT_ONCE + ownRow];
            const uint4 x = given[n];
            *reinterpret_cast<uint4 *>(values + (place + n * ROWS_AT_ONCE) * (VALUE_WIDTH + 8) + 8 * panel) = panel < PANELS - 1
                ? make_uint4(scale_pair(x.x, factor), scale_pair(x.y, factor), scale_pair(x.z, factor), scale_pair(x.w, factor))
                : make_uint4(pack_bfloat16(__uint_as_float(x.x) * factor, 0), 0, 0, 0);
        }
        __syncthreads();
    }
    // The kernels after this one need what that one makes.
    wait_for_previous_kernel();
}
